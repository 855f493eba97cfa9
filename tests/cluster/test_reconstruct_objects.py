"""Every disk comes to have its own fragment of every object again, whatever it missed, lost or holds for others."""

import os
import random
import shutil

import pytest

from maldon.objectstore.coding.looking import look
from maldon.objectstore.coding.reading import read
from maldon.objectstore.daemons.pay_debts import PayDebts
from maldon.objectstore.daemons.reconstruct_objects import ReconstructObjects
from maldon.objectstore.daemons.replicate_objects import ReplicateObjects
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import Put, Spot
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.ring.builder import Plan, rebalance
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.file import write
from maldon.objectstore.timestamp import TICKS, stamp
from tests.object_cloud import ACCOUNT
from tests.object_cluster import object_cluster

CODE = "isa_l_rs_vand/4+2/65536"
LARGE = os.urandom(6_000_001)
BODIES = {"none": b"", "small": b"bytes", "some": os.urandom(100_000), "large": LARGE}
HOUR = 3600 * TICKS
ALL = [[(n, True)] for n in range(6)]


@pytest.fixture
async def nodes(tmp_path):
    async with object_cluster(tmp_path, count=6, code=CODE) as made:
        assert (await made[0].asker()("PUT", "c")).status == 201
        yield made


@pytest.fixture
async def seven(tmp_path):
    """One more than there are fragments."""
    async with object_cluster(tmp_path, count=7, code=CODE) as made:
        assert (await made[0].asker()("PUT", "c")).status == 201
        yield made


def placing_of(node):
    return Placing(node.cluster.rings, node.cluster.nodes, node.cluster.settings)


def disk(node):
    return node.cluster.nodes.own.devices["disk-1"]


def path(name):
    return Path(ACCOUNT, "c", name)


def in_order(nodes, name):
    """The nodes by the fragment of an object that is theirs; last those that have none."""
    at = {node.address: node for node in nodes}
    running = next(node for node in nodes if node.cluster is not None)
    order = [at[device.address] for device in placing_of(running).object(path(name), 1).primaries]
    return order + [node for node in nodes if node not in order]


async def put_all(nodes, **headers):
    for name, body in BODIES.items():
        assert (await nodes[0].asker()("PUT", f"c/{name}", body, **headers)).status == 201


async def held(nodes, name):
    """What each disk holds of an object, in the order of the fragments: fragment, whether it is durable."""
    found = []
    for node in in_order(nodes, name):
        records = await disk(node).versions(1, path(name)) if node.cluster else []
        found.append([(one.fragment, one.durable) for one in records])
    return found


async def round_of(node, later=0, *, thorough=False):
    """One round of a node, as if so much later; how many versions it brought to others."""
    loop = ReconstructObjects(node.cluster.nodes.own.devices, placing_of(node), lambda: stamp() + later)
    return await (loop.all() if thorough else loop.once())


async def settle(nodes, later=0, *, thorough=False):
    """Rounds of all nodes until one has nothing to do; how many versions were brought."""
    brought = []
    while not brought or brought[-1]:
        assert len(brought) < 9, brought
        brought.append(sum([await round_of(node, later, thorough=thorough) for node in nodes if node.cluster]))
    return sum(brought)


async def digests(node):
    return await Survey(disk(node)).partitions(1, 4)


async def test_what_is_whole_is_left_alone(nodes):
    await put_all(nodes)
    assert await settle(nodes, HOUR) == 0
    assert await settle(nodes, HOUR, thorough=True) == 0
    assert [await held(nodes, name) for name in BODIES] == [ALL] * len(BODIES)


