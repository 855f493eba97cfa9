"""Sharded containers: lists, rows, totals and removal are as those of one book, at every instant of the splitting."""

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from maldon.kernel.errors import Conflict, Unavailable
from maldon.objectstore.books.ranges import JOINING_HEADER, Ranges, shard_path
from maldon.objectstore.daemons.reclaim_books import ReclaimBooks
from maldon.objectstore.daemons.replicate_books import ReplicateBooks
from maldon.objectstore.daemons.shard import Sharder
from maldon.objectstore.daemons.tell_accounts import TellAccounts
from maldon.objectstore.node import Home, Query, Row
from maldon.objectstore.path import Path
from maldon.objectstore.timestamp import TICKS, stamp
from tests.object_books import Cluster
from tests.unit.test_books_listing import TEXT, scanned

BOX = Path("AUTH_ann", "box")


@pytest.fixture(scope="module")
def make_cluster(tmp_path_factory):
    made = []

    def make(**wanted):
        made.append(Cluster(tmp_path_factory.mktemp("cluster"), **wanted))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Box:
    """The container of a cluster, and the loops that tend it."""

    def __init__(self, cluster, address="n0"):
        self.cluster, self.books, self.spot = cluster, cluster.books[address], cluster.spot(BOX)
        self.sharder = Sharder(self.books, cluster.placings[address])
        self.teller = TellAccounts(self.books, cluster.placings[address])

    async def make(self):
        await self.books.put_book(self.spot, BOX, 1, {}, 3)
        return self

    async def put(self, names, timestamp=2):
        assert await self.books.update_book(
            self.spot, BOX, [Row(name, timestamp, 1, "t", "e", policy=3) for name in names]
        )

    async def remove(self, names, timestamp=3):
        assert await self.books.update_book(self.spot, BOX, [Row(name, timestamp, deleted=True) for name in names])

    async def names(self, query=Query()):  # noqa: B008 - frozen
        listing = await self.books.list_json(self.spot, BOX, query)
        names = [item.subdir or item.name for item in listing.items()]
        assert listing.count == len(names)
        return names

    async def settle(self):
        """Until there is nothing left to split or tell."""
        while await self.sharder.once() + await self.teller.all():
            pass

    async def totals(self):
        book = await self.books.head_book(self.spot, BOX)
        return book.objects, book.size

    async def homes(self):
        return [one.home for one in await self.books.read_ranges(self.spot, BOX)]


@settings(max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    first=st.sets(TEXT.filter(bool), min_size=7, max_size=16),
    second=st.sets(TEXT.filter(bool), max_size=16),
    queries=st.lists(st.builds(
        Query, limit=st.integers(0, 12), marker=TEXT, end_marker=TEXT, prefix=TEXT,
        delimiter=st.sampled_from(["", "/", "a", "/-"]), reverse=st.booleans(), leaves=st.booleans(),
    ), min_size=20, max_size=20),
)  # fmt: skip
def test_a_sharded_container_lists_as_one_book(make_cluster, first, second, queries):
    async def compare():
        cluster = make_cluster(shard_rows=6)
        box = await Box(cluster).make()
        await box.put(first)
        await box.settle()
        assert len(await box.homes()) > 1
        await box.put(second)
        await box.settle()
        for query in queries:
            assert await box.names(query) == scanned(first | second, query), query
        assert await box.totals() == (len(first | second),) * 2
        cluster.close()

    asyncio.run(compare())


async def test_pages_of_subdirectories_go_on_over_shards(make_cluster):
    box = await Box(make_cluster(shard_rows=10)).make()
    names = [f"{a}/{b}" for a in "abcde" for b in range(12)] + ["b", "z"]
    await box.put(names)
    await box.settle()
    for reverse in (False, True):
        found, marker = [], ""
        while page := await box.names(Query(delimiter="/", limit=2, marker=marker, reverse=reverse)):
            found += page
            marker = page[-1]
        assert found == sorted(["a/", "b", "b/", "c/", "d/", "e/", "z"], reverse=reverse)


