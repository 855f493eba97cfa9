"""What an operator asks of a cluster and does to it: recon, rings that are handed round, disks that come."""

import asyncio
import json
import random
import shutil

import aiohttp
import pytest

from maldon import __version__
from maldon.objectstore import disks
from maldon.objectstore.node import Put, Spot, Teaching
from maldon.objectstore.path import Path
from maldon.objectstore.recon.passes import Passes, read_seen
from maldon.objectstore.ring.builder import rebalance
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.file import dump, read
from maldon.objectstore.timestamp import stamp
from maldon.web import metrics
from maldon.work.loops import Loop
from tests.object_cloud import ACCOUNT, object_store
from tests.object_cluster import object_cluster


@pytest.fixture
async def nodes(tmp_path):
    async with object_cluster(tmp_path) as made:
        yield made


async def ask(node, path, method="GET", *, key=True, body=None):
    """Status and body of a request to a storage node's port."""
    headers = {"x-maldon-cluster-key": node.cluster.secrets.cluster_key} if key else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{node.address}{path}", headers=headers, data=body) as answer,
    ):
        return answer.status, await answer.read()


async def recon(node, what):
    status, body = await ask(node, f"/recon/{what}", key=False)
    assert status == 200, body
    return json.loads(body)


async def test_a_node_says_what_swifts_recon_says(nodes):
    node = nodes[0]
    folder = str(node.home / "objects")
    assert await recon(node, "version") == {"version": __version__}
    assert abs(await recon(node, "time") - stamp() / 100_000) < 5
    assert (await recon(node, "mem"))["MemTotal"].endswith(" kB")
    assert set(await recon(node, "load")) == {"1m", "5m", "15m", "tasks", "processes"}
    assert {"tcp_in_use", "orphan", "time_wait", "tcp_mem_allocated_bytes"} <= set(await recon(node, "sockstat"))
    assert await recon(node, "devices") == {folder: ["disk-1"]}
    assert await recon(node, "unmounted") == []
    [usage] = await recon(node, "diskusage")
    assert (usage["device"], usage["mounted"], usage["size"]) == ("disk-1", True, usage["used"] + usage["avail"])
    assert await recon(node, "quarantined") == {"accounts": 0, "containers": 0, "objects": 0, "policies": {}}
    assert await recon(node, "async") == {"async_pending": 0}
    sums = await recon(node, "ringmd5")
    assert set(sums) == {str(node.home / "rings" / f"{name}.ring") for name in ("account", "container", "object")}
    assert {file.rpartition("/")[2]: md5 for file, md5 in sums.items()} == {
        file.rpartition("/")[2]: md5 for file, md5 in (await recon(nodes[1], "ringmd5")).items()
    }
    for what in ("replication/account", "replication/container"):
        assert (await recon(node, what))["replication_time"] is None
    assert await recon(node, "expirer/object") == {"object_expiration_pass": None, "expired_last_pass": None}
    assert (await ask(node, "/recon/driveaudit"))[0] == 404
    assert (await ask(node, "/recon/mem", "PUT", body=b""))[0] == 405


async def test_passes_of_loops_are_seen_by_all(nodes):
    node, clock = nodes[0], iter([100.0, 107.5, 107.5, 200.0, 201.0, 201.0])
    passes = Passes(node.home / "objects", lambda: next(clock))
    did = iter([3])

    async def once():
        return next(did)

    async def fails():
        raise OSError("the disk is gone")

    await passes.watched(Loop("replicate objects", once, 60.0)).once()
    assert (await recon(node, "replication/object"))["object_replication_time"] == 0.125
    assert (await recon(node, "replication/object"))["object_replication_last"] == 107.5
    with pytest.raises(OSError, match="gone"):
        await passes.watched(Loop("pay debts", fails, 5.0)).once()
    seen = read_seen(node.home / "objects").loops
    assert (seen["pay debts"].failures, seen["pay debts"].error) == (1, "OSError('the disk is gone')")
    assert (seen["replicate objects"].did, seen["replicate objects"].failures) == (3, 0)


async def test_a_debt_and_a_quarantine_are_counted(nodes):
    node = nodes[0]
    device = node.cluster.nodes.own.devices["disk-1"]
    path = Path(ACCOUNT, "c", "o")
    await device.put(0, path, Put(stamp(), {}), b"bytes", [Teaching("127.0.0.1:1", Spot("disk-1", 0))])
    await device.put(0, Path(ACCOUNT, "c", "p"), Put(stamp(), {}), b"bytes")
    [row] = device.index.find(0, device.hash_path(Path(ACCOUNT, "c", "p")))
    await device.set_aside(row)
    await node.stop()  # what is still to be told is noted by then
    await node.start()
    assert await recon(node, "async") == {"async_pending": 1}
    assert await recon(node, "quarantined") == {
        "accounts": 0, "containers": 0, "objects": 1, "policies": {"0": {"objects": 1}},
    }  # fmt: skip


async def test_verbs_and_groups_are_counted(nodes):
    asker = nodes[0].asker()
    await asker("PUT", "c")
    before = metrics.counted()
    await asker("PUT", "c/o", b"bytes")
    after = metrics.counted()
    verbs = {verb: n for service, _, verb, status, n in after.requests if (service, status) == ("object-storage", 200)}
    had = {verb: n for service, _, verb, status, n in before.requests if (service, status) == ("object-storage", 200)}
    assert verbs["put_object"] - had.get("put_object", 0) == 2  # the third is this process' own disk
    assert sum(after.seconds["object-storage"][:-1]) > sum(before.seconds["object-storage"][:-1])
    counts = [node.cluster.nodes.own.devices["disk-1"].commits.counts for node in nodes]
    assert [(one.records, sum(one.groups), one.small_bytes > 100) for one in counts] == [(1, 1, True)] * 3


