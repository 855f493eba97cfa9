"""Replicas of objects come to be the same on all disks, whatever each of them missed, lost or holds for others."""

import shutil

import pytest

from maldon.objectstore.daemons import replicate_objects
from maldon.objectstore.daemons.pay_debts import PayDebts
from maldon.objectstore.daemons.replicate_objects import ReplicateObjects
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import Put, Spot, Superseded
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.timestamp import TICKS, stamp
from tests.disks import lose_index
from tests.object_cloud import ACCOUNT
from tests.object_cluster import object_cluster

LARGE = bytes(range(251)) * 8000
HOUR = 3600 * TICKS


@pytest.fixture
async def nodes(tmp_path):
    async with object_cluster(tmp_path) as made:
        yield made


def placing_of(node):
    return Placing(node.cluster.rings, node.cluster.nodes, node.cluster.settings)


def disk(node):
    return node.cluster.nodes.own.devices["disk-1"]


async def round_of(node, later=0):
    """One round of a node, as if so much later; how many versions it brought to others."""
    devices = node.cluster.nodes.own.devices
    return await ReplicateObjects(devices, placing_of(node), node.cluster.policies, lambda: stamp() + later).once()


async def settle(nodes):
    """A round of each node, then one of each in which nothing is left to do; how many versions were brought."""
    brought = sum([await round_of(node) for node in nodes])
    assert [await round_of(node) for node in nodes] == [0] * len(nodes)
    return brought


async def versions(node):
    """Everything a disk holds, to the last stamp."""
    survey = Survey(disk(node))
    return [one for number in range(16) for one in await survey.held(0, 4, number)]


async def same(nodes):
    """What all disks hold, which is the same."""
    told = [await versions(node) for node in nodes]
    assert told[1:] == told[:-1]
    return told[0]


async def content(node, name):
    """The record and bytes of the copy on a node's own disk."""
    reading = await disk(node).read(0, Path(ACCOUNT, "c", name))
    body = reading.body
    return reading.record, body if isinstance(body, bytes) else b"".join([bytes(piece) async for piece in body])


async def test_a_node_that_was_away_has_everything_after_a_round(nodes):
    asker = nodes[0].asker()
    await asker("PUT", "c")
    for name, body in (("old", LARGE), ("gone", b"x"), ("described", b"y"), ("described-large", LARGE)):
        assert (await asker("PUT", f"c/{name}", body, X_Object_Meta_A="1")).status == 201
    await nodes[2].stop()
    assert (await asker("PUT", "c/small", b"bytes", X_Object_Meta_B="ü")).status == 201
    assert (await asker("PUT", "c/large", LARGE)).status == 201
    assert (await asker("PUT", "c/old", b"new")).status == 201
    assert (await asker("DELETE", "c/gone")).status == 204
    for name in ("described", "described-large"):
        assert (await asker("POST", f"c/{name}", X_Object_Meta_C="2")).status == 202
    assert await round_of(nodes[0]) == 0  # who does not answer is left for another time
    await nodes[2].start()
    assert await settle(nodes) == 6
    assert sum(one.deleted for one in await same(nodes)) == 1
    for name, body in (("small", b"bytes"), ("large", LARGE), ("old", b"new"), ("described-large", LARGE)):
        assert await content(nodes[2], name) == await content(nodes[0], name)
        assert (await content(nodes[2], name))[1] == body
    for name in ("described", "described-large"):
        headers = (await content(nodes[2], name))[0].headers
        assert {n: v for n, v in headers.items() if "meta" in n} == {"x-object-meta-c": "2"}
    assert (await content(nodes[2], "gone"))[0].deleted


async def test_a_wiped_disk_is_refilled(nodes, monkeypatch):
    monkeypatch.setattr(replicate_objects, "PAGE", 1)
    asker = nodes[0].asker()
    await asker("PUT", "c")
    for number in range(30):
        await asker("PUT", f"c/{number}", b"%d" % number)
    await asker("DELETE", "c/7")
    before = await same(nodes)
    await nodes[1].stop()
    shutil.rmtree(nodes[1].home / "objects" / "disk-1")
    await nodes[1].start()
    await nodes[2].stop()
    assert await versions(nodes[1]) == []
    assert await round_of(nodes[0]) == 30  # though another does not answer
    await nodes[2].start()
    assert await settle(nodes) == 0
    assert await same(nodes) == before
    assert [(await content(nodes[1], str(number)))[1] for number in (1, 29)] == [b"1", b"29"]