async def test_what_is_written_while_it_is_split_is_kept_and_seen_at_once(make_cluster):
    box = await Box(make_cluster(shard_rows=300)).make()
    await box.put([f"{n:05d}" for n in range(1000)])
    splitting = asyncio.ensure_future(box.sharder.once())
    wanted = {f"{n:05d}" for n in range(1000)}
    for n in itertools.count():
        new, old = f"{n * 37 % 1000:05d}-{n}", f"{n * 91 % 1000:05d}"
        await box.put([new])
        await box.remove([old])
        wanted = (wanted | {new}) - {old}
        assert new in await box.names(Query(prefix=new))
        assert await box.names(Query(prefix=old, limit=1, end_marker=old + "-")) == []
        if splitting.done() and n > 50:
            break
    await splitting
    assert set(await box.homes()) == {Home.SHARD}
    assert await box.names() == sorted(wanted)
    await box.settle()
    assert await box.totals() == (len(wanted),) * 2
    assert box.cluster.rows(BOX) == []


async def test_shards_that_grow_are_split_and_their_heirs_belong_to_the_root(make_cluster):
    box = await Box(make_cluster(shard_rows=20)).make()
    wanted = []
    for n in range(10):  # always at the end, as names with dates are
        wanted += [f"{n:02d}-{m:02d}" for m in range(15)]
        await box.put(wanted[-15:])
        await box.settle()
    assert await box.names() == wanted
    assert await box.totals() == (150, 150)
    living = [one for one in await box.books.read_ranges(box.spot, BOX) if one.home is not Home.HEIRS]
    assert [one.home for one in living] == [Home.SHARD] * len(living)
    assert sum(one.objects for one in living) == 150
    assert [one.lower for one in living[1:]] == [one.upper for one in living[:-1]]
    assert max(one.objects for one in living) <= 30
    for one in living:  # no shard of a shard is left
        assert (
            await box.books.read_ranges(box.cluster.spot(shard_path(BOX, one.shard)), shard_path(BOX, one.shard)) == []
        )
    shard = shard_path(BOX, living[0].shard)
    assert (await box.books.head_book(box.cluster.spot(shard), shard)).policy == 3


async def test_a_sharded_container_is_removed_when_its_shards_are_empty(make_cluster):
    box = await Box(make_cluster(shard_rows=4)).make()
    names = list("abcdefgh")
    await box.put(names)
    await box.settle()
    await box.remove(names[1:])
    with pytest.raises(Conflict):  # though nobody has told the root yet
        await box.books.delete_book(box.spot, BOX, 10)
    assert await box.totals() == (1, 1)
    await box.remove(names[:1])
    await box.books.delete_book(box.spot, BOX, 11)
    assert (await box.books.head_book(box.spot, BOX)).deleted
    assert await box.books.put_book(box.spot, BOX, 12, {})
    await box.put(["new"], 13)
    assert await box.names() == ["new"]


async def test_a_shard_that_cannot_be_reached_delays_the_split_and_loses_nothing(make_cluster, monkeypatch):
    cluster = make_cluster(shard_rows=4, patience_s=0.2)
    box = await Box(cluster).make()
    await box.put("abcdefgh")
    cluster.cut.add("n0")
    assert await box.sharder.once() == 0
    await box.put("ij")
    assert await box.names() == list("abcdefghij")
    cluster.cut.clear()
    assert await box.sharder.once() > 1
    assert await box.names() == list("abcdefghij")
    cluster.cut.add("n0")
    with pytest.raises(Unavailable):
        await box.books.update_book(box.spot, BOX, [Row("k", 9)])


async def test_replicas_of_a_root_split_one_after_the_other(make_cluster):
    cluster = make_cluster(nodes=3, shard_rows=6)
    boxes = [await Box(cluster, address).make() for address in cluster.books]
    for box in boxes:
        await box.put("abcdefghijkl")
    await boxes[1].sharder.once()  # not the one who decides
    assert await boxes[1].homes() == []
    await boxes[0].settle()
    told = await boxes[0].books.read_ranges(boxes[0].spot, BOX)
    for box in boxes[1:]:
        await box.books.update_ranges(box.spot, BOX, told)
        assert await box.totals() == (12, 12)
        assert await box.names() == list("abcdefghijkl")
    await boxes[1].put("m")
    assert await boxes[1].names(Query(prefix="m")) == ["m"]
    for box in boxes:
        await box.settle()
        assert cluster.rows(BOX, box.sharder._placing.nodes.here) == []
        assert await box.names() == [*"abcdefghijkl", *("m" if box is boxes[1] else "")]


