"""What a proxy believes, and whom it asks, when nodes are away, hang, or know less than others."""

import asyncio
import contextlib
import socket
from array import array

import pytest

from maldon.objectstore.node import NoSpace, Put, Spot, Superseded
from maldon.objectstore.path import Path, PathHash
from maldon.objectstore.proxy.object import write
from maldon.objectstore.proxy.placing import Place, Placing
from maldon.objectstore.proxy.quorum import Spares
from maldon.objectstore.proxy.removing import remove
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.ring import Ring
from maldon.objectstore.settings import ObjectSettings
from maldon.objectstore.timestamp import stamp
from tests.object_books import OneRing
from tests.object_cloud import ACCOUNT
from tests.object_cluster import object_cluster

OBJECT = Path(ACCOUNT, "c", "o")


@pytest.fixture
async def nodes(tmp_path):
    async with object_cluster(tmp_path) as made:
        asker = made[0].asker()
        assert (await asker("PUT", "c")).status == 201
        yield made


def at(node, path=OBJECT):
    return Spot("disk-1", node.cluster.rings.object(0).partition(path))


@contextlib.contextmanager
def silence(address):
    """Somebody who takes connections and never answers."""
    host, _, port = address.partition(":")
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((host, int(port)))
        listening.listen(512)
        yield


async def test_a_node_that_hangs_is_soon_asked_no_more(nodes):
    asker = nodes[0].asker()
    patience, address = asker.proxy.store.placing.patience, nodes[2].address
    await nodes[2].stop()
    device = RingDevice(2, 1, 2, address, "disk-1", 1.0)
    with silence(address):
        for number in range(20):
            assert (await asker("PUT", f"c/{number}", b"x")).status == 201
            if patience.resting(device):
                break
        assert patience.resting(device)
        async with asyncio.timeout(60):  # a tenth of what it took if each of them waited
            for number in range(60):
                assert (await asker("PUT", f"c/{number}", b"y")).status == 201
                assert (await asker("GET", f"c/{number}")).body == b"y"
    assert patience.resting(device)
    await nodes[2].start()


async def test_what_was_deleted_is_not_read_from_a_replica_that_did_not_hear_of_it(tmp_path):
    async with object_cluster(tmp_path, count=4) as four:
        asker, before, after = four[0].asker(), stamp(), stamp()
        assert (await asker("PUT", "c")).status == 201
        for node in four:
            primaries = {one.address for one in asker.proxy.store.placing.object(OBJECT, 0).primaries}
            if node.address in primaries:
                await node.cluster.nodes.own.delete_object(at(node), OBJECT, after)
            else:
                await node.cluster.nodes.own.put_object(at(node), OBJECT, Put(before, {}), b"old")
        assert [(await node.asker()(method, "c/o")).status for node in four for method in ("GET", "HEAD")] == [404] * 8


async def test_the_newest_is_not_told_by_one_of_three(nodes):
    asker = nodes[0].asker()
    assert (await asker("PUT", "c/o", b"x")).status == 201
    await nodes[1].stop()
    assert (await asker("GET", "c/o", X_Newest="true")).body == b"x"
    await nodes[2].stop()
    assert (await asker("GET", "c/o", X_Newest="true")).status == 503
    assert (await asker("GET", "c/o")).body == b"x"
    await nodes[1].start()
    await nodes[2].start()


async def test_nothing_is_not_told_where_those_who_might_know_are_left_alone(nodes):
    asker = nodes[0].asker()
    patience = asker.proxy.store.placing.patience
    for node in nodes[1:]:
        await node.cluster.nodes.own.put_object(at(node), OBJECT, Put(stamp(), {}), b"x")
    assert (await asker("GET", "c/o")).body == b"x"
    for node in nodes[1:]:
        patience.failed(RingDevice(0, 1, 0, node.address, "disk-1", 1.0), NoSpace("full"))
    assert (await asker("GET", "c/o")).status == 503


