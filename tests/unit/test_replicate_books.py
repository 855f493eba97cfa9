"""Replicas of books come to say the same, whatever each of them heard, lost or never had."""

import asyncio
from array import array

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from maldon.kernel.errors import BadRequest
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.shipping import shipped
from maldon.objectstore.daemons import replicate_books
from maldon.objectstore.daemons.reclaim_books import ReclaimBooks
from maldon.objectstore.daemons.replicate_books import ReplicateBooks
from maldon.objectstore.daemons.shard import Sharder
from maldon.objectstore.node import Home, Query, Row, Shipment
from maldon.objectstore.path import Path, partition
from maldon.objectstore.ring.ring import Ring
from maldon.objectstore.timestamp import stamp
from tests.object_books import HASHED, Cluster

ACCOUNT, BOX = Path("AUTH_ann"), Path("AUTH_ann", "box")


@pytest.fixture
def make_cluster(tmp_path_factory):
    made = []

    def make(**wanted):
        made.append(Cluster(tmp_path_factory.mktemp("cluster"), **wanted))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def cluster(make_cluster):
    return make_cluster(nodes=3)


def replicators(cluster):
    return [ReplicateBooks(cluster.books[one], cluster.placings[one]) for one in cluster.books]


async def converge(cluster, *, everything=False):
    """Rounds until nobody has anything to push."""
    loops = replicators(cluster)
    for _ in range(6):
        pushed = [await (one.all() if everything else one.once()) for one in loops]
        if not any(pushed):
            return
    raise AssertionError("replicas do not settle")


def change_ring(cluster, ring):
    cluster.ring = ring
    for placing in cluster.placings.values():
        placing._rings.ring = ring


async def test_a_ring_that_changes_moves_books_that_did_not(make_cluster):
    cluster = make_cluster(nodes=3)
    devices = list(cluster.ring.devices.values())
    change_ring(cluster, Ring(2, devices, [array("H", [0] * 4)], HASHED))
    await cluster.books["n0"].put_book(cluster.spot(BOX), BOX, stamp(), {}, 0)
    loops = replicators(cluster)
    assert [await loop.once() for loop in loops] == [0, 0, 0]
    change_ring(cluster, Ring(2, devices, [array("H", [2] * 4)], HASHED, 1))
    assert [await loop.once() for loop in loops] == [1, 0, 0]
    held = [await cluster.books[one].head_book(cluster.spot(BOX), BOX) for one in cluster.books]
    assert [book is not None for book in held] == [False, False, True]


async def test_a_ring_of_other_partitions_finds_all_books_again(cluster):
    at = stamp()
    rows = [Row("o", at, 3, "text/x", "etag", measured_at=at)]
    for books in cluster.books.values():
        await books.put_book(cluster.spot(BOX), BOX, at, {}, 0)
        await books.update_book(cluster.spot(BOX), BOX, rows)
    before = cluster.spot(BOX)
    power = next(power for power in range(3, 12) if partition(HASHED(BOX), power) != before.partition)
    parts = 1 << power
    devices = list(cluster.ring.devices.values())
    change_ring(cluster, Ring(power, devices, [array("H", [n] * parts) for n in range(3)], HASHED, 1))
    await converge(cluster)
    for one in cluster.books:
        assert (await says(cluster, BOX, one))[1] == rows
        assert await cluster.books[one].head_book(before, BOX) is None


async def says(cluster, path, address):
    """What a replica says, to the last row and header."""
    book = await cluster.books[address].head_book(cluster.spot(path), path)
    return book, cluster.rows(path, address)


async def agreed(cluster, path=BOX):
    told = [await says(cluster, path, address) for address in cluster.books]
    assert told[0][0] is not None
    assert told[1:] == told[:-1]
    return told[0]


async def test_a_replica_that_heard_nothing_gets_the_whole(cluster):
    books = cluster.books["n1"]
    await books.put_book(cluster.spot(BOX), BOX, 5, {"x-container-read": ".r:*"}, 2)
    await books.update_book(cluster.spot(BOX), BOX, [Row("a", 6, 1, "t", "e"), Row("b", 7, deleted=True)])
    await books.update_book(cluster.spot(ACCOUNT), ACCOUNT, [Row("box", 5, 1, count=1)])
    await converge(cluster)
    book, rows = await agreed(cluster)
    assert (book.headers, book.policy, book.objects) == ({"x-container-read": (".r:*", 5)}, 2, 1)
    assert [(row.name, row.deleted) for row in rows] == [("a", False), ("b", True)]
    assert (await agreed(cluster, ACCOUNT))[0].containers == 1