async def joined(make_cluster, kept, **wanted):
    """A container of four shards of 100 names each, of which some are left."""
    box = await Box(make_cluster(shard_rows=200, **wanted)).make()
    names = [f"{n:03d}" for n in range(400)]
    await box.put(names)
    await box.settle()
    assert await living(box) == 4
    await box.remove([name for name in names if name not in kept])
    await box.teller.all()
    return box


async def living(box):
    """How many shards there are; what they are together is checked."""
    ranges = Ranges(await box.books.read_ranges(box.spot, BOX)).living
    assert {one.home for one in ranges} == {Home.SHARD}
    assert [ranges[0].lower, *(one.lower for one in ranges[1:]), ""] == ["", *(one.upper for one in ranges)]
    return len(ranges)


@pytest.mark.parametrize(
    ("kept", "shards"),
    [
        pytest.param([], 1, id="nothing is left"),
        pytest.param([f"{n:03d}" for n in range(0, 400, 20)], 1, id="a few everywhere"),
        pytest.param([f"{n:03d}" for n in range(100, 200)], 2, id="a full one among empty ones"),
        pytest.param([f"{n:03d}" for n in range(400)], 4, id="all are full"),
        pytest.param([f"{n:03d}" for n in (*range(95), 150, *range(200, 221))], 2, id="one fits, one does not"),
    ],
)
async def test_small_shards_are_joined_to_their_neighbours(make_cluster, kept, shards):
    box = await joined(make_cluster, kept)
    await box.settle()
    assert await living(box) == shards
    assert await box.names() == kept
    assert await box.names(Query(reverse=True, limit=7)) == kept[::-1][:7]
    assert await box.totals() == (len(kept),) * 2
    await box.put(["150-new", "000-new", "999"], 9)
    await box.settle()
    assert await box.names() == sorted({*kept, "150-new", "000-new", "999"})
    assert await box.totals() == (len(kept) + 3,) * 2


async def test_what_was_joined_is_split_again_when_it_grows(make_cluster):
    kept = ["050", "150", "250", "350"]
    box = await joined(make_cluster, kept)
    await box.settle()
    assert await living(box) == 1
    more = [f"{n:03d}-again" for n in range(300)]
    await box.put(more, 9)
    await box.settle()
    assert await living(box) >= 3
    assert await box.names() == sorted([*kept, *more])
    assert await box.totals() == (len(kept) + 300,) * 2


async def test_what_is_written_while_shards_are_joined_is_kept_and_seen_at_once(make_cluster):
    box = await joined(make_cluster, [f"{n:03d}" for n in range(0, 400, 25)])
    wanted = set(await box.names())
    for n in itertools.count():
        joining = asyncio.ensure_future(box.sharder.once())
        while not joining.done():
            new, old = f"{n * 37 % 400:03d}-{n}", f"{n * 91 % 400:03d}"
            n += 1  # noqa: PLW2901 - names are never used again
            await box.put([new], 9)
            await box.remove([old], 9)
            wanted = (wanted | {new}) - {old}
            assert new in await box.names(Query(prefix=new))
            assert await box.names(Query(prefix=old, limit=1, end_marker=old + "-")) == []
        if not joining.result() + await box.teller.all():
            break
    assert await box.names() == sorted(wanted)
    assert await box.totals() == (len(wanted),) * 2


async def test_totals_count_nothing_twice_while_shards_are_joined(make_cluster):
    kept = [f"{n:03d}" for n in range(0, 400, 20)]
    box = await joined(make_cluster, kept)
    while True:
        joining = asyncio.ensure_future(box.sharder.once())
        while not joining.done():
            await box.teller.all()
            assert await box.totals() == (len(kept),) * 2
        await box.teller.all()
        assert await box.totals() == (len(kept),) * 2
        if not joining.result():
            break
    assert await living(box) == 1


