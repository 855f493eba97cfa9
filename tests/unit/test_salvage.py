"""Damaged books: found by looking through them, brought back from what can still be read, healed by their replicas."""

import os
import random

import apsw
import pytest

from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.salvage import flaw
from maldon.objectstore.daemons.audit_books import AuditBooks
from maldon.objectstore.daemons.replicate_books import ReplicateBooks
from maldon.objectstore.daemons.shard import Sharder
from maldon.objectstore.node import Home, Query, Row
from maldon.objectstore.path import Path
from tests.object_books import Cluster

BOX, ACCOUNT = Path("AUTH_ann", "box"), Path("AUTH_ann")
NAMES = [f"{n:05d}" for n in range(3000)]
PAGE = 4096


@pytest.fixture
def make_cluster(tmp_path):
    made = []

    def make(**wanted):
        made.append(Cluster(tmp_path, **wanted))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Node:
    """One node of a cluster and the loops that tend its books."""

    def __init__(self, cluster, address="n0"):
        self.cluster, self.books, self.shelf = cluster, cluster.books[address], cluster.shelf(address)
        self.spot = cluster.spot(BOX)
        self.auditor = AuditBooks(self.books, cluster.placings[address])
        self.replicator = ReplicateBooks(self.books, cluster.placings[address])

    async def fill(self, names=NAMES):
        await self.books.put_book(self.spot, BOX, 1, {"x-container-meta-tint": "red"})
        await self.books.update_book(self.spot, BOX, [Row(name, 5, 10, "text/x", "e" * 32) for name in names])
        await self.books.update_book(self.spot, BOX, [Row("gone", 5, deleted=True)])

    async def names(self, path=BOX):
        listing = await self.books.list_json(self.cluster.spot(path), path, Query())
        return None if listing is None else [item.name for item in listing.items()]

    @property
    def folder(self):
        return self.shelf.folder((self.spot.partition, BOX))

    def rest(self):
        """Everything in one file: no log, and nothing in it that does not count."""
        self.shelf.close()
        db = apsw.Connection(str(self.folder / "book.db"))
        db.execute("VACUUM")
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        db.close()
        return self.folder / "book.db"

    def damage(self, change, *marks):
        """Change bytes where marks are."""
        file = self.rest()
        content = file.read_bytes()
        for mark in marks:
            content = change(bytearray(content), content.index(mark))
        file.write_bytes(content)

    async def wrecks(self):
        return sorted(found.name for found in (self.shelf.root / "quarantined" / "containers").glob("*"))


def flipped(content, at):
    content[at] ^= 1
    return bytes(content)


def page_of_noise(content, at):
    start = at // PAGE * PAGE
    content[start : start + PAGE] = random.Random(1).randbytes(PAGE)
    return bytes(content)


async def test_a_sound_book_is_left_alone(make_cluster):
    node = Node(make_cluster())
    await node.fill()
    await node.books.update_book(node.spot, BOX, [Row("00003", 9, deleted=True), Row("00004", 9, 7, "t", "other")])
    await node.books.update_book(node.cluster.spot(ACCOUNT), ACCOUNT, [Row("box", 5, 70, count=7)])
    assert await node.auditor.once() == 0
    assert await node.auditor.salvage() == 0
    assert flaw(node.folder, 10**9) == ""


@pytest.mark.parametrize(
    ("mark", "change", "lost"),
    [
        pytest.param(b'"name":"01500"', flipped, 1, id="a bit of a row"),
        pytest.param(b'{"name":"01500"', page_of_noise, 60, id="a page of rows"),
    ],
)
async def test_damage_is_found_and_the_rest_is_brought_back(make_cluster, mark, change, lost):
    node = Node(make_cluster())
    await node.fill()
    node.damage(change, mark)
    assert await node.auditor.once() == 1
    assert len(await node.wrecks()) == 1
    assert await node.names() is None
    assert await node.auditor.salvage() == 1
    names = await node.names()
    assert names == sorted(set(names))
    assert 0 < len(NAMES) - len(names) <= lost
    book = await node.books.head_book(node.spot, BOX)
    assert (book.objects, book.size, book.headers["x-container-meta-tint"]) == (len(names), len(names) * 10, ("red", 1))
    assert "gone" in {row.name for row in node.cluster.rows(BOX) if row.deleted}
    assert flaw(node.folder, 10**9) == ""
    assert await node.auditor.salvage() == 0


async def test_several_pages_in_the_middle(make_cluster):
    node = Node(make_cluster())
    await node.fill()
    node.damage(page_of_noise, *(f'{{"name":"{name}"'.encode() for name in ("00500", "01500", "02500")))
    assert await node.auditor.once() == 1
    assert await node.auditor.salvage() == 1
    names = set(await node.names())
    assert 0 < len(NAMES) - len(names) <= 180
    assert {"00000", "01000", "02000", "02999"} <= names


