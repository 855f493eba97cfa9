"""The books of one disk: headers and rows where the newest wins, exact totals, many writers, disks that fail."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path as File

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maldon.kernel.errors import Conflict, Unavailable
from maldon.objectstore.books.item import Kind, kind_of
from maldon.objectstore.books.rows import changed_rows, dated, merge
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.node import NoSpace, Row, Superseded
from maldon.objectstore.path import Path, PathHash

ACCOUNT, BOX = Path("AUTH_ann"), Path("AUTH_ann", "box")
HASHED = PathHash(b"before", b"after")


@pytest.fixture
def open_shelf(tmp_path):
    opened = []

    def shelf(**settings):
        (tmp_path / "disk").mkdir(exist_ok=True)
        opened.append(Shelf(tmp_path / "disk", BookSettings(**settings), HASHED))
        return opened[-1]

    yield shelf
    for one in opened:
        one.close()


@pytest.fixture
def shelf(open_shelf):
    return open_shelf()


async def rows_of(shelf, path):
    """The living ones, by name."""
    _, rows = changed_rows(shelf._find((0, path)), 0, 10_000, kind_of(path))
    return sorted((row for row in rows if not row.deleted), key=lambda row: row.name)


async def totals(shelf, path):
    book = await shelf.head_book(0, path)
    return book.containers, book.objects, book.size


async def test_a_book_is_made_once_and_its_headers_are_the_newest(shelf):
    assert await shelf.head_book(0, BOX) is None
    assert not await shelf.post_book(0, BOX, 1, {"x-container-read": ".r:*"})
    assert await shelf.put_book(0, BOX, 10, {"x-container-meta-a": "1", "x-container-meta-b": "1"}, policy=2)
    assert not await shelf.put_book(0, BOX, 20, {"x-container-meta-a": "2"})
    assert await shelf.post_book(0, BOX, 15, {"x-container-meta-a": "old", "x-container-meta-b": "", "c": "é"})
    book = await shelf.head_book(0, BOX)
    assert book.headers == {"x-container-meta-a": ("2", 20), "c": ("é", 15)}
    assert (book.path, book.created_at, book.put_at, book.policy, book.deleted) == (BOX, 10, 20, 2, False)
    with pytest.raises(Conflict, match="policy"):
        await shelf.put_book(0, BOX, 30, {}, policy=1)


async def test_a_deleted_book_comes_back_empty_and_only_for_a_later_write(shelf):
    await shelf.put_book(0, BOX, 10, {"x-container-read": ".r:*"})
    assert (await shelf.delete_book(0, BOX, 5)).put_at == 10
    assert not (await shelf.head_book(0, BOX)).deleted
    assert not (await shelf.delete_book(0, BOX, 20)).deleted
    assert (await shelf.delete_book(0, BOX, 21)).deleted
    assert not await shelf.post_book(0, BOX, 25, {"a": "1"})
    with pytest.raises(Superseded):
        await shelf.put_book(0, BOX, 20, {})
    assert await shelf.put_book(0, BOX, 30, {}, policy=1)
    book = await shelf.head_book(0, BOX)
    assert (book.created_at, book.headers, book.policy, book.deleted) == (30, {}, 1, False)


async def test_a_container_with_objects_is_not_deleted(shelf):
    await shelf.put_book(0, BOX, 10, {})
    await shelf.update_book(0, BOX, [Row("a", 11)])
    with pytest.raises(Conflict, match="not empty"):
        await shelf.delete_book(0, BOX, 20)
    await shelf.update_book(0, BOX, [Row("a", 12, deleted=True)])
    await shelf.delete_book(0, BOX, 20)
    assert (await shelf.head_book(0, BOX)).deleted
    await shelf.update_book(0, BOX, [Row("late", 15)])  # a write that overtook the delete is not lost
    assert not (await shelf.head_book(0, BOX)).deleted


async def test_rows_of_a_book_nobody_made(shelf):
    assert not await shelf.update_book(0, BOX, [Row("a", 1)])
    assert await shelf.update_book(0, ACCOUNT, [Row("box", 7, 30, count=2, policy=1), Row("old", 3, 5, count=1)])
    book = await shelf.head_book(0, ACCOUNT)
    assert (book.put_at, book.containers, book.objects, book.size) == (7, 2, 3, 35)
    assert book.shares == {1: (1, 2, 30), 0: (1, 1, 5)}
    await shelf.delete_book(0, ACCOUNT, 9)
    await shelf.update_book(0, ACCOUNT, [Row("more", 10, 1, count=1)])  # does not bring a deleted account back
    assert (await shelf.head_book(0, ACCOUNT)).deleted


async def test_the_newest_row_wins_and_a_tombstone_stays(shelf):
    await shelf.put_book(0, BOX, 1, {})
    new = Row("a", 20, 5, "text/html", "new", policy=1, measured_at=20)
    await shelf.update_book(0, BOX, [new])
    await shelf.update_book(0, BOX, [Row("a", 10, 1, "text/plain", "old"), Row("a", 15, deleted=True)])
    assert await rows_of(shelf, BOX) == [new]
    await shelf.update_book(0, BOX, [Row("a", 30, deleted=True)])
    await shelf.update_book(0, BOX, [Row("a", 25, 9, "x/y", "late")])
    assert (await rows_of(shelf, BOX), await totals(shelf, BOX)) == ([], (0, 0, 0))


async def test_a_post_and_an_overtaken_put_make_one_row(shelf):
    await shelf.put_book(0, BOX, 1, {})
    first, posted = Row("a", 10, 1, "text/plain", "1"), Row("a", 30, 1, "text/html", "1", measured_at=10)
    await shelf.update_book(0, BOX, [first, posted])
    await shelf.update_book(0, BOX, [Row("a", 20, 2, "text/plain", "2")])
    assert await rows_of(shelf, BOX) == [Row("a", 30, 2, "text/html", "2", measured_at=20)]
    assert await totals(shelf, BOX) == (0, 1, 2)


ROWS = st.builds(
    Row, name=st.sampled_from("ab"), timestamp=st.integers(1, 4), size=st.integers(0, 3),
    content_type=st.sampled_from("xy"), deleted=st.booleans(), measured_at=st.integers(0, 4),
)  # fmt: skip


def settled(rows, kind):
    """What two replicas must agree on; rows of equal times are the same write."""
    result = rows[0]
    for row in rows[1:]:
        result = merge(result, row, kind)
    return result


@given(rows=st.lists(ROWS, min_size=1, max_size=5), order=st.randoms(), kind=st.sampled_from(Kind))
def test_rows_merge_in_any_order(rows, order, kind):
    told = {}
    for row in map(dated, rows):  # one write has one description and one measure
        described = told.setdefault(("t", row.timestamp), row)
        measured = told.setdefault(("m", row.measured_at), row)
        told.setdefault(len(told), Row(
            "a", row.timestamp, measured.size, described.content_type, "",
            (described if kind is Kind.ACCOUNT else measured).deleted, 0, 0, row.measured_at,
        ))  # fmt: skip
    writes = [row for key, row in told.items() if isinstance(key, int)]
    shuffled = order.sample(writes, len(writes))
    assert settled(writes, kind) == settled(shuffled, kind)


@pytest.mark.parametrize("posted", [0, 3])
def test_what_was_written_and_removed_at_the_same_time_is_one_row_in_any_order(posted):
    living = dated(Row("a", 10 + posted, 3, "x", "e", measured_at=10))
    gone = dated(Row("a", 10, deleted=True, measured_at=10))
    removed = Row("a", 10 + posted, deleted=True, measured_at=10)
    assert settled([living, gone, living, gone], Kind.CONTAINER) == removed
    assert settled([gone, living], Kind.CONTAINER) == removed
    box, no_box = dated(Row("a", 10, 3, count=1)), dated(Row("a", 10, deleted=True))
    assert settled([box, no_box, box], Kind.ACCOUNT) == settled([no_box, box, no_box], Kind.ACCOUNT) == box


@settings(max_examples=40)
@given(rows=st.lists(ROWS, max_size=30), cuts=st.lists(st.integers(0, 30), max_size=4))
def test_totals_are_those_of_the_rows(tmp_path_factory, rows, cuts):
    async def told():
        shelf = Shelf(tmp_path_factory.mktemp("disk"), BookSettings(), HASHED)
        await shelf.put_book(0, BOX, 1, {})
        edges = [0, *sorted(cuts), len(rows)]
        for start, stop in pairwise(edges):
            await shelf.update_book(0, BOX, rows[start:stop])
        listed = await rows_of(shelf, BOX)
        assert await totals(shelf, BOX) == (0, len(listed), sum(row.size for row in listed))
        shelf.close()

    asyncio.run(told())


async def test_many_writers_share_a_commit(shelf):
    await shelf.put_book(0, BOX, 1, {})
    commits = Counter()
    await shelf.head_book(0, BOX)
    shelf._open[0, BOX]._db.set_commit_hook(lambda: commits.update(["commit"]) or False)
    told = await asyncio.gather(*(shelf.update_book(0, BOX, [Row(f"{i}", 2, 1)]) for i in range(500)))
    assert all(told)
    assert await totals(shelf, BOX) == (0, 500, 500)
    assert commits["commit"] <= 3


async def test_a_writer_who_gives_up_takes_nobody_along(shelf):
    await shelf.put_book(0, BOX, 1, {})
    writers = [asyncio.ensure_future(shelf.update_book(0, BOX, [Row(f"{i}", 2, 1)])) for i in range(20)]
    await asyncio.sleep(0)
    writers[0].cancel()
    told = await asyncio.gather(*writers, return_exceptions=True)
    assert told[1:] == [True] * 19
    assert {f"{i}" for i in range(1, 20)} <= {row.name for row in await rows_of(shelf, BOX)}


WRITER = """
import asyncio, sys
from pathlib import Path as File
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.node import Row
from maldon.objectstore.path import Path, PathHash

