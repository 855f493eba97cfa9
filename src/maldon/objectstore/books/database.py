"""One book as a file: an SQLite database in write-ahead mode that many processes may have open.

A book is made beside its place and moved there whole, so that one that is found is complete. A commit is on stable
storage when `sync` has returned: the loop commits, which costs microseconds, and a thread syncs the log, for everybody
whose rows are in it. Rows are in two tables, the living and the gone, so that a listing never wades through tombstones;
`seq` numbers every change, `digest` and `buried` sum up the living and the gone, and `synced` says how far the changes
of other replicas have been merged. What a listing shows of a row is kept as its JSON (`item`); `sealed` is the
checksum of the whole row, for whoever wants to know whether it is as it was written.
"""

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw

from maldon.kernel.ids import new_id
from maldon.objectstore.books.ranges import NONE, Ranges, pack, unpack
from maldon.objectstore.node import Range

T = TypeVar("T")
FILE = "book.db"
SCHEMA = """
CREATE TABLE heading (
    id INTEGER PRIMARY KEY CHECK (id = 1), made TEXT, account TEXT, container TEXT, created_at INT, put_at INT,
    deleted_at INT, headers BLOB, policy INT, containers INT, objects INT, size INT, shares BLOB, seq INT,
    digest INT, buried INT, ranges BLOB, told BLOB);
CREATE TABLE row (
    name TEXT PRIMARY KEY, timestamp INT, measured_at INT, size INT, count INT, policy INT, seq INT, item TEXT,
    sealed INT
) WITHOUT ROWID;
CREATE INDEX row_seq ON row (seq);
CREATE TABLE gone (name TEXT PRIMARY KEY, timestamp INT, measured_at INT, policy INT, seq INT) WITHOUT ROWID;
CREATE INDEX gone_seq ON gone (seq);
CREATE TABLE synced (made TEXT PRIMARY KEY, got INT) WITHOUT ROWID;
"""


class Moved(Exception):
    """The file is no longer at its place: it was set aside or removed, perhaps by another process."""


class Database:
    """An open book. Its statements are the loop's; only `sync` is for a thread."""

    def __init__(self, folder: Path, checkpoint_pages: int) -> None:
        self.file = folder / FILE
        self._place, self._inode = str(self.file), self.file.stat().st_ino
        self._checkpoint_pages, self._pages = checkpoint_pages, 0
        self._db = _connect(self.file)
        self.execute: Callable[..., Any] = self._db.execute
        self.executemany: Callable[..., Any] = self._db.executemany
        try:
            self._db.set_wal_hook(self._committed)  # in place of checkpoints within a commit, which sync in the loop
            self.execute("SELECT seq FROM heading").get  # noqa: B018 - brings the log's file about
            self._log = os.open(f"{self.file}-wal", os.O_RDONLY)  # unlike the database's own file, no lock hangs on it
        except BaseException:
            self._db.close()
            raise
        self._syncing, self._listed = threading.Lock(), False
        self._ranges: tuple[bytes, Ranges] = (b"", NONE)

    def check(self) -> None:
        """Raises Moved when the place holds another file, or none."""
        try:
            if os.stat(self._place).st_ino == self._inode:  # noqa: PTH116 - at every use of a book
                return
        except FileNotFoundError:
            pass
        raise Moved(str(self.file))

    def wait(self, patience_s: float) -> None:
        """From now on wait for other processes: for a database of a thread's own."""
        self._db.set_busy_timeout(int(patience_s * 1000))

    def transact(self, change: Callable[["Database"], T]) -> T:
        """Everything `change` does, or nothing. Raises apsw.BusyError at once when another process writes."""
        self.execute("BEGIN IMMEDIATE")
        try:
            self.check()  # within: whoever moves a book away holds the same lock
            result = change(self)
            self.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self.execute("ROLLBACK")
            raise
        return result

    @property
    def ranges(self) -> Ranges:
        """How the book is sharded."""
        packed: bytes = self.execute("SELECT ranges FROM heading").get
        if packed != self._ranges[0]:
            self._ranges = packed, Ranges(unpack(packed))
        return self._ranges[1]

    @ranges.setter
    def ranges(self, ranges: Iterable[Range]) -> None:
        self.execute("UPDATE heading SET seq = seq + 1, ranges = ?", (pack(ranges),))

    @property
    def sharded(self) -> bool:
        """Whether it was when last looked at: a hint that costs nothing."""
        return self._ranges[1] is not NONE

    def _committed(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def sync(self) -> None:
        """Put what is committed on stable storage. For a thread."""
        with self._syncing:
            if not self._listed:  # opening made the log's file, perhaps: its name must last as well
                with suppress(FileNotFoundError):  # unless the book was removed
                    fsync(self.file.parent)
                self._listed = True
            os.fdatasync(self._log)
            if self._pages < self._checkpoint_pages:
                return
            self._pages = 0
            db = _connect(self.file)
            try:
                with suppress(apsw.BusyError):  # another process is at it
                    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            finally:
                db.close()

    def close(self) -> None:
        with self._syncing:  # whoever was cancelled has left a thread in there
            os.close(self._log)
            self._db.close()


def _connect(file: Path) -> apsw.Connection:
    db = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    db.set_busy_timeout(1)  # longer waits are the loop's, which has other things to do
    db.pragma("synchronous", 1)
    db.pragma("journal_size_limit", 1 << 24)
    return db


def create(folder: Path, fill: Callable[[apsw.Connection], object]) -> bool:
    """Make a book with what `fill` writes; False where there is one already. For a thread."""
    parent = folder.parent
    beside = parent / f".{new_id()}"
    beside.mkdir(parents=True)
    try:
        write_new(beside, fill)
        fsync(parent.parent)
        return place(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_new(folder: Path, fill: Callable[[apsw.Connection], object]) -> None:
    """Make a book in an empty folder, for good. For a thread."""
    db = apsw.Connection(str(folder / FILE))
    db.pragma("journal_mode", "wal")
    with db:
        db.execute(SCHEMA)
        fill(db)
    db.close()
    fsync(folder / FILE)
    fsync(folder)


def place(beside: Path, folder: Path) -> bool:
    """Give a whole book its name; False where there is one already."""
    try:
        beside.rename(folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        return False
    fsync(folder.parent)
    return True


def fsync(name: Path) -> None:
    """Of a file or a folder."""
    fd = os.open(name, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