async def test_of_two_versions_the_newest_bytes_and_the_newest_metadata_win(nodes):
    """One disk has a late POST to the old bytes, another the new bytes, the third a tombstone between the two."""
    path, at = Path(ACCOUNT, "c", "o"), stamp()
    spot = Spot("disk-1", nodes[0].cluster.rings.object(0).partition(path))
    own = [node.cluster.nodes.own for node in nodes]
    await own[0].put_object(spot, path, Put(at, {"content-type": "text/a"}), b"old")
    await own[0].post_object(spot, path, at + 30, {"x-object-meta-late": "1"})
    await own[1].put_object(spot, path, Put(at + 20, {"content-type": "text/b"}), b"new")
    await own[2].delete_object(spot, path, at + 10)
    for _ in range(2):
        for node in nodes:
            await round_of(node)
    (held,) = await same(nodes)
    assert (held.timestamp, held.posted_at, held.deleted) == (at + 20, at + 30, False)
    told = [await content(node, "o") for node in nodes]
    assert told[1:] == told[:-1]
    assert (told[0][0].headers, told[0][1]) == ({"content-type": "text/b", "x-object-meta-late": "1"}, b"new")


async def test_what_is_damaged_on_one_disk_is_not_spread_and_comes_back(nodes):
    asker = nodes[0].asker()
    await asker("PUT", "c")
    await nodes[2].stop()
    for name in ("bad", "good"):
        await asker("PUT", f"c/{name}", name.encode() * 100)
    await nodes[2].start()
    (segment,) = (nodes[0].home / "objects" / "disk-1" / "segments").iterdir()
    at = segment.read_bytes().index(b"badbad")
    with segment.open("r+b") as file:
        file.seek(at)
        file.write(b"X")
    assert await round_of(nodes[0]) == 1
    assert await settle(nodes) == 2
    assert len(await same(nodes)) == 2
    assert {(await content(node, "bad"))[1] for node in nodes} == {b"bad" * 100}


def handed(placing):
    """An object whose replica on a node would tell that same node's replica of the container; the node's address."""
    book = placing.book(Path(ACCOUNT, "c"))
    for number in range(200):
        place = placing.object(Path(ACCOUNT, "c", f"o{number}"), 0)
        for one, other in zip(place.primaries, book.primaries, strict=True):
            if one.address == other.address:
                return f"o{number}", place, one.address
    raise AssertionError("the ring has none")


async def test_a_handoff_is_emptied_once_all_have_what_it_held_and_all_containers_were_told(tmp_path):
    async with object_cluster(tmp_path, count=4) as nodes:
        assert (await nodes[0].asker()("PUT", "c")).status == 201
        name, place, address = handed(placing_of(nodes[0]))
        at = {node.address: node for node in nodes}
        away = at[address]
        primaries = [at[one.address] for one in place.primaries]
        (handoff,) = [node for node in nodes if node not in primaries]
        await away.stop()
        asker = next(node for node in primaries if node is not away).asker()
        assert (await asker("PUT", f"c/{name}", b"held for another")).status == 201
        assert len(await versions(handoff)) == 1
        assert await round_of(handoff, HOUR) == 0
        assert len(await versions(handoff)) == 1  # one of those who should have it does not
        await handoff.stop()  # what it still has to tell is noted on its disk
        await away.start()
        await handoff.start()
        assert await round_of(handoff, HOUR) == 1
        assert (await content(away, name))[1] == b"held for another"
        assert len(await versions(handoff)) == 1  # the container was not told
        assert await PayDebts(handoff.cluster.nodes.own.devices, placing_of(handoff)).once() == 1
        assert await round_of(handoff) == 0
        assert len(await versions(handoff)) == 1  # it is too young
        assert await round_of(handoff, HOUR) == 0
        assert await versions(handoff) == []
        assert len(await same(primaries)) == 1
        assert (await away.asker()("GET", "c")).body == f"{name}\n".encode()


@pytest.mark.parametrize("posted", [0, 5])
async def test_bytes_and_a_tombstone_of_the_same_time_come_to_be_a_tombstone_everywhere(nodes, posted):
    path, at = Path(ACCOUNT, "c", "o"), stamp()
    spot = Spot("disk-1", nodes[0].cluster.rings.object(0).partition(path))
    own = [node.cluster.nodes.own for node in nodes]
    put = Put(at, {"content-type": "text/a"}, posted_at=at + posted)
    await own[0].put_object(spot, path, put, b"bytes")
    await own[1].delete_object(spot, path, at)
    await own[2].put_object(spot, path, put, b"bytes")
    await own[2].delete_object(spot, path, at)
    with pytest.raises(Superseded):
        await own[1].put_object(spot, path, put, b"bytes")
    with pytest.raises(Superseded):
        await own[1].delete_object(spot, path, at)
    await settle(nodes)
    (held,) = await same(nodes)
    assert (held.timestamp, held.deleted) == (at, True)
    for node in nodes:
        await node.stop()
        lose_index(node.home / "objects" / "disk-1")
        await node.start()
    assert await same(nodes) == [held]