async def write(root, who):
    shelf = Shelf(File(root), BookSettings(checkpoint_pages=20), PathHash(b"before", b"after"))
    box = Path("AUTH_ann", "box")
    await shelf.put_book(0, box, 1, {who: who})
    for i in range(40):
        await asyncio.gather(*(shelf.update_book(0, box, [Row(f"{who}-{i}-{j}", 2, 1)]) for j in range(5)))
    shelf.close()

asyncio.run(write(*sys.argv[1:]))
"""


async def test_many_processes_write_to_one_book(shelf):
    command = [sys.executable, "-c", WRITER, str(shelf.root)]
    writers = [subprocess.Popen([*command, who]) for who in ("x", "y", "z")]
    assert await asyncio.gather(*(asyncio.to_thread(writer.wait, 60) for writer in writers)) == [0, 0, 0]
    assert await totals(shelf, BOX) == (0, 600, 600)
    assert set((await shelf.head_book(0, BOX)).headers) == {"x", "y", "z"}
    assert len(await rows_of(shelf, BOX)) == 600


DYING = """
import asyncio, sys
from pathlib import Path as File
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.node import Row
from maldon.objectstore.path import Path, PathHash

async def write(root):
    shelf = Shelf(File(root), BookSettings(checkpoint_pages=5), PathHash(b"before", b"after"))
    box = Path("AUTH_ann", "box")
    await shelf.put_book(0, box, 1, {})

    async def writer(who):
        for n in range(100_000):
            await shelf.update_book(0, box, [Row(f"{who}-{n}", 2, 1)])
            print(f"{who}-{n}", flush=True)

    await asyncio.gather(*(writer(who) for who in range(8)))

