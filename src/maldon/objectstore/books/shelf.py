"""The books of one disk: account and container databases, opened when asked for, a bounded number of them at a time.

The verbs are those of node.BookNode without the device. Rows that arrive while a commit is on its way to the disk wait
together for the next one: one transaction and one sync for all. Reads happen in the loop; they see what any process has
committed. A database another process writes to is tried again until patience ends, without holding the loop. A damaged
one is set aside and answered as unknown, so that replication brings a good one.
"""

import asyncio
import errno
import functools
import pathlib
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import apsw
import structlog

from maldon.kernel.errors import Unavailable
from maldon.kernel.ids import new_id
from maldon.objectstore.books import heading, listing
from maldon.objectstore.books.database import FILE, Database, Moved, create, fsync
from maldon.objectstore.books.item import Kind, kind_of
from maldon.objectstore.books.ranges import Away
from maldon.objectstore.books.rows import merge_rows
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.sharding import merge_ranges
from maldon.objectstore.books.together import Together
from maldon.objectstore.device.mounting import id_of, mark_of
from maldon.objectstore.node import Book, Listing, NoSpace, Query, Range, Row
from maldon.objectstore.path import Path, PathHash

log = structlog.get_logger()
T = TypeVar("T")
Key = tuple[int, Path]
QUARANTINE = "quarantined"
DAMAGED = (apsw.CorruptError, apsw.NotADBError)
BROKEN = (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, OSError)


class Elsewhere(Exception):
    """These rows belong to shards; they were not written here."""

    def __init__(self, away: Away) -> None:
        super().__init__()
        self.away = away