async def test_what_each_heard_alone_all_know_afterwards(cluster):
    spot = cluster.spot(BOX)
    for n, books in enumerate(cluster.books.values()):
        await books.put_book(spot, BOX, 5, {})
        await books.post_book(spot, BOX, 10 + n, {"x-container-meta-a": f"{n}", f"x-container-meta-{n}": "1"})
        await books.update_book(
            spot, BOX, [Row(f"{n}", 20, 1), Row("all", 20 + n, n), Row("gone", 30 + n, deleted=n == 2)]
        )
    await converge(cluster)
    book, rows = await agreed(cluster)
    assert {name: value for name, (value, _) in book.headers.items()} == {
        "x-container-meta-a": "2", "x-container-meta-0": "1", "x-container-meta-1": "1", "x-container-meta-2": "1",
    }  # fmt: skip
    assert [(row.name, row.size, row.deleted) for row in rows] == [
        ("0", 1, False), ("1", 1, False), ("2", 1, False), ("all", 2, False), ("gone", 0, True),
    ]  # fmt: skip
    assert (book.objects, book.size) == (4, 5)


async def test_a_deletion_reaches_those_that_slept(cluster):
    spot = cluster.spot(BOX)
    for books in cluster.books.values():
        await books.put_book(spot, BOX, 5, {"x-container-read": "r"})
        await books.update_book(spot, BOX, [Row("a", 6, 1)])
    awake = cluster.books["n2"]
    await awake.update_book(spot, BOX, [Row("a", 7, deleted=True)])
    await awake.delete_book(spot, BOX, 8)
    await converge(cluster)
    book, _ = await agreed(cluster)
    assert (book.deleted, book.headers) == (True, {})
    await cluster.books["n0"].put_book(spot, BOX, 9, {}, 4)
    await converge(cluster)
    book, _ = await agreed(cluster)
    assert (book.deleted, book.policy, book.created_at) == (False, 4, 9)


async def test_replicas_that_agree_send_nothing(cluster):
    spot = cluster.spot(BOX)
    for books in cluster.books.values():
        await books.put_book(spot, BOX, 5, {})
        await books.update_book(spot, BOX, [Row(f"{n}", 6, 1) for n in range(50)])
    await converge(cluster)
    before = [
        cluster.shelf(one)._open[spot.partition, BOX].execute("SELECT seq FROM heading").get for one in cluster.books
    ]
    await converge(cluster, everything=True)
    after = [
        cluster.shelf(one)._open[spot.partition, BOX].execute("SELECT seq FROM heading").get for one in cluster.books
    ]
    assert after == before


async def test_a_replica_that_lost_rows_is_repaired(cluster):
    spot = cluster.spot(BOX)
    for books in cluster.books.values():
        await books.put_book(spot, BOX, 5, {})
        await books.update_book(spot, BOX, [Row(f"{n}", 6, 1) for n in range(20)])
    await cluster.books["n0"].update_book(spot, BOX, [Row("more", 7, 1)])
    await converge(cluster)
    cluster.shelf("n1").close()
    folder = cluster.shelf("n1").folder((spot.partition, BOX))
    (folder / "book.db").write_bytes(b"damaged" * 1000)
    assert await cluster.books["n1"].head_book(spot, BOX) is None
    await converge(cluster, everything=True)
    book, _ = await agreed(cluster)
    assert book.objects == 21


async def test_many_changes_go_as_one_file_and_are_merged(cluster, monkeypatch):
    monkeypatch.setattr(replicate_books, "FAR", 100)
    spot = cluster.spot(BOX)
    for books in cluster.books.values():
        await books.put_book(spot, BOX, 5, {})
    await cluster.books["n0"].update_book(spot, BOX, [Row(f"{n:05d}", 6, 1) for n in range(2500)])
    await cluster.books["n1"].update_book(spot, BOX, [Row("own", 6, 1), Row("00001", 8, deleted=True)])
    await converge(cluster)
    book, rows = await agreed(cluster)
    assert (book.objects, len(rows)) == (2500, 2501)
    for address in cluster.books:
        assert list(cluster.shelf(address).root.rglob(".*")) == []