async def test_a_wiped_disk_is_refilled_with_the_same_bytes(nodes):
    await put_all(nodes, X_Object_Meta_A="1")
    await nodes[0].asker()("PUT", "c/gone", b"x")
    await nodes[0].asker()("DELETE", "c/gone")
    lost = nodes[2]
    before = {}
    for name in BODIES:
        number = in_order(nodes, name).index(lost)
        before[name] = await content(lost, name, number)
    summed = await digests(lost)
    await lost.stop()
    shutil.rmtree(lost.home / "objects" / "disk-1")
    await lost.start()
    assert await digests(lost) == {}
    assert await settle(nodes) == len(BODIES) + 1
    assert await digests(lost) == summed
    for name in BODIES:
        assert await content(lost, name, in_order(nodes, name).index(lost)) == before[name]
    for node in [one for one in nodes if one is not lost][:2]:
        await node.stop()  # so that what was rebuilt is needed
    placing = placing_of(lost)  # and no proxy: it would ask for the container, which was on that disk too
    place = placing.object(path("large"), 1)
    version = await look(placing, place, path("large"))
    pieces = [piece async for piece in read(placing, place, path("large"), version, 0, len(LARGE))]
    assert b"".join(pieces) == LARGE


async def content(node, name, number):
    """The record and bytes of a fragment on a node's own disk."""
    (record,) = [one for one in await disk(node).versions(1, path(name)) if one.fragment == number]
    _, reading = await disk(node).fetch(1, disk(node).hash_path(path(name)), number, record.timestamp)
    body = reading.body
    body = body if isinstance(body, bytes) else b"".join([bytes(piece) async for piece in body])
    return (record.timestamp, record.posted_at, record.headers, record.size, record.etag, record.durable), body


async def test_two_wiped_disks_are_refilled_and_two_dead_neighbours_keep_nobody_from_it(nodes):
    await put_all(nodes)
    order = in_order(nodes, "large")
    for node in order[1:3]:
        await node.stop()
        shutil.rmtree(node.home / "objects" / "disk-1")
        await node.start()
    await settle(nodes)
    assert [await held(nodes, name) for name in BODIES] == [ALL] * len(BODIES)
    await order[3].stop()
    shutil.rmtree(order[3].home / "objects" / "disk-1")
    await order[3].start()
    await order[2].stop()  # who would look after it
    await settle(nodes)
    assert (await held(nodes, "large"))[3] == [(3, True)]


async def test_a_flipped_bit_is_read_over_and_mended(nodes):
    await put_all(nodes)
    small, large = in_order(nodes, "small")[1], in_order(nodes, "large")[2]
    (row,) = disk(small).index.find(1, disk(small).hash_path(path("small")))
    flip(disk(small).root / "segments" / disk(small).index.segment_name(row.segment), row.at + row.head + 40)
    (file,) = [found for found in (disk(large).root / "large").rglob("*-*") if found.stat().st_size > 400_000]
    flip(file, 300_000)
    for node in nodes:
        for name, body in BODIES.items():
            assert (await node.asker()("GET", f"c/{name}")).body == body
    damaged = [name for name in ("small", "large") if await held(nodes, name) != ALL]
    assert damaged == ["small", "large"]
    assert await settle(nodes) == 2
    assert [await held(nodes, name) for name in BODIES] == [ALL] * len(BODIES)


def flip(file, at):
    with file.open("r+b") as opened:
        opened.seek(at)
        (byte,) = opened.read(1)
        opened.seek(at)
        opened.write(bytes([byte ^ 1]))


async def test_a_node_that_was_away_has_everything_after_some_rounds(nodes):
    for name in ("old", "gone", "described"):
        assert (await nodes[0].asker()("PUT", f"c/{name}", name.encode(), X_Object_Meta_A="1")).status == 201
    away = nodes[4]
    await away.stop()
    await put_all(nodes)
    assert (await nodes[0].asker()("PUT", "c/old", LARGE)).status == 201
    assert (await nodes[0].asker()("DELETE", "c/gone")).status == 204
    assert (await nodes[0].asker()("POST", "c/described", X_Object_Meta_B="2")).status == 202
    assert await settle(nodes) == 0  # who does not answer is left for another time
    await away.start()
    assert await settle(nodes) == len(BODIES) + 3
    for name in (*BODIES, "old", "described"):
        assert await held(nodes, name) == ALL
    assert await held(nodes, "gone") == [[(-1, True)]] * 6
    (record,) = await disk(away).versions(1, path("described"))
    assert {n: v for n, v in record.headers.items() if n.startswith("x-object-meta-")} == {"x-object-meta-b": "2"}
    for node in in_order(nodes, "old"):
        if node is not away:
            await node.stop()
            break
    assert (await away.asker()("GET", "c/old")).body == LARGE


