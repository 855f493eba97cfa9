"""Where the newest record of every object lies: a table that can be lost, because the segments say it all again.

One row a version (see merge), one transaction a group of writes, together with how far each segment has been taken in.
Several processes write to it, one at a time: the lock is a file of its own, waited for in a thread, because SQLite
would wait asleep in the loop. Readers never wait. A power cut may take the last transactions, never the order of them;
`segments.indexed` then says from where to replay.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from maldon.objectstore.device.merge import DELETED, FORGOTTEN, LARGE, MARK_SLOT, Entry, merge
from maldon.objectstore.node import WHOLE, NoSpace

VERSION = 1
_TABLES = f"""
CREATE TABLE objects (
    policy INTEGER, hash BLOB, fragment INTEGER, pending INTEGER, timestamp INTEGER, posted INTEGER, written INTEGER,
    segment INTEGER, at INTEGER, head INTEGER, size INTEGER, flags INTEGER, expires INTEGER, owed BLOB,
    PRIMARY KEY (policy, hash, fragment, pending)
) WITHOUT ROWID;
CREATE INDEX expiring ON objects (expires) WHERE expires IS NOT NULL;
CREATE INDEX owing ON objects (policy, hash) WHERE owed IS NOT NULL;
CREATE TABLE segments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, indexed INTEGER DEFAULT 0, told INTEGER DEFAULT 0,
    sealed INTEGER DEFAULT 0, kept INTEGER DEFAULT 0
);
CREATE TABLE notes (name TEXT PRIMARY KEY, value);
PRAGMA user_version = {VERSION};
"""
_UPSERT = """INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
timestamp = excluded.timestamp, posted = excluded.posted, written = excluded.written, segment = excluded.segment,
at = excluded.at, head = excluded.head, size = excluded.size, flags = excluded.flags, expires = excluded.expires,
owed = excluded.owed
WHERE (excluded.timestamp, excluded.flags & 1, excluded.posted, excluded.written)
    > (timestamp, flags & 1, posted, written)"""
_FIND = "SELECT * FROM objects WHERE policy = ? AND hash = ?"
_FRAGMENTS = "SELECT 1 FROM objects WHERE policy = ? AND hash = ? AND (fragment, pending) <> (-1, 0) LIMIT 1"
_REMOVE = "DELETE FROM objects WHERE policy = ? AND hash = ? AND fragment = ? AND pending = ?"
_SAME = "policy = ? AND hash = ? AND fragment = ? AND pending = ? AND timestamp = ? AND posted = ?"
_OWE_FRAGMENTS = """UPDATE objects SET owed = ? WHERE policy = ? AND hash = ? AND pending = 0 AND timestamp = ?
AND fragment <> ?"""
_BUSY_MS = 30_000
_CACHE_KIB = 32_768
_NORMAL, _FULL = 1, 2
_MAKE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE


class Index:
    """The index of one disk. Connections are not shared between threads. The loop has one for all it does: what it
    wrote itself leaves its cache valid. Threads write with another, under the lock, and read with their own.
    """

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises apsw.Error for a file that is no sound database."""
        self._path = path
        self._turn = threading.Lock()  # among our own threads; the file's lock is among processes
        self._lock = os.open(path.with_name("index.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        self.wal_pages = 0
        self.lock()
        try:
            self._loops, self._threads = self._connect(_MAKE), self._connect()
            if self._loops.pragma("user_version") != VERSION:
                with self._loops:
                    self._loops.execute(_TABLES)
        except BaseException:
            os.close(self._lock)
            raise
        self.unlock()
        self._loops.set_wal_hook(self._committed)

    def _connect(self, flags: int = apsw.SQLITE_OPEN_READWRITE) -> apsw.Connection:
        db = apsw.Connection(str(self._path), flags=flags)
        db.set_busy_timeout(_BUSY_MS)
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", _NORMAL)  # a checkpoint syncs, a commit does not
        db.pragma("wal_autocheckpoint", 0)
        db.pragma("cache_size", -_CACHE_KIB)
        return db

    def open_reader(self) -> apsw.Connection:
        """A connection for a thread's long scan; to be closed. Raises NoSpace when the disk is gone."""
        try:
            db = self._connect()
        except apsw.CantOpenError as error:
            raise NoSpace("The disk is not there.", internal=f"{self._path}: {error}") from error
        db.pragma("query_only", 1)
        return db

    def close(self) -> None:
        self._loops.close()
        self._threads.close()
        os.close(self._lock)

    def _committed(self, _db: object, _name: str, pages: int) -> int:
        self.wal_pages = pages
        return 0

    def lock(self) -> None:
        """Wait for the right to write; in a thread."""
        self._turn.acquire()
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def try_lock(self) -> bool:
        """Take the right to write, if nobody has it."""
        if not self._turn.acquire(blocking=False):
            return False
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._turn.release()
            return False
        return True

    def unlock(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._turn.release()

    @contextlib.contextmanager
    def locked(self, *, durable: bool = False) -> Iterator[apsw.Connection]:
        """A transaction under the lock, waiting for it: for threads. A durable one is on the disk when it returns, and
        all before it.
        """
        self.lock()
        try:
            self._threads.pragma("synchronous", _FULL if durable else _NORMAL)
            with _transaction(self._threads):
                yield self._threads
        finally:
            self.unlock()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """A transaction of the loop, which has the lock."""
        with _transaction(self._loops):
            yield self._loops

    def checkpoint(self) -> None:
        """Bring the log of the database into it, so that it begins anew; in a thread. Most of it is done beside the
        writers, the rest while they wait, because a log that always grows at its end is never through.
        """
        with contextlib.closing(self._connect()) as db:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self.lock()
            try:
                db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            finally:
                self.unlock()

    def find(self, policy: int, hashed: bytes) -> list[Entry]:
        """Every version held of an object: hardly ever more than one."""
        return self.find_by(self._loops, policy, hashed)

    @staticmethod
    def find_by(db: apsw.Connection, policy: int, hashed: bytes) -> list[Entry]:
        """The same in another thread, by a connection of its own."""
        return [Entry._make(row) for row in db.execute(_FIND, (policy, hashed)).fetchall()]

    def read_note(self, name: str) -> object:
        """A word that is kept with the index; None when it is not there."""
        with self.locked() as db:
            row = db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def segment_name(self, number: int) -> str | None:
        """None for a segment that is gone."""
        row = self._loops.execute("SELECT name FROM segments WHERE number = ?", (number,)).fetchone()
        return None if row is None else str(row[0])


@contextlib.contextmanager
def _transaction(db: apsw.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def apply(db: apsw.Connection, entries: Sequence[Entry]) -> None:
    """Take records in, in a transaction; of each slot the newest stays."""
    others = [entry for entry in entries if entry.fragment != WHOLE or entry.flags & ~LARGE]
    if not others:
        db.executemany(_UPSERT, entries)
        return
    others = [entry for entry in others if not _is_alone(db, entry)]
    apart = set(map(id, others))
    db.executemany(_UPSERT, [entry for entry in entries if id(entry) not in apart])
    for entry in others:
        _merge(db, entry)


def _is_alone(db: apsw.Connection, entry: Entry) -> bool:
    """Whether it is the tombstone of an object without fragments: then it takes the place of the whole, if newer."""
    return entry.fragment == WHOLE and entry.flags == DELETED and not db.execute(_FRAGMENTS, entry[:2]).get


def _merge(db: apsw.Connection, entry: Entry) -> None:
    held = [Entry._make(row) for row in db.execute(_FIND, (entry.policy, entry.hash)).fetchall()]
    kept = merge(held, entry)
    slots = {row.slot for row in kept}
    for row in held:
        if row.slot not in slots:
            db.execute(_REMOVE, row[:4])
    for row in kept:
        if row not in held:
            db.execute("REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def set_owed(db: apsw.Connection, entry: Entry, owed: bytes | None) -> None:
    """Note (or clear) whom a version is still to be told to, if it is still the one that is held. What a mark is to
    tell is noted with the fragments that it made durable.
    """
    if entry.fragment == MARK_SLOT:
        db.execute(_OWE_FRAGMENTS, (owed, entry.policy, entry.hash, entry.timestamp, MARK_SLOT))
        return
    db.execute(f"UPDATE objects SET owed = ? WHERE {_SAME}", (owed, *entry[:6]))  # noqa: S608 - constant text


def register(db: apsw.Connection, name: str) -> int:
    """The number of a segment, known already or not."""
    db.execute("INSERT OR IGNORE INTO segments (name) VALUES (?)", (name,))
    return int(db.execute("SELECT number FROM segments WHERE name = ?", (name,)).get)


def mark_segment(db: apsw.Connection, number: int, indexed: int, told: int, *, sealed: bool = False) -> None:
    """How far a segment has been taken in, and told; sealed: it gets no more records."""
    db.execute(
        "UPDATE segments SET indexed = ?, told = ?, sealed = ? WHERE number = ?", (indexed, told, sealed, number)
    )


def sealed_segments(db: apsw.Connection) -> list[tuple[int, str, int]]:
    """Number, name and `kept` of segments without a writer. `kept` is bytes that stay though no row points to them."""
    found: list[Any] = db.execute("SELECT number, name, kept FROM segments WHERE sealed = 1").fetchall()
    return found


def keep_more(db: apsw.Connection, number: int, size: int) -> None:
    """So many more bytes of a segment have to stay."""
    db.execute("UPDATE segments SET kept = kept + ? WHERE number = ?", (size, number))


def move(db: apsw.Connection, row: Entry, copy: Entry) -> None:
    """Point a row to a copy of its record, if it still points to the old one."""
    db.execute(
        f"UPDATE objects SET segment = ?, at = ?, head = ?, flags = ? WHERE {_SAME} AND segment = ? AND at = ?",  # noqa: S608 - constant text
        (copy.segment, copy.at, copy.head, copy.flags, *row[:6], row.segment, row.at),
    )


def condemn_segments(db: apsw.Connection, numbers: Sequence[int]) -> None:
    """No row points to them; their files are to be removed, and are not taken in meanwhile."""
    db.executemany("UPDATE segments SET sealed = 2 WHERE number = ?", [(number,) for number in numbers])


def condemned_segments(db: apsw.Connection) -> list[str]:
    """The names of those whose files are to be removed."""
    return [str(row[0]) for row in db.execute("SELECT name FROM segments WHERE sealed = 2").fetchall()]


def forget_segments(db: apsw.Connection, gone: Sequence[str]) -> None:
    """Their files are not there any more."""
    db.executemany("DELETE FROM segments WHERE name = ?", [(name,) for name in gone])


def purge_forgotten(db: apsw.Connection, entries: Sequence[Entry]) -> None:
    """Let go of what was forgotten, once everything that it ends has been taken in."""
    for entry in entries:
        db.execute(f"{_REMOVE} AND flags & ?", (*entry[:4], FORGOTTEN))


def set_note(db: apsw.Connection, name: str, value: object) -> None:
    """Keep a word with the index; None takes it away."""
    if value is None:
        db.execute("DELETE FROM notes WHERE name = ?", (name,))
    else:
        db.execute("REPLACE INTO notes VALUES (?, ?)", (name, value))
