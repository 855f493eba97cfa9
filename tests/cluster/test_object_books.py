"""Accounts and containers over storage nodes that speak HTTP: what one slept through, it hears of afterwards."""

import shutil
from dataclasses import replace

import pytest

from maldon.objectstore.books.ranges import Ranges
from maldon.objectstore.daemons.replicate_books import ReplicateBooks
from maldon.objectstore.daemons.shard import Sharder
from maldon.objectstore.daemons.tell_accounts import TellAccounts
from maldon.objectstore.node import Home, Query
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from tests.object_cloud import ACCOUNT, Stepped
from tests.object_cluster import object_cluster

BOX = Path(ACCOUNT, "box")


@pytest.fixture
async def nodes(tmp_path):
    async with object_cluster(tmp_path) as made:
        yield made


class Loops:
    """The loops of one node over its books."""

    def __init__(self, node):
        cluster = node.cluster
        self.own = cluster.nodes.own
        self.books = self.own.books
        self.placing = Placing(cluster.rings, cluster.nodes, cluster.settings)
        self.replicator = Stepped(self.own, ReplicateBooks(self.books, self.placing))
        self.sharder = Stepped(self.own, Sharder(self.books, self.placing))
        self.teller = Stepped(self.own, TellAccounts(self.books, self.placing))

    async def holds(self, path):
        """What this node's own disk says of a book."""
        place = self.placing.book(path)
        spot = place.spot(place.primaries[0])
        listing = await self.own.list_json(spot, path, Query())
        if listing is None:
            return None
        book = listing.book
        return book.deleted, book.objects, book.size, book.headers, [item.name for item in listing.items()]


async def test_a_node_that_slept_hears_of_everything(nodes):
    asker = nodes[0].asker()
    assert (await asker("PUT", "box", X_Container_Meta_Tint="red")).status == 201
    await nodes[2].stop()
    assert (await asker("PUT", "other")).status == 201
    for n in range(5):
        assert (await asker("PUT", f"box/{n}", b"12345")).status == 201
    assert (await asker("DELETE", "box/0")).status == 204
    assert (await asker("POST", "box", X_Container_Meta_Tint="blue")).status == 204
    await nodes[2].start()
    loops = [Loops(node) for node in nodes]
    for one in loops:
        await one.replicator.all()
    for path in (BOX, Path(ACCOUNT, "other"), Path(ACCOUNT)):
        told = [await one.holds(path) for one in loops]
        assert told[1:] == told[:-1], path
    assert told[0][4] == ["box", "other"]
    deleted, objects, size, headers, names = await loops[2].holds(BOX)
    assert (deleted, objects, size, names) == (False, 4, 20, ["1", "2", "3", "4"])
    assert headers["x-container-meta-tint"][0] == "blue"
    assert [await one.replicator.all() for one in loops] == [0, 0, 0]


async def test_a_disk_that_was_wiped_gets_its_books_whole(nodes):
    asker = nodes[0].asker()
    await asker("PUT", "box")
    for n in range(20):
        await asker("PUT", f"box/{n:02d}", b"12345")
    loops = [Loops(node) for node in nodes]
    before = await loops[1].holds(BOX)
    for shelf in loops[1].books.shelves.values():
        for kind in ("accounts", "containers"):
            (shelf.root / kind).rename(shelf.root / f"lost-{kind}")
    assert await loops[1].holds(BOX) is None
    for one in loops:
        await one.replicator.all()
    assert await loops[1].holds(BOX) == before


async def filled(nodes):
    """The nodes' loops and the names of a box with more rows than a shard may have from now on."""
    asker, names = nodes[0].asker(), [f"{n:02d}" for n in range(20)]
    await asker("PUT", "box")
    for name in names:
        assert (await asker("PUT", f"box/{name}", b"12345")).status == 201
    loops = [Loops(node) for node in nodes]
    for one in loops:
        for shelf in one.books.shelves.values():
            shelf.settings = replace(shelf.settings, shard_rows=8)
    return loops, names


async def test_a_container_is_sharded_over_nodes(nodes):
    loops, names = await filled(nodes)
    for _ in range(3):
        for one in loops:
            await one.sharder.once()
            await one.teller.all()
            await one.replicator.once()
    place = loops[0].placing.book(BOX)
    for one in loops:
        ranges = await one.books.read_ranges(place.spot(place.primaries[0]), BOX)
        assert {part.home for part in ranges} == {Home.SHARD}
    for node in nodes:
        assert (await node.asker()("PUT", f"box/{node.address}", b"12345")).status == 201
        names.append(node.address)
    for node in nodes:
        assert (await node.asker()("GET", "box")).body.decode().split() == sorted(names)
        assert (await node.asker()("GET", "box", query="prefix=1&limit=3")).body.decode().split() == ["10", "11", "12"]
    await nodes[1].stop()
    for node in (nodes[0], nodes[2]):
        assert (await node.asker()("GET", "box")).body.decode().split() == sorted(names)
    assert (await nodes[0].asker()("DELETE", "box/10")).status == 204
    assert "10" not in (await nodes[0].asker()("GET", "box")).body.decode().split()


async def test_empty_shards_are_joined_over_nodes(nodes):
    loops, names = await filled(nodes)

    async def tend():
        for _ in range(4):
            for one in loops:
                await one.sharder.once()
                await one.teller.all()
                await one.replicator.once()

    await tend()
    for name in names[4:]:
        assert (await nodes[0].asker()("DELETE", f"box/{name}")).status == 204
    await tend()
    place = loops[0].placing.book(BOX)
    for one, node in zip(loops, nodes, strict=True):
        ranges = Ranges(await one.books.read_ranges(place.spot(place.primaries[0]), BOX)).living
        assert [(part.home, part.lower, part.upper) for part in ranges] == [(Home.SHARD, "", "")]
        told = await node.asker()("GET", "box")
        assert told.body.decode().split() == names[:4]
        assert (told.headers["x-container-object-count"], told.headers["x-container-bytes-used"]) == ("4", "20")
    await nodes[1].stop()
    assert (await nodes[2].asker()("PUT", "box/99", b"12345")).status == 201
    assert (await nodes[0].asker()("GET", "box", query="reverse=on&limit=2")).body.decode().split() == ["99", "03"]


async def test_a_disk_that_was_replaced_gets_its_books_though_they_did_not_change(nodes):
    asker = nodes[0].asker()
    assert (await asker("PUT", "box", X_Container_Meta_Tint="red")).status == 201
    assert (await asker("PUT", "box/o", b"bytes")).status == 201
    loops = [Loops(node) for node in nodes]
    for one in loops:
        await one.replicator.once()
    before = await loops[1].holds(BOX)
    assert [await one.replicator.once() for one in loops] == [0, 0, 0]
    await nodes[1].stop()
    shutil.rmtree(nodes[1].home / "objects" / "disk-1")
    await nodes[1].start()
    wiped = Loops(nodes[1])
    assert await wiped.holds(BOX) is None
    assert await loops[0].replicator.once() == 2  # the container and its account
    assert await wiped.holds(BOX) == before
    assert await loops[0].replicator.once() == 0