async def test_one_that_knows_that_a_version_counts_tells_all(nodes):
    assert (await nodes[0].asker()("PUT", "c/o", LARGE)).status == 201
    order = in_order(nodes, "o")
    (record,) = await disk(order[0]).versions(1, path("o"))
    parts = [(await content(node, "o", n))[1] for n, node in enumerate(order)]
    at = stamp()
    for n in range(5):  # as an upload does before it dies
        put = Put(at, record.headers, size=len(parts[n]), fragment=n, durable=False)
        await order[n].cluster.nodes.own.put_object(Spot("disk-1", 0, 1), path("o"), put, parts[n])
    assert await settle(nodes) == 0
    assert [one[0] for one in await held(nodes, "o")] == [(n, True) for n in range(6)]
    assert await disk(order[3]).commit(1, path("o"), at)
    assert await settle(nodes) == 5
    assert await held(nodes, "o") == ALL
    for node in nodes:
        (record,) = await disk(node).versions(1, path("o"))
        assert record.timestamp == at
        assert (await node.asker()("GET", "c/o")).body == LARGE


async def test_a_handoff_sends_its_fragment_home(seven):
    nodes = seven
    order = in_order(nodes, "large")
    away, handoff = order[2], order[6]
    await away.stop()
    proxy = order[0].asker()
    for name, body in (("large", LARGE), ("gone", b"x")):
        assert (await proxy("PUT", f"c/{name}", body)).status == 201
    assert (await proxy("DELETE", "c/gone")).status == 204
    assert (await held(nodes, "large"))[6] == [(2, True)]
    await away.start()
    await settle(nodes)
    assert (await held(nodes, "large"))[:6] == ALL
    for node in nodes:
        await node.stop()  # what is still to be told is noted then
    for node in nodes:
        await node.start()
    for node in nodes:
        await PayDebts(node.cluster.nodes.own.devices, placing_of(node)).once()
    await settle(nodes, HOUR)
    for name in ("large", "gone"):
        told = await held(nodes, name)
        assert (len(set(map(len, told[:6]))), told[6]) == (1, [])
    assert await settle(nodes, HOUR) == 0
    assert await disk(handoff).versions(1, path("large")) == []


async def test_a_changed_ring_is_followed(seven):
    """Everything may move at once: some disks get another fragment than they had, some none, one its first."""
    nodes = seven
    await put_all(nodes)
    before = {name: in_order(nodes, name) for name in BODIES}
    devices = tuple(RingDevice(n, 1, n, node.address, "disk-1", 1.0) for n, node in enumerate(nodes))
    plan = rebalance(Plan(4, 6, devices=devices), 1, random.Random(7)).plan
    for node in nodes:
        write(node.home / "rings" / "object-1.ring", plan)
        node.cluster.rings.look()
    moved = [name for name, order in before.items() if in_order(nodes, name) != order]
    assert moved
    for name, body in BODIES.items():
        assert (await nodes[0].asker()("GET", f"c/{name}")).body == body
    await settle(nodes, HOUR, thorough=True)
    assert [await held(nodes, name) for name in BODIES] == [[*ALL, []]] * len(BODIES)
    for name, body in BODIES.items():
        assert (await nodes[0].asker()("GET", f"c/{name}")).body == body


async def test_whole_copies_and_fragments_are_left_to_their_own_loops(nodes):
    await put_all(nodes)
    for node in nodes:
        replicator = ReplicateObjects(node.cluster.nodes.own.devices, placing_of(node), node.cluster.policies)
        assert await replicator.once() == 0
    assert (await nodes[0].asker()("PUT", "w", X_Storage_Policy="whole")).status == 201
    assert (await nodes[0].asker()("PUT", "w/o", b"x")).status == 201
    assert await settle(nodes) == 0
