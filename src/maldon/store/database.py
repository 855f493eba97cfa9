"""One facade over three databases: SQLite inside the loop, PostgreSQL by asyncpg, MariaDB by asyncmy.

SQLite is called synchronously: a statement costs less than a thread switch. One connection writes and one reads, each
behind a lock; since a transaction awaits nothing but its own statements, the lock is free whenever the loop is. Commits
are synced to the disk. The servers get a pool and READ COMMITTED; what must not happen twice at once is serialized by
`lock` or by a compare-and-set UPDATE, never by the isolation level.
"""

import asyncio
import sqlite3
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url, select
from sqlalchemy.engine import CursorResult
from sqlalchemy.pool import StaticPool

from maldon.kernel.errors import BadRequest, Duplicate, Stale, Unavailable
from maldon.kernel.op import Session
from maldon.store.schema import LOCK_ROWS, lock_rows
from maldon.store.shortcut import FAILURES, Shortcuts

BUSY_S = 10.0
_UNFIT = ("integer out of range", "out of int32 range", "out of int64 range", "invalid byte sequence")
_REPEAT = {"40001", "40P01", "55P03", 1205, 1213, 1020}  # serialization, deadlock, lock wait


def open_database(url: str) -> "SqliteDatabase | ServerDatabase":
    """The database behind an SQLAlchemy URL, or behind a path for SQLite. Nothing is created but the SQLite file."""
    if "://" not in url:
        return SqliteDatabase(Path(url))
    if make_url(url).get_backend_name() == "sqlite":
        return SqliteDatabase(Path(make_url(url).database or ""))
    return ServerDatabase(url)


def _meaning(error: Exception) -> Exception:
    """What a driver's error means to the caller."""
    if isinstance(error, exc.IntegrityError):
        return Duplicate("It exists already, or something else still refers to it.", internal=str(error.orig))
    if isinstance(error, (exc.DataError, OverflowError)):
        return BadRequest("A value is out of the range that can be stored.", internal=str(error))
    if isinstance(error, exc.DBAPIError):
        marks = {getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())[:1]}
        if marks & _REPEAT:
            return Stale("Somebody else changed the same thing; please try again.", internal=str(error.orig))
        if error.connection_invalidated:
            return Unavailable("The database is not reachable; please try again.", internal=str(error.orig))
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if state.startswith("22") or any(mark in str(error.orig) for mark in _UNFIT):  # 22: data exceptions
            return BadRequest("A value is out of the range that can be stored.", internal=str(error.orig))
    return error


