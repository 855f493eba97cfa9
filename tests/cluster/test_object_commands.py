"""`maldon object` and `maldon ring`, as an operator types them at a node of a cluster that runs."""

import asyncio
import hashlib
import json
import shutil

import pytest
from click.testing import CliRunner

from maldon.objectstore import disks
from maldon.objectstore.daemons.replicate_books import ReplicateBooks
from maldon.objectstore.daemons.replicate_objects import ReplicateObjects
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.timestamp import TICKS, stamp
from maldon.runtime.cli import main
from tests.object_cloud import ACCOUNT
from tests.object_cluster import Node, object_cluster
from tests.servers import free_port

LATER = 3600 * TICKS


@pytest.fixture
async def nodes(tmp_path):
    async with object_cluster(tmp_path, count=4, replicas=3) as made:
        yield made


async def maldon(node, *words):
    """Exit code and output of a command at a node's home, which has its settings in a file."""
    (node.home / "maldon.toml").write_text(f'[object]\naddress = "{node.address}"\n')
    depth = 3 if words[1] == "dispersion" else 2
    command = [*words[:depth], "--home", str(node.home), *words[depth:]]
    done = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit), done.exc_info
    return done.exit_code, done.output


async def a_round(node):
    """What the loops of a node would do, an hour from now."""
    held, cluster = node.cluster.nodes.own, node.cluster
    placing = Placing(cluster.rings, cluster.nodes, cluster.settings)
    await held.settle()
    levels = ReplicateObjects(held.devices, placing, cluster.policies, lambda: stamp() + LATER)
    return await levels.once() + await ReplicateBooks(held.books, placing).all()


async def settle(nodes):
    """Rounds until nothing is left to do."""
    for _ in range(6):
        if not sum([await a_round(node) for node in nodes]):
            return
    raise AssertionError("the nodes do not come to an end")


async def stored(asker, count=40):
    """Objects in a container; their digests by name."""
    assert (await asker("PUT", "c")).status == 201
    bodies = {f"o{n:02}": bytes([n]) * (1_300_000 if n % 10 == 0 else 100 + n) for n in range(count)}
    for name, body in bodies.items():
        assert (await asker("PUT", f"c/{name}", body)).status == 201
    return {name: hashlib.md5(body).hexdigest() for name, body in bodies.items()}


async def digests(asker):
    names = (await asker("GET", "c")).body.decode().split()
    return {name: hashlib.md5((await asker("GET", f"c/{name}")).body).hexdigest() for name in names}


def live(node, device="disk-1"):
    """How many objects lie on a disk."""
    index = node.cluster.nodes.own.devices[device].index
    with index.open_reader() as db:
        return db.execute("SELECT count(*) FROM objects").get


def books(node):
    root = node.home / "objects" / "disk-1"
    return len([*root.glob("containers/*/[!.]*"), *root.glob("accounts/*/[!.]*")])


async def test_info_and_locate(nodes):
    asker = nodes[0].asker()
    await stored(asker, 1)
    code, said = await maldon(nodes[0], "object", "locate", f"{ACCOUNT}/c/o00", "--json")
    told = json.loads(said)
    assert (code, told["path"], told["policy"]) == (0, f"/{ACCOUNT}/c/o00", "Policy-0")
    assert len({one["address"] for one in told["primaries"]}) == 3
    assert [one["address"] for one in told["handoffs"]] == [
        node.address for node in nodes if node.address not in {one["address"] for one in told["primaries"]}
    ]
    code, said = await maldon(nodes[0], "object", "locate", f"/{ACCOUNT}/c")
    assert (code, said.count("  primary 127.0.0.1:"), said.count("| curl -sH @- http://127.0.0.1:")) == (0, 3, 4)
    assert nodes[0].cluster.secrets.cluster_key not in said
    holder = next(node for node in nodes if node.address == told["primaries"][0]["address"])
    (other,) = [node for node in nodes if node.address == told["handoffs"][0]["address"]]
    code, said = await maldon(holder, "object", "info", f"{ACCOUNT}/c/o00", "--json")
    [[device, facts]] = json.loads(said)
    assert (code, device, facts["size"], facts["checksum"]) == (0, "disk-1", 1_300_000, "right")
    code, said = await maldon(holder, "object", "info", f"{ACCOUNT}/c/o00")
    assert f"  etag: {facts['etag']}\n" in said
    code, said = await maldon(other, "object", "info", f"{ACCOUNT}/c/o00")
    assert (code, "hold nothing of" in said) == (1, True)
    assert (await maldon(holder, "object", "info", "a//o"))[0] == 1
    assert "Policy-0" in (await maldon(holder, "object", "locate", "a/c/o", "--policy", "gold"))[1]