async def test_a_book_that_belongs_elsewhere_goes_there(make_cluster):
    cluster = make_cluster(nodes=3)
    spot = cluster.spot(BOX)
    ring = cluster.ring
    ring._table = ring._table[:2]  # n2 holds nothing any more
    ring._nodes.clear()
    stray = cluster.books["n2"]
    await stray.put_book(spot, BOX, 5, {})
    await stray.update_book(spot, BOX, [Row("a", 6, 1)])
    cluster.cut.add("n1")
    loops = replicators(cluster)
    await loops[2].once()
    assert await stray.head_book(spot, BOX) is not None  # not everybody has it
    cluster.cut.clear()
    await loops[2].once()
    assert await stray.head_book(spot, BOX) is None
    assert [(await cluster.books[n].head_book(spot, BOX)).objects for n in ("n0", "n1")] == [1, 1]


async def test_what_is_no_book_is_refused(cluster):
    spot, books = cluster.spot(BOX), cluster.books["n0"]
    for body, size in ((b"no database at all", 18), (b"short", 100), (b"", 0)):
        with pytest.raises(BadRequest):
            await books.take_book(spot, BOX, Shipment("x", 1, size), body)
    await books.put_book(spot, BOX, 5, {})
    async with shipped(books.shelf(spot), (spot.partition, BOX)) as (shipment, pieces):
        with pytest.raises(BadRequest):
            await cluster.books["n1"].take_book(spot, Path("AUTH_bob", "box"), shipment, pieces)
    assert await cluster.books["n1"].head_book(spot, BOX) is None


async def test_sharded_replicas_settle(make_cluster):
    cluster = make_cluster(nodes=3, shard_rows=6)
    spot = cluster.spot(BOX)
    names = "abcdefghijkl"
    for n, books in enumerate(cluster.books.values()):
        await books.put_book(spot, BOX, 5, {})
        await books.update_book(spot, BOX, [Row(name, 6, 1) for name in names if ord(name) % 4 != n])
    for _ in range(4):
        for address, books in cluster.books.items():
            await Sharder(books, cluster.placings[address]).once()
            await ReplicateBooks(books, cluster.placings[address]).once()
    for address, books in cluster.books.items():
        listing = await books.list_json(spot, BOX, Query())
        assert [item.name for item in listing.items()] == list(names)
        assert {one.home for one in await books.read_ranges(spot, BOX)} == {Home.SHARD}
        assert cluster.rows(BOX, address) == []


WRITES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=12)


@settings(max_examples=10, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(rounds=st.lists(WRITES, min_size=1, max_size=3))
def test_replicas_converge_after_any_writes(tmp_path_factory, rounds):
    async def play():
        cluster = Cluster(tmp_path_factory.mktemp("cluster"), nodes=3)
        for books in cluster.books.values():
            await books.put_book(cluster.spot(BOX), BOX, 1, {})
        newest = {}
        at = 0
        for writes in rounds:
            for where, name, size, deleted in writes:
                at += 1
                row = Row(name, at, 0 if deleted else size, deleted=deleted, measured_at=at)
                await cluster.books[f"n{where}"].update_book(cluster.spot(BOX), BOX, [row])
                newest[name] = row
            await converge(cluster)
        book, rows = await agreed(cluster)
        assert rows == [newest[name] for name in sorted(newest)]
        assert book.objects == sum(not row.deleted for row in newest.values())
        cluster.close()

    asyncio.run(play())


async def test_what_was_deleted_long_ago_is_forgotten(make_cluster):
    cluster = make_cluster(nodes=1, reclaim_age_s=1000)
    books, spot, now = cluster.books["n0"], cluster.spot(BOX), stamp()
    assert BookSettings().reclaim_age_s > 1000
    old = now - 2000 * 100_000
    await books.put_book(spot, BOX, old, {})
    await books.update_book(spot, BOX, [Row("old", old, deleted=True), Row("new", now, deleted=True), Row("kept", old)])
    await books.put_book(cluster.spot(ACCOUNT), ACCOUNT, old - 1, {})
    await books.delete_book(cluster.spot(ACCOUNT), ACCOUNT, old)
    assert await ReclaimBooks(books).once() == 2
    assert [row.name for row in cluster.rows(BOX)] == ["kept", "new"]
    assert await books.head_book(cluster.spot(ACCOUNT), ACCOUNT) is None
    assert await ReclaimBooks(books).once() == 0