asyncio.run(write(*sys.argv[1:]))
"""


async def test_what_was_told_survives_the_death_of_who_wrote_it(shelf):
    told = set()
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", DYING, shelf.root], stdout=subprocess.PIPE, text=True)
        for n, line in enumerate(writer.stdout):
            told.add(line.strip())
            if n > 150:
                break
        writer.kill()
        told |= {line.strip() for line in writer.stdout if line.endswith("\n")}
        writer.wait()
        writer.stdout.close()
        names = {row.name for row in await rows_of(shelf, BOX)}
        assert told <= names
        assert await totals(shelf, BOX) == (0, len(names), len(names))


async def test_a_busy_database_does_not_hold_the_loop(open_shelf):
    shelf = open_shelf(patience_s=0.3)
    await shelf.put_book(0, BOX, 1, {})
    other = apsw.Connection(str(shelf.folder((0, BOX)) / "book.db"))
    other.execute("BEGIN IMMEDIATE")
    longest, last = 0.0, time.thread_time()
    waiting = asyncio.ensure_future(shelf.update_book(0, BOX, [Row("a", 2)]))
    turns = 0
    while not waiting.done():
        await asyncio.sleep(0.001)
        turns += 1
        longest, last = max(longest, time.thread_time() - last), time.thread_time()
    with pytest.raises(Unavailable):
        waiting.result()
    assert turns > 10
    waiting = asyncio.ensure_future(shelf.update_book(0, BOX, [Row("a", 2)]))
    await asyncio.sleep(0.02)
    other.execute("ROLLBACK")
    assert await waiting
    other.close()


async def test_a_damaged_book_is_set_aside_and_unknown(shelf, open_shelf):
    await shelf.put_book(0, BOX, 1, {})
    await shelf.update_book(0, BOX, [Row(f"{i}", 2) for i in range(2000)])
    shelf.close()
    book = shelf.folder((0, BOX)) / "book.db"
    book.write_bytes(b"no database" * 1000)
    fresh = open_shelf()
    assert await fresh.head_book(0, BOX) is None
    assert len(list((fresh.root / "quarantined" / "containers").iterdir())) == 1
    assert not await fresh.update_book(0, BOX, [Row("a", 3)])
    assert await fresh.put_book(0, BOX, 9, {})
    assert await totals(fresh, BOX) == (0, 0, 0)


async def test_a_book_another_process_moved_away_is_left(shelf, open_shelf):
    await shelf.put_book(0, BOX, 1, {})
    await shelf.update_book(0, BOX, [Row("a", 2)])
    folder = shelf.folder((0, BOX))
    folder.rename(folder.with_name("elsewhere"))
    assert await shelf.head_book(0, BOX) is None
    assert not await shelf.update_book(0, BOX, [Row("b", 3)])
    assert await open_shelf().put_book(0, BOX, 5, {})
    assert await totals(shelf, BOX) == (0, 0, 0)


async def test_a_disk_that_is_not_there_takes_nothing(tmp_path):
    shelf = Shelf(tmp_path / "not-mounted", BookSettings(), HASHED)
    for asked in (
        shelf.put_book(0, BOX, 1, {}),
        shelf.head_book(0, BOX),
        shelf.update_book(0, ACCOUNT, [Row("box", 1)]),
    ):
        with pytest.raises(NoSpace):
            await asked
    assert list(tmp_path.iterdir()) == []


FULL = """
import asyncio, resource, signal, sys
from pathlib import Path as File
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.node import NoSpace, Row
from maldon.objectstore.path import Path, PathHash