async def test_metadata_is_not_taken_when_only_one_replica_has_the_object(nodes):
    asker = nodes[0].asker()
    await nodes[1].cluster.nodes.own.put_object(at(nodes[1]), OBJECT, Put(stamp(), {}), b"x")
    assert (await asker("POST", "c/o", X_Object_Meta_A="1")).status == 503
    await nodes[0].cluster.nodes.own.put_object(at(nodes[0]), OBJECT, Put(stamp(), {}), b"x")
    assert (await asker("POST", "c/o", X_Object_Meta_A="1")).status == 202
    assert (await asker("POST", "c/nothing", X_Object_Meta_A="1")).status == 404


def spares(nodes, disks, replicas=3):
    """For a thing on the first disks of the first nodes."""
    devices = [
        RingDevice(n * disks + k, 1, n, f"n{n}", f"d{k}", 1.0) for n in range(nodes) for k in range(disks)
    ]  # fmt: skip
    table = [array("H", [(n % nodes) * disks + n // nodes] * 4) for n in range(replicas)]
    ring = Ring(2, devices, table, PathHash(b"before", b"after"))
    placing = Placing(OneRing(ring), None, ObjectSettings())
    return Spares(placing, Place(ring, 0, 0, ring.nodes(0))), ring.nodes(0)


def places(chosen):
    return [None if one is None else (one.address, one.device) for one in chosen]


def test_no_node_is_given_two_replicas_of_one_thing():
    found, primaries = spares(nodes=5, disks=2)
    others = [found.instead_of(primaries[0]) for _ in range(3)]
    assert {one.address for one in others} == {"n0", "n3", "n4"}  # another disk of the node that failed is as good
    assert found.instead_of(primaries[1]).address == "n1"
    assert found.instead_of(primaries[1]) is None


def test_where_there_are_fewer_nodes_than_replicas_every_disk_is_as_good():
    found, primaries = spares(nodes=2, disks=3)
    assert {one.address for one in (found.instead_of(primaries[0]) for _ in range(3))} == {"n0", "n1"}
    assert places([found.instead_of(primaries[0])]) == [None]


@pytest.mark.parametrize("body", [b"bytes", bytes(3_000_000)], ids=["small", "large"])
async def test_what_a_replicator_brought_meanwhile_is_as_good_as_written(nodes, body):
    store, at_ = nodes[0].asker().proxy.store, stamp()
    place = store.placing.object(OBJECT, 0)
    for node in nodes[:2]:
        await node.cluster.nodes.own.put_object(at(node), OBJECT, Put(at_, {}), body)

    async def pieces():
        yield body

    record = await write(store, OBJECT, place, Put(at_, {}, size=len(body)), body if len(body) < 10 else pieces())
    assert (record.timestamp, record.size) == (at_, len(body))
    assert [(await node.asker()("GET", "c")).body for node in nodes] == [b"o\n"] * 3
    for node in nodes[:2]:
        await node.cluster.nodes.own.delete_object(at(node), OBJECT, at_ + 1)
    assert any(held is not None for held in await remove(store.placing, place, OBJECT, at_ + 1))
    assert [(await node.asker()("GET", "c")).body for node in nodes] == [b""] * 3
    with pytest.raises(Superseded):
        await write(store, OBJECT, place, Put(at_, {}, size=5), b"bytes")


async def test_the_newest_is_found_where_no_primary_has_it(tmp_path):
    async with object_cluster(tmp_path, count=4) as four:
        asker, before, after = four[0].asker(), stamp(), stamp()
        assert (await asker("PUT", "c")).status == 201
        primaries = {one.address for one in asker.proxy.store.placing.object(OBJECT, 0).primaries}
        for node in four:
            version = (before, b"old") if node.address in primaries else (after, b"new")
            await node.cluster.nodes.own.put_object(at(node), OBJECT, Put(version[0], {}), version[1])
        assert [(await node.asker()("GET", "c/o", X_Newest="true")).body for node in four] == [b"new"] * 4