async def test_a_proxy_answers_recon_only_when_asked_for(tmp_path):
    async with object_store(tmp_path / "a") as store:
        assert (await store.raw("GET", "/recon/version")).status == 404
    async with object_store(tmp_path / "b", without=("tempauth",)) as store:
        assert json.loads((await store.raw("GET", "/recon/version")).body) == {"version": __version__}
        assert (await store.raw("GET", "/recon/nothing")).status == 404
        assert (await store.raw("PUT", "/recon/version")).status == 405


async def test_what_a_disk_holds_is_told_in_every_detail(nodes):
    asker = nodes[0].asker()
    await asker("PUT", "c", X_Container_Meta_A="1")
    await asker("PUT", "c/small", b"bytes", X_Object_Meta_B="2")
    await asker("PUT", "c/large", bytes(1_300_000))
    node = nodes[1]
    assert (await ask(node, f"/held/disk-1/0/{ACCOUNT}/c/small", key=False))[0] == 403
    for path, body in (("small", b"bytes"), ("large", bytes(1_300_000))):
        status, told = await ask(node, f"/held/disk-1/0/{ACCOUNT}/c/{path}")
        [one] = json.loads(told)
        assert (status, one["path"], one["size"]) == (200, f"/{ACCOUNT}/c/{path}", len(body))
        assert (one["state"], one["durable"], one["checksum"], one["owed"]) == ("object", True, "right", [])
        assert (one["file"] is None) == (path == "small")
    await node.cluster.nodes.own.settle()
    book = json.loads((await ask(node, f"/held/disk-1/0/{ACCOUNT}/c"))[1])
    assert (book["path"], book["objects"], book["bytes"], book["state"]) == (f"/{ACCOUNT}/c", 2, 1_300_005, "there")
    assert (book["headers"], book["sharded"], book["shards"]) == ({"x-container-meta-a": "1"}, False, [])
    assert json.loads((await ask(node, f"/held/disk-1/0/{ACCOUNT}"))[1])["state"] == "there"
    assert json.loads((await ask(node, "/held/disk-1/0/AUTH_nobody"))[1]) is None
    bad = ("/held/disk-9/0/a", "/held/disk-1/0/", "/held/..%2f/0/a", "/held/disk-1/x/a", "/held/disk-1/0/%00")
    assert [(await ask(node, path))[0] for path in bad] == [404, 400, 400, 400, 400]
    [segment] = (node.home / "objects" / "disk-1" / "segments").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b"bytes", b"bytez"))
    [one] = json.loads((await ask(node, f"/held/disk-1/0/{ACCOUNT}/c/small"))[1])
    assert one["checksum"] == "wrong: the body is not what was written"


async def test_a_ring_is_handed_to_a_node_and_in_force_at_once(nodes):
    node = nodes[0]
    file = node.home / "rings" / "object.ring"
    plan = read(file)
    later = rebalance(plan, 2, random.Random(1)).plan
    assert (await ask(node, "/rings/object"))[1] == file.read_bytes()
    assert (await ask(node, "/rings/object", "PUT", key=False, body=dump(later)))[0] == 403
    assert (await ask(node, "/rings/object", "PUT", body=dump(later)))[0] == 200
    assert node.cluster.rings.object(0).version == later.version == 2
    assert (await ask(node, "/rings/object", "PUT", body=dump(later)))[0] == 200  # the same again
    status, said = await ask(node, "/rings/object", "PUT", body=dump(plan))
    assert (status, "somebody else changed it" in said.decode()) == (409, True)
    assert (await ask(node, "/rings/object", "PUT", body=b"nonsense"))[0] == 409
    assert (await ask(node, "/rings/object-7"))[0] == 404
    assert read(file).version == 2


async def test_a_disk_that_a_ring_begins_to_name_is_taken_into_use(nodes, monkeypatch):
    monkeypatch.setattr(disks, "LOOK_S", 0.05)
    node = nodes[0]
    await node.stop()
    await node.start(tends=True)
    more = RingDevice(9, 1, 1, node.address, "disk-2", 1.0)
    plan = read(node.home / "rings" / "object.ring").with_device(more)
    await ask(node, "/rings/object", "PUT", body=dump(rebalance(plan, 2, random.Random(1)).plan))
    async with asyncio.timeout(10):
        while "disk-2" not in node.cluster.nodes.own.devices:
            await asyncio.sleep(0.02)
    at = Spot("disk-2", 0)
    await node.cluster.nodes.own.put_object(at, Path("a", "c", "o"), Put(stamp(), {}), b"x")
    async with asyncio.timeout(10):
        while (await recon(node, "node"))["disks"]["disk-2"]["state"] != "ok":
            await asyncio.sleep(0.02)


async def test_one_absent_disk_keeps_nobody_from_the_rest(tmp_path):
    (tmp_path / "objects" / "disk-2").mkdir(parents=True)  # a mount point, and nothing is mounted
    async with object_store(tmp_path, devices=("disk-1", "disk-2"), without=("tempauth",)) as store:
        assert (await store("PUT", "c")).status == 201
        assert json.loads((await store.raw("GET", "/recon/unmounted")).body) == [{"device": "disk-2", "mounted": False}]
    shutil.rmtree(tmp_path / "objects")
    (tmp_path / "objects" / "disk-1").mkdir(parents=True)
    with pytest.raises(Exception, match="There is no disk"):
        async with object_store(tmp_path):
            pass