async def fill(root):
    shelf = Shelf(File(root), BookSettings(), PathHash(b"before", b"after"))
    box = Path("AUTH_ann", "box")
    await shelf.put_book(0, box, 1, {})
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    told = 0
    try:
        for told in range(10_000):
            await shelf.update_book(0, box, [Row(f"{told}", 2, 1)])
    except NoSpace:
        print(told)

asyncio.run(fill(*sys.argv[1:]))
"""


async def test_a_full_disk_says_so_and_keeps_what_was_told(shelf):
    done = subprocess.run([sys.executable, "-c", FULL, shelf.root], check=True, capture_output=True, text=True)
    told = int(done.stdout)
    assert told > 5
    assert await totals(shelf, BOX) == (0, told, told)


async def test_few_books_are_open_at_a_time(open_shelf):
    shelf = open_shelf(open_books=3)
    paths = [Path("AUTH_ann", f"box{i}") for i in range(12)]
    for path in paths:
        await shelf.put_book(0, path, 1, {})
    await asyncio.gather(*(shelf.update_book(0, path, [Row("a", 2)]) for path in paths * 3))
    assert [await totals(shelf, path) for path in paths] == [(0, 1, 0)] * 12
    files = [fd.readlink() for fd in File("/proc/self/fd").iterdir() if fd.is_symlink()]
    assert sum(file.is_relative_to(shelf.root) and file.name == "book.db" for file in files) <= 3
