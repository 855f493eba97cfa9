"""Splits containers that grew too large, and joins shards that became small: names move, range by range.

The first replica of a container decides where to cut; the others hear of it by replication. Each replica moves the rows
that it has, the shard merges them. Nothing waits for anything: a crash leaves a range in the root, and the next round
copies it again. See books/sharding.py for what holds at every instant.
"""

from functools import partial

import structlog

from maldon.kernel.errors import Unavailable
from maldon.objectstore.books import sharding
from maldon.objectstore.books.database import Database
from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.node import Books
from maldon.objectstore.books.ranges import Ranges, shard_headers, shard_path
from maldon.objectstore.books.rows import changed_rows
from maldon.objectstore.books.shelf import Key, Shelf
from maldon.objectstore.books.walk import Seen, walk
from maldon.objectstore.daemons.join_shards import JoinShards
from maldon.objectstore.node import Book, Home, Range, Row
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import BROKEN, say
from maldon.objectstore.timestamp import stamp

log = structlog.get_logger()
CHUNK = 1000  # rows a shard is told at a time
FEW = 200  # rows that may have changed while a range was copied for it to be closed


class Sharder:
    """A loop over the disks of a node."""

    def __init__(self, books: Books, placing: Placing) -> None:
        self._books, self._placing, self._joiner = books, placing, JoinShards(placing)
        self._seen: dict[str, Seen] = {}

    async def once(self) -> int:
        """Cut and move where it is time; how many ranges were moved."""
        moved = 0
        for device, shelf in self._books.shelves.items():
            async for key in walk(shelf, Kind.CONTAINER, self._seen.setdefault(device, {})):
                try:
                    moved += await self._tend(device, shelf, key)
                except BROKEN as error:
                    self._seen[device].pop(shelf.folder(key).name, None)
                    log.warning("a container could not be sharded yet", book=str(key[1]), error=repr(error))
        return moved

    async def _tend(self, device: str, shelf: Shelf, key: Key) -> int:
        book = await shelf.head_book(*key)
        if book is None:
            return 0
        ranges = await shelf.read_ranges(*key)
        if not ranges and shelf.settings.shard_rows > 0 and self._decides(device, key[1]):
            ranges = await self._decide(device, shelf, key, book)
        moved = 0
        for one in Ranges(ranges).living:
            if one.home is not Home.SHARD or await shelf.read(key, partial(sharding.has_rows, one=one)):
                await self._move(shelf, key, book, one)
                moved += 1
        return moved

    async def _decide(self, device: str, shelf: Shelf, key: Key, book: Book) -> list[Range]:
        """Ranges to be moved from now on, if it is time."""
        rows, small = shelf.settings.shard_rows, self._joiner.is_small(shelf, book)
        if small:  # its neighbour may have room the next time
            self._seen[device].pop(shelf.folder(key).name, None)
        if (not small and book.objects <= rows) or await self._joiner.is_awaiting(book):
            return []
        if small:
            ranges = await self._joiner.join(shelf, key, book)
        else:
            ranges = await shelf.alone(key, partial(_cut, book=book, rows=rows // 2))
        if ranges:
            log.info("shards are joined" if small else "container is sharded", book=str(key[1]), ranges=len(ranges))
        return ranges

    def _decides(self, device: str, path: Path) -> bool:
        first = self._placing.book(path).primaries[0]
        return (first.address, first.device) == (self._placing.nodes.here, device)

    async def _move(self, shelf: Shelf, key: Key, book: Book, one: Range) -> None:
        """Copy a range into its shard, then give it its new home."""
        shard = shard_path(key[1], one.shard)
        if not one.joins:
            await self._make(shard, shard_headers(key[1], one), book.policy)
        copied = await self._copy(shelf, key, one, shard)
        changed = FEW + 1
        while changed > FEW:
            copied, changed = await self._catch_up(shelf, key, (one, shard), copied)
        if one.home is Home.ROOT:
            await shelf.write(key, partial(sharding.set_home, shard=one.shard, home=Home.CLOSED))
        try:
            while True:
                copied, _ = await self._catch_up(shelf, key, (one, shard), copied)
                let_go = partial(sharding.let_go, shard=one.shard, copied=copied, measured_at=stamp())
                if await shelf.alone(key, lambda db, let_go=let_go: db.transact(let_go)):  # type: ignore[misc]
                    return
        except BaseException:
            await shelf.write(key, partial(sharding.open_again, shard=one.shard))
            raise

    async def _make(self, shard: Path, headers: dict[str, str], policy: int) -> None:
        place, at = self._placing.book(shard), stamp()
        await say(self._placing, place, lambda node, spot, _: node.put_book(spot, shard, at, headers, policy))

    async def _copy(self, shelf: Shelf, key: Key, one: Range, shard: Path) -> int:
        """Tell the shard every row of the range; the number of the last change before that began."""
        begun = await shelf.read(key, sharding.last_change) or 0
        for table in ("row", "gone"):
            last = one.lower
            while rows := await shelf.read(key, partial(sharding.rows_after, table=table, one=one, last=last)):
                await self._tell(shard, rows)
                last = rows[-1].name
        return begun

    async def _catch_up(self, shelf: Shelf, key: Key, to: tuple[Range, Path], since: int) -> tuple[int, int]:
        """Tell the shard what changed in the range after `since`; how far that goes, how much it was."""
        one, shard = to
        last = await shelf.read(key, sharding.last_change) or 0
        told = 0
        while since < last:
            found = await shelf.read(key, partial(changed_rows, since=since, limit=CHUNK, kind=Kind.CONTAINER))
            if found is None:
                break
            since, rows = found
            theirs = [row for row in rows if one.lower < row.name and (not one.upper or row.name <= one.upper)]
            told += len(theirs)
            if theirs:
                await self._tell(shard, theirs)
        return since, told

    async def _tell(self, shard: Path, rows: list[Row]) -> None:
        place = self._placing.book(shard)
        heard = await say(self._placing, place, lambda node, spot, _: node.update_book(spot, shard, rows))
        if sum(heard) < place.quorum:
            raise Unavailable("A shard of the container is not there; try again.", internal=str(shard))


def _cut(db: Database, book: Book, rows: int) -> list[Range]:
    """Decide, unless somebody did."""
    ranges = sharding.cut(db, book, rows, stamp())

    def decide(db: Database) -> list[Range]:
        if not len(db.ranges):
            db.ranges = ranges
        return list(db.ranges)

    return db.transact(decide)