async def test_what_came_meanwhile_stays(make_cluster):
    node = Node(make_cluster())
    await node.fill()
    node.damage(flipped, b'"name":"01500"')
    assert await node.auditor.once() == 1
    await node.books.put_book(node.spot, BOX, 20, {"x-container-meta-tint": "blue"})
    await node.books.update_book(node.spot, BOX, [Row("new", 21, 1), Row("00001", 21, deleted=True)])
    assert await node.auditor.salvage() == 1
    names = set(await node.names())
    assert names == {*NAMES, "new"} - {"00001", "01500"}
    book = await node.books.head_book(node.spot, BOX)
    assert (book.objects, book.headers["x-container-meta-tint"][0]) == (len(names), "blue")


async def test_a_book_that_was_set_aside_in_use_is_salvaged_too(make_cluster):
    node = Node(make_cluster())
    await node.fill()
    node.damage(page_of_noise, b'{"name":"01500"')
    assert await node.names() is None  # whoever lists comes upon it
    assert await node.auditor.salvage() == 1
    assert len(await node.names()) > 2900


async def test_a_replica_brings_the_rest(make_cluster):
    cluster = make_cluster(nodes=2)
    nodes = [Node(cluster, address) for address in cluster.books]
    for node in nodes:
        await node.fill()
    for node in nodes:
        await node.replicator.once()
    nodes[0].damage(page_of_noise, b'{"name":"01500"')
    await nodes[0].books.update_book(nodes[0].spot, BOX, [Row("only here", 8, 1)])
    assert await nodes[0].auditor.once() == 1
    assert await nodes[0].auditor.salvage() == 1
    for _ in range(2):
        for node in nodes:
            await node.replicator.once()
    assert [await node.names() for node in nodes] == [[*NAMES, "only here"]] * 2
    assert cluster.rows(BOX, "n0") == cluster.rows(BOX, "n1")


async def test_a_book_that_says_nothing_is_kept_and_comes_from_its_replica(make_cluster):
    cluster = make_cluster(nodes=2)
    nodes = [Node(cluster, address) for address in cluster.books]
    for node in nodes:
        await node.fill(["a", "b"])
    file = nodes[0].rest()
    file.write_bytes(os.urandom(len(file.read_bytes())))
    assert await nodes[0].auditor.once() == 1
    assert await nodes[0].auditor.salvage() == 0
    assert await nodes[0].auditor.salvage() == 0
    (wreck,) = await nodes[0].wrecks()
    assert (nodes[0].shelf.root / "quarantined" / "containers" / wreck / "salvaged").read_text() == "nothing\n"
    await nodes[1].replicator.all()
    assert await nodes[0].names() == ["a", "b"]


async def test_a_sharded_book_keeps_its_ranges(make_cluster):
    cluster = make_cluster(shard_rows=40)
    node = Node(cluster)
    await node.fill(NAMES[:100])
    while await Sharder(node.books, cluster.placings["n0"]).once():
        pass
    ranges = await node.books.read_ranges(node.spot, BOX)
    node.rest()
    node.shelf.set_aside(node.folder, "for a test")
    assert await node.auditor.salvage() == 1
    assert await node.names() == NAMES[:100]
    after = await node.books.read_ranges(node.spot, BOX)
    assert [(one.shard, one.home, one.left) for one in after] == [(one.shard, Home.SHARD, 0) for one in ranges]
    assert (await node.books.head_book(node.spot, BOX)).objects == 100


async def test_accounts_are_looked_through_as_well(make_cluster):
    node = Node(make_cluster())
    spot, names = node.cluster.spot(ACCOUNT), [f"{n:04d}" for n in range(500)]
    await node.books.update_book(spot, ACCOUNT, [Row(name, 5, 70, count=7) for name in names])
    node.shelf.close()
    folder = node.shelf.folder((spot.partition, ACCOUNT))
    db = apsw.Connection(str(folder / "book.db"))
    db.execute("UPDATE row SET size = 71 WHERE name = '0100'")
    db.close()
    assert await node.auditor.once() == 1
    assert await node.auditor.salvage() == 1
    assert await node.names(ACCOUNT) == [name for name in names if name != "0100"]
    book = await node.books.head_book(spot, ACCOUNT)
    assert (book.containers, book.objects, book.size) == (499, 499 * 7, 499 * 70)
    assert [found.name for found in (node.shelf.root / "quarantined").iterdir()] == [Kind.ACCOUNT.value]