class _Commits:
    """What is to be called after the commit."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def after_commit(self, call: Callable[[], None]) -> None:
        self.calls.append(call)


class _SqliteSession(_Commits):
    __slots__ = ("_connection", "_database", "_raw")

    def __init__(self, database: "SqliteDatabase", connection: Connection, raw: sqlite3.Connection) -> None:
        super().__init__()
        self._database, self._connection, self._raw = database, connection, raw

    def _execute(self, statement: Any, params: Any) -> CursorResult[Any]:
        try:
            return self._connection.execute(statement, params)
        except (exc.DBAPIError, OverflowError) as error:
            raise _meaning(error) from error

    async def all(self, statement: Any, params: Any = None) -> list[Any]:
        if (shortcut := self._database.shortcuts.find(statement)) is not None:
            with suppress(*FAILURES):
                rows = shortcut.all(self._raw, params)
                self._database.statements += 1
                return rows
        return list(self._execute(statement, params).all())

    async def first(self, statement: Any, params: Any = None) -> Any:
        if (shortcut := self._database.shortcuts.find(statement)) is not None:
            with suppress(*FAILURES):
                row = shortcut.first(self._raw, params)
                self._database.statements += 1
                return row
        return self._execute(statement, params).first()

    async def scalar(self, statement: Any, params: Any = None) -> Any:
        row = await self.first(statement, params)
        return None if row is None else row[0]

    async def run(self, statement: Any, params: Any = None) -> int:
        if (shortcut := self._database.shortcuts.find_change(statement, params)) is not None:
            with suppress(*FAILURES):
                changed = shortcut.run(self._raw, params)
                self._database.statements += 1
                return changed
        return self._execute(statement, params).rowcount

    async def lock(self, name: str) -> None:
        """SQLite has one writer at a time: the name is held already."""


class SqliteDatabase:
    """A file beside its write-ahead log."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = self._open(path)
        self._writer = self._engine.connect()
        self._read_engine = self._open(path)
        self._reader = self._read_engine.connect()
        self._writing, self._reading = asyncio.Lock(), asyncio.Lock()
        self.shortcuts = Shortcuts(self._engine.dialect)
        self.statements = 0
        for engine in (self._engine, self._read_engine):
            event.listen(engine, "before_cursor_execute", self._count)

    @staticmethod
    def _open(path: Path) -> Engine:
        engine = create_engine(
            f"sqlite:///{path}",
            poolclass=StaticPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"check_same_thread": False, "timeout": 0, "cached_statements": 1000},
            query_cache_size=2000,
        )

        @event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA busy_timeout=2000")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA busy_timeout=0")

        return engine

    def _count(self, *_: object) -> None:
        self.statements += 1

    def begin(self) -> AbstractAsyncContextManager[Session]:
        return self._transaction("BEGIN IMMEDIATE", self._writer, self._writing)

    def read(self) -> AbstractAsyncContextManager[Session]:
        return self._transaction("BEGIN", self._reader, self._reading)

    @asynccontextmanager
    async def _transaction(self, begin: str, connection: Connection, lock: asyncio.Lock) -> AsyncIterator[Session]:
        raw: Any = connection.connection.driver_connection
        async with lock:
            await self._patiently(raw, begin)
            session = _SqliteSession(self, connection, raw)
            try:
                yield session
                await self._patiently(raw, "COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise
        for call in session.calls:
            call()

    async def _patiently(self, raw: Any, command: str) -> None:
        """Run it; wait without blocking the loop while another process holds the file."""
        deadline = asyncio.get_running_loop().time() + BUSY_S
        while True:
            try:
                raw.execute(command)
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) and "busy" not in str(error):
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable("The database is busy; please try again.", internal=str(error)) from error
                await asyncio.sleep(0.005)
            else:
                return

    async def run_sync(self, call: Callable[[Connection], Any]) -> Any:
        """Have `call` use a plain connection, in a transaction of its own: for migrations."""
        async with self._writing:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                raw: Any = connection.connection.driver_connection
                await self._patiently(raw, "BEGIN IMMEDIATE")
                try:
                    result = call(connection)
                    raw.execute("COMMIT")
                except BaseException:
                    if raw.in_transaction:
                        raw.execute("ROLLBACK")
                    raise
        return result

    async def close(self) -> None:
        for connection, engine in ((self._writer, self._engine), (self._reader, self._read_engine)):
            connection.close()
            engine.dispose()


class _ServerSession(_Commits):
    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        super().__init__()
        self._connection = connection

    async def _execute(self, statement: Any, params: Any) -> Any:
        try:
            return await self._connection.execute(statement, params)
        except (exc.DBAPIError, OverflowError) as error:
            raise _meaning(error) from error

    async def all(self, statement: Any, params: Any = None) -> list[Any]:
        return list((await self._execute(statement, params)).all())

    async def first(self, statement: Any, params: Any = None) -> Any:
        return (await self._execute(statement, params)).first()

    async def scalar(self, statement: Any, params: Any = None) -> Any:
        return (await self._execute(statement, params)).scalar()

    async def run(self, statement: Any, params: Any = None) -> int:
        result = await self._execute(statement, params)
        return int(result.rowcount)

    async def lock(self, name: str) -> None:
        row = zlib.crc32(name.encode()) % LOCK_ROWS
        await self._execute(select(lock_rows.c.id).where(lock_rows.c.id == row).with_for_update(), None)


class ServerDatabase:
    """PostgreSQL or MariaDB."""

    def __init__(self, url: str) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        self.url = url
        connect: dict[str, Any] = (
            {"timeout": 10, "command_timeout": 60} if "asyncpg" in url else {"connect_timeout": 10}
        )
        self._engine = create_async_engine(
            url,
            isolation_level="READ COMMITTED",
            pool_size=10,
            max_overflow=10,
            pool_pre_ping=True,
            pool_timeout=30,
            connect_args=connect,
            query_cache_size=2000,
        )
        self.statements = 0
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.statements += 1

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Session]:
        try:
            async with self._engine.begin() as connection:
                session = _ServerSession(connection)
                yield session
        except (exc.DBAPIError, OSError) as error:
            if isinstance(error, OSError):
                raise Unavailable("The database is not reachable; please try again.", internal=str(error)) from error
            raise _meaning(error) from error
        for call in session.calls:
            call()

    def begin(self) -> AbstractAsyncContextManager[Session]:
        return self._transaction()

    def read(self) -> AbstractAsyncContextManager[Session]:
        return self._transaction()

    async def run_sync(self, call: Callable[[Connection], Any]) -> Any:
        """Have `call` use a plain connection, in a transaction of its own: for migrations."""
        async with self._engine.begin() as connection:
            return await connection.run_sync(call)

    async def close(self) -> None:
        await self._engine.dispose()