async def test_recon_names_what_is_wrong_and_nothing_else(nodes):
    code, said = await maldon(nodes[0], "object", "recon", "--json")
    told = json.loads(said)
    assert set(told) == {node.address for node in nodes}
    silent = "its loops do not run: nothing is replicated, audited or repaired there"
    assert {trouble for seen in told.values() for trouble in seen["troubles"]} == {silent}
    await nodes[1].stop()
    shutil.copy(nodes[2].home / "rings" / "object.ring", nodes[2].home / "rings" / "account.ring")
    (nodes[3].home / "objects" / "disk-1" / "device.json").unlink()
    code, said = await maldon(nodes[0], "object", "recon")
    assert code == 1
    assert f"{nodes[1].address}  DOWN" in said
    assert f"! {nodes[3].address}: disk disk-1 is absent" in said
    assert said.splitlines()[-1].startswith("3 of 4 nodes answer, 3 disks, ")


async def test_recon_of_a_node_that_tends_itself_is_content(nodes):
    for node in nodes:
        await node.stop()
        await node.start(tends=True)
    async with asyncio.timeout(30):
        while (await maldon(nodes[0], "object", "recon"))[0]:
            await asyncio.sleep(0.1)
    _, said = await maldon(nodes[0], "object", "recon")
    assert said.splitlines()[-1] == "4 of 4 nodes answer, 4 disks, 0 troubles"
    assert said.count("  disk-1       ok, ") == 4
    assert "replicate objects" in said


async def test_dispersion_is_measured(nodes):
    words = ("--coverage", "50")
    code, said = await maldon(nodes[0], "object", "dispersion", "populate", *words)
    assert (code, said) == (0, "16 containers and objects of .dispersion, in 50 % of the partitions of each ring\n")
    code, said = await maldon(nodes[0], "object", "dispersion", "report", *words, "--json")
    figures = {"partitions": 16, "things": 8, "copies_expected": 24, "copies_found": 24, "pct_found": 100.0}
    assert (code, json.loads(said)) == (0, {noun: {**figures, "unreached": {}} for noun in ("container", "object")})
    await nodes[3].stop()
    code, said = await maldon(nodes[0], "object", "dispersion", "report", *words)
    assert (code, f"  {nodes[3].address}/disk-1 could not be asked" in said, "lack 1 copy" in said) == (1, True, True)


async def test_a_drained_disk_is_empty_and_everything_is_there(nodes, monkeypatch):
    asker = nodes[0].asker()
    wanted = await stored(asker)
    victim = nodes[3]
    assert live(victim) > 0
    code, said = await maldon(nodes[0], "ring", "drain", f"{victim.address}/disk-1")
    assert (code, said.count("has them"), "Nothing belongs to" in said) == (0, 4, True)
    assert {node.cluster.rings.object(0).version for node in nodes} == {2}  # in force with all of them, at once
    assert await digests(nodes[1].asker()) == wanted  # while data are still where they were
    await settle(nodes)
    assert (live(victim), books(victim)) == (0, 0)
    await victim.stop()
    assert await digests(nodes[1].asker()) == wanted
    assert [live(node) for node in nodes[:3]] == [len(wanted)] * 3
    code, said = await maldon(nodes[0], "ring", "forget", victim.address)
    assert code == 0
    assert victim.address not in (await maldon(nodes[0], "ring", "show"))[1]


async def test_a_node_is_replaced_by_one_that_joins(nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(disks, "LOOK_S", 0.05)
    wanted = await stored(nodes[0].asker())
    old, new = nodes[2], Node(tmp_path / "new", f"127.0.0.1:{free_port()}")
    await old.stop()  # it burned
    shutil.rmtree(old.home)
    new.home.mkdir()
    code, said = await maldon(new, "object", "join", nodes[0].address)
    assert (code, "Copy objects/cluster.json" in said) == (1, True)
    (new.home / "objects").mkdir()
    shutil.copy(nodes[0].home / "objects" / "cluster.json", new.home / "objects")
    code, said = await maldon(new, "object", "join", nodes[0].address)
    assert (code, said.count("version 1")) == (0, 3)
    code, said = await maldon(nodes[0], "ring", "replace", old.address, new.address)
    assert (code, "Start its storage node first" in said) == (1, True)
    await new.start()
    try:
        code, said = await maldon(nodes[0], "ring", "replace", old.address, new.address)
        assert (code, said.count("has them")) == (0, 4)
        assert f"{old.address}: nobody answers there (Connection refused)" in said
        run = [nodes[0], nodes[1], nodes[3], new]
        await settle(run)
        assert live(new) > 0
        assert await digests(new.asker()) == wanted
        copies = sum(live(node) for node in run)
        assert copies == 3 * len(wanted)
    finally:
        await new.stop()