@pytest.mark.parametrize("moment", range(0, 60, 4))
async def test_joining_goes_on_after_it_was_broken_off(make_cluster, moment):
    threads = ThreadPoolExecutor()
    asyncio.get_running_loop().set_default_executor(threads)
    kept = [f"{n:03d}" for n in range(0, 400, 25)]
    box = await joined(make_cluster, kept)
    joining = asyncio.ensure_future(box.sharder.once())
    for _ in range(moment):
        await asyncio.sleep(0)
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)
    threads.shutdown()  # as they would end with the process
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    box.cluster.shelf().close()
    again = Box(box.cluster)
    assert await again.names() == kept
    await again.put(["175-new"], 9)
    await again.settle()
    assert await again.names() == sorted([*kept, "175-new"])
    assert await again.totals() == (len(kept) + 1,) * 2


async def test_a_neighbour_that_is_promised_names_waits_for_them(make_cluster):
    box = await joined(make_cluster, [f"{n:03d}" for n in range(400)])
    first, second, *_ = Ranges(await box.books.read_ranges(box.spot, BOX)).living
    shard = shard_path(BOX, first.shard)
    spot = box.cluster.spot(shard)
    await box.books.post_book(spot, shard, stamp(), {JOINING_HEADER: second.shard})
    await box.put([f"000-{n:03d}" for n in range(300)], 9)
    assert await box.sharder.once() == 0
    await box.books.post_book(spot, shard, stamp() + 1, {JOINING_HEADER: ""})
    await box.settle()
    assert await living(box) > 4
    assert await box.totals() == (700, 700)


async def test_a_promise_nobody_keeps_is_forgotten(make_cluster):
    box = await joined(make_cluster, [f"{n:03d}" for n in range(400)])
    first, second, *_ = Ranges(await box.books.read_ranges(box.spot, BOX)).living
    shard = shard_path(BOX, first.shard)
    long_ago = {JOINING_HEADER: second.shard}
    await box.books.post_book(box.cluster.spot(shard), shard, stamp() - 3600 * TICKS, long_ago)
    await box.put([f"000-{n:03d}" for n in range(300)], 9)
    await box.settle()
    assert await living(box) > 4


async def test_replicas_of_shards_join_one_after_the_other(make_cluster):
    cluster = make_cluster(nodes=3, shard_rows=200)
    boxes = [await Box(cluster, address).make() for address in cluster.books]
    loops = [ReplicateBooks(box.books, box.sharder._placing) for box in boxes]
    names, kept = [f"{n:03d}" for n in range(400)], [f"{n:03d}" for n in range(0, 400, 25)]

    async def settle():
        for _ in range(6):
            for box, replicator in zip(boxes, loops, strict=True):
                await box.sharder.once()
                await box.teller.all()
                await replicator.all()

    for box in boxes:
        await box.put(names)
    await settle()
    assert [await living(box) for box in boxes] == [4, 4, 4]
    await boxes[0].remove([name for name in names if name not in kept])
    await settle()
    for box in boxes:
        assert await living(box) == 1
        assert await box.names() == kept
        assert await box.totals() == (len(kept),) * 2
    await boxes[2].put(["350-new"], 9)
    await settle()
    for box in boxes:
        assert await box.names() == sorted([*kept, "350-new"])


async def test_what_all_names_have_left_is_forgotten(make_cluster):
    kept = ["050", "150", "250", "350"]
    box = await joined(make_cluster, kept)
    await box.settle()
    (left,) = Ranges(await box.books.read_ranges(box.spot, BOX)).living
    shards = [one.shard for one in await box.books.read_ranges(box.spot, BOX)]
    assert len(shards) == 4

    async def there():
        paths = [shard_path(BOX, shard) for shard in shards]
        return [await box.books.head_book(box.cluster.spot(path), path) is not None for path in paths]

    await ReclaimBooks(box.books).once()
    assert await there() == [True] * 4  # a replica of the root may not have heard yet
    shelf = box.cluster.shelf()
    shelf.settings = replace(shelf.settings, reclaim_age_s=0)
    await ReclaimBooks(box.books).once()
    assert await there() == [shard == left.shard for shard in shards]
    assert await box.names() == kept
    assert await box.totals() == (len(kept),) * 2