class Shelf:
    """`root` is where the disk is mounted. `changed` are books of which somebody ought to be told, as far as known."""

    def __init__(self, root: pathlib.Path, settings: BookSettings, hashed: PathHash) -> None:
        self.root, self.settings, self.hashed = root, settings, hashed
        self.changed: set[Key] = set()
        self.mark = mark_of(root)
        self._sync = Together(_sync)
        self._open: OrderedDict[Key, Database] = OrderedDict()
        self._writers: dict[Key, Together[Row, tuple[bool, Away]]] = {}

    # The verbs

    async def put_book(
        self, partition: int, path: Path, timestamp: int, headers: Mapping[str, str], policy: int | None = None
    ) -> bool:
        """Make it, or merge its headers ("" takes one away); whether it is new. Raises Conflict for another policy."""
        key = (partition, path)
        if not self._exists(key) and await self._create(key, timestamp, headers, policy):
            return True
        return bool(await self.write(key, lambda db: heading.put(db, timestamp, headers, policy)))

    async def post_book(self, partition: int, path: Path, timestamp: int, headers: Mapping[str, str]) -> bool:
        """Merge headers; False when there is no such book."""
        return bool(await self.write((partition, path), lambda db: heading.post(db, timestamp, headers)))

    async def delete_book(self, partition: int, path: Path, timestamp: int) -> Book | None:
        """Mark it deleted; the book before. Raises Conflict when a container is not empty."""
        return await self.write((partition, path), lambda db: heading.delete(db, timestamp))

    async def head_book(self, partition: int, path: Path) -> Book | None:
        """What it says of itself, deleted ones included; None when nothing is known."""
        return await self._patiently((partition, path), heading.read_book)

    async def list_json(self, partition: int, path: Path, query: Query) -> Listing | None:
        """Its rows as the API says them; None when nothing is known."""
        return await self._patiently(
            (partition, path), lambda db: Listing(heading.read_book(db), *listing.list_json(db, query))
        )

    async def update_book(self, partition: int, path: Path, rows: Sequence[Row]) -> bool:
        """Merge rows, newest wins; False when there is no such book here (an account is made on demand).
        Raises Elsewhere for those that are a shard's, when the others are merged.
        """
        key = (partition, path)
        held = self._open.get(key)
        if held is not None and held.sharded:  # then there is seldom anything to write here
            here, away = await self._patiently(key, lambda db: db.ranges.split(rows)) or (rows, None)
            if not here and away:
                raise Elsewhere(away)
        known, refused = await self._writers_of(key)(rows)
        if refused:
            names = {row.name for row in rows}
            away = {one: [row for row in theirs if row.name in names] for one, theirs in refused.items()}
            if any(away.values()):
                raise Elsewhere({one: theirs for one, theirs in away.items() if theirs})
        return known

    async def read_ranges(self, partition: int, path: Path) -> list[Range]:
        """How a container is sharded; empty when it is not."""
        return await self._patiently((partition, path), lambda db: list(db.ranges)) or []

    async def update_ranges(self, partition: int, path: Path, ranges: Sequence[Range]) -> bool:
        """Merge what a shard or another replica says of them; False when there is no such book here."""
        return await self.write((partition, path), lambda db: merge_ranges(db, ranges)) is not None

    # For loops, which know what they do

    async def read(self, key: Key, work: Callable[[Database], T]) -> T | None:
        """What `work` finds, in the loop; None when there is no such book."""
        return await self._patiently(key, work)

    async def write(self, key: Key, change: Callable[[Database], T]) -> T | None:
        """Commit a change and have it on stable storage; None when there is no such book."""
        async with self._writers_of(key):
            return await self._commit(key, change)

    async def alone(self, key: Key, work: Callable[[Database], T]) -> T:
        """Something long, in a thread, with a connection of its own. Raises NoSpace, Unavailable."""

        def apart() -> T:
            db = Database(self.folder(key), self.settings.checkpoint_pages)
            try:
                db.wait(self.settings.patience_s)
                result = work(db)
                db.sync()
                return result
            finally:
                db.close()

        try:
            return await asyncio.to_thread(apart)
        except apsw.BusyError:
            raise Unavailable("A database is busy; try again.", internal=str(self.folder(key))) from None
        except BROKEN as error:
            raise self._no_space(error) from error

    # What they stand on

    def folder(self, key: Key) -> pathlib.Path:
        partition, path = key
        return self.root / kind_of(path).value / str(partition) / self.hashed(path).hex()

    def identity(self) -> str:
        """Another word when the disk is another one, or a book was set aside: then books are missing here."""
        self.check_disk()
        return f"{id_of(self.root)} {sum(1 for _ in (self.root / QUARANTINE).glob('*/*'))}"

    def check_disk(self) -> None:
        """Raises OSError when the disk is not there any more: nothing must be made in its place."""
        self.root.stat()
        if mark_of(self.root) != self.mark:
            raise FileNotFoundError(errno.ENOENT, "the disk is not the one that was opened", str(self.root))

    def _exists(self, key: Key) -> bool:
        return (self.folder(key) / FILE).exists()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    async def _merge(self, key: Key, rows: list[Row]) -> tuple[bool, Away]:
        """Whether there is such a book, and which rows belong elsewhere."""
        kind = kind_of(key[1])

        def change(db: Database) -> Away:
            here, away = db.ranges.split(rows)
            merge_rows(db, here, kind)
            return away

        away = await self._commit(key, change)
        if away is None and kind is Kind.ACCOUNT:
            await self._create(key, max(row.timestamp for row in rows), {}, None)
            away = await self._commit(key, change)
        return away is not None, away or {}

    async def _commit(self, key: Key, change: Callable[[Database], T]) -> T | None:
        """The same, for the one whose turn it is."""
        done = await self._patiently(key, lambda db: (db, db.transact(change)))
        if done is None:
            return None
        db, result = done
        self.changed.add(key)
        try:
            await self._sync((db,))
        except BROKEN as error:
            raise self._no_space(error) from error
        return result

    async def _patiently(self, key: Key, work: Callable[[Database], T]) -> T | None:
        """Do it as soon as no other process is in the way; None when there is no such book."""
        deadline = 0.0
        while True:
            try:
                db = self._find(key)
                return None if db is None else work(db)
            except (apsw.BusyError, Moved):
                now = time.monotonic()
                deadline = deadline or now + self.settings.patience_s
                if now > deadline:
                    raise Unavailable("A database is busy; try again.", internal=str(self.folder(key))) from None
            except DAMAGED as error:
                self.set_aside(self.folder(key), str(error))
                return None
            except BROKEN as error:
                raise self._no_space(error) from error
            await asyncio.sleep(random.uniform(0.001, 0.01))

    async def _create(self, key: Key, timestamp: int, headers: Mapping[str, str], policy: int | None) -> bool:
        """Whether it was not there before."""
        fill = functools.partial(heading.first_heading, key[1], timestamp, headers, policy or 0)
        try:
            self.check_disk()
            made = await asyncio.to_thread(create, self.folder(key), fill)
        except BROKEN as error:
            raise self._no_space(error) from error
        self.changed.add(key)
        return made

    def _writers_of(self, key: Key) -> "Together[Row, tuple[bool, Away]]":
        """Those of this process: one at a time."""
        writers = self._writers.get(key)
        if writers is None:
            writers = self._writers[key] = Together(functools.partial(self._merge, key))
            if len(self._writers) > self.settings.open_books:
                for other in [one for one, theirs in self._writers.items() if theirs.idle and one != key]:
                    del self._writers[other]
        return writers

    def _find(self, key: Key) -> Database | None:
        """The open book, opened if need be; None when there is none. Raises Moved when it just went."""
        db = self._open.get(key)
        if db is not None:
            try:
                db.check()
            except Moved:
                self._open.pop(key).close()
                raise
            self._open.move_to_end(key)
            if len(self._open) > self.settings.open_books:
                self._make_room(key)
            return db
        folder = self.folder(key)
        if not (folder / FILE).exists():
            self.check_disk()
            return None
        db = self._open[key] = Database(folder, self.settings.checkpoint_pages)
        self._make_room(key)
        return db

    def _make_room(self, wanted: Key) -> None:
        excess = len(self._open) - self.settings.open_books
        if excess > 0:
            writers = self._writers
            idle = [key for key in self._open if key != wanted and (key not in writers or writers[key].idle)]
            for key in idle[:excess]:
                self._open.pop(key).close()

    def set_aside(self, folder: pathlib.Path, why: str) -> None:
        """A damaged book: out of the way, kept for `salvage`, and unknown until that or replication brings it."""
        aside = self.root / QUARANTINE / folder.parent.parent.name / f"{folder.name}-{new_id()}"
        log.error("database is damaged, set aside", folder=str(folder), aside=str(aside), error=why)
        for key in [key for key in self._open if self.folder(key) == folder]:
            self._open.pop(key).close()
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(aside)
        except FileNotFoundError:
            return  # another process was first
        fsync(folder.parent)

    def _no_space(self, error: Exception) -> NoSpace:
        return NoSpace("The disk is full, broken or not mounted.", internal=f"{self.root}: {error}")


async def _sync(books: list[Database]) -> None:
    """One thread's turn for all books of a disk that wait for it."""

    def sync() -> None:
        for db in set(books):
            db.sync()

    await asyncio.get_running_loop().run_in_executor(None, sync)
