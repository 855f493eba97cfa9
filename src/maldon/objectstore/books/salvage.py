"""Whether a book is as it was written, and what of a damaged one still is.

A book is looked through as a whole: SQLite's own check of its pages, the seal of every living row, the digests and
totals of all. Of a damaged one every row is taken that can be read and has its seal: from either end up to the damage,
then one by one those that the index of changes still names. They make a new book, which takes the place of the old, or
is merged into the one that has come there meanwhile; replication brings what is missing, where there is a replica.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path as File
from typing import Any

import apsw
import msgspec

from maldon.objectstore.books import heading
from maldon.objectstore.books.database import Database, write_new
from maldon.objectstore.books.item import Kind, kind_of
from maldon.objectstore.books.rows import COLUMNS, GONE_COLUMNS, buried, fingerprint, merge_rows, row_of, seal
from maldon.objectstore.books.sharding import merge_ranges
from maldon.objectstore.books.shelf import DAMAGED, Shelf
from maldon.objectstore.books.shipping import beside, settle
from maldon.objectstore.books.syncing import merge_preamble, preamble
from maldon.objectstore.node import Row, Shipment
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.timestamp import stamp

BREATH = 1000  # rows
UNREADABLE = (*DAMAGED, apsw.SQLError, msgspec.MsgspecError, TypeError, ValueError)
FOREVER = 1 << 40  # pages of a log: never move it


class Unsound(Exception):
    """What is not as it was written."""


class Lost(Exception):
    """Not even whose book it is can be read."""


def flaw(folder: File, rows_per_s: int) -> str:
    """What is wrong with a book; "" when nothing is. For a thread. Raises OSError and the like of a bad disk."""
    try:
        with closing(Database(folder, FOREVER)) as db:
            db.wait(10)
            db.execute("BEGIN")  # all of it at one instant
            _check(db, rows_per_s)
    except (Unsound, *UNREADABLE) as error:
        return f"{error or error!r}"
    return ""


def _check(db: Database, rows_per_s: int) -> None:
    found = db.execute("PRAGMA quick_check(1)").get
    if found != "ok":
        raise Unsound(found)
    kind = kind_of(heading.read_book(db).path)
    living, shares = _count(_paced(db.execute(f"SELECT {COLUMNS}, sealed FROM row"), rows_per_s), kind)  # noqa: S608
    gone = 0
    for values in _paced(db.execute(f"SELECT {GONE_COLUMNS} FROM gone"), rows_per_s):  # noqa: S608
        gone ^= fingerprint(buried(*values))
    digest, dug, said = db.execute("SELECT digest, buried, shares FROM heading").get
    if (living, gone) != (digest, dug):
        raise Unsound("rows are missing, or are not those that were written")
    if shares != {
        p: share for p, share in msgspec.msgpack.decode(said, type=dict[int, list[int]]).items() if any(share)
    }:
        raise Unsound("the totals are not those of the rows")


def _count(rows: Iterator[tuple[Any, ...]], kind: Kind) -> tuple[int, dict[int, list[int]]]:
    """Digest and totals of living rows. Raises Unsound for one whose seal is broken."""
    digest, shares = 0, defaultdict[int, list[int]](lambda: [0, 0, 0])
    for *values, sealed in rows:
        row = _unbroken(values, sealed, kind)
        if row is None:
            raise Unsound(f"the row {values[0]!r} is not as it was written")
        digest ^= fingerprint(row)
        share = shares[row.policy]
        share[0], share[1], share[2] = share[0] + 1, share[1] + row.count, share[2] + row.size
    return digest, dict(shares)


def _unbroken(values: list[Any], sealed: int, kind: Kind) -> Row | None:
    with suppress(TypeError, ValueError, AttributeError, msgspec.MsgspecError):
        if seal(*values[1:]) == sealed:
            return row_of(values, kind)
    return None


def _paced(rows: Iterator[Any], rows_per_s: int) -> Iterator[Any]:
    """The same at a rate, so that nobody is in the way of requests."""
    while some := list(islice(rows, BREATH)):
        begun = time.monotonic()
        yield from some
        time.sleep(max(0.0, len(some) / rows_per_s - (time.monotonic() - begun)))


async def salvage(shelf: Shelf, placing: Placing, wreck: File) -> tuple[Path, int]:
    """Bring back what can be read of a book that was set aside: whose it is, how many rows. Raises Lost, NoSpace."""
    path = await asyncio.to_thread(_whose, shelf, wreck)
    key = placing.book(path).partition, path
    with beside(shelf, key) as folder:
        shipment, rows = await asyncio.to_thread(_rebuild, wreck, folder, path)
        await settle(shelf, key, shipment, folder)
    return path, rows


def _whose(shelf: Shelf, wreck: File) -> Path:
    try:
        with closing(Database(wreck, FOREVER)) as db:
            path = heading.read_book(db).path
    except (*UNREADABLE, OSError, apsw.Error) as error:
        raise Lost(str(error)) from error
    if shelf.hashed(path).hex() != wreck.name.partition("-")[0]:
        raise Lost(f"it says that it is {path}")
    return path


def _rebuild(wreck: File, folder: File, path: Path) -> tuple[Shipment, int]:
    with closing(Database(wreck, FOREVER)) as old:
        told, kind = preamble(old), kind_of(path)
        write_new(folder, partial(heading.first_heading, path, told.created_at, {}, told.policy))
        with closing(Database(folder, FOREVER)) as new:
            rows, found = 0, chain(_living(old, kind), _gone(old))
            while some := list(islice(found, BREATH)):
                rows += new.transact(partial(merge_rows, rows=some, kind=kind))
            new.transact(partial(merge_preamble, told=told))
            new.transact(partial(merge_ranges, told=told.ranges))
            new.sync()
            made, seq = new.execute("SELECT made, seq FROM heading").get
            return Shipment(made, seq, 0), rows


def _living(db: Database, kind: Kind) -> Iterator[Row]:
    for *values, sealed in _readable(db, "row", f"{COLUMNS}, sealed"):
        if (row := _unbroken(values, sealed, kind)) is not None:
            yield row


def _gone(db: Database) -> Iterator[Row]:
    """A tombstone has no seal; one of a time to come would hide what is written until then."""
    now = stamp()
    for values in _readable(db, "gone", GONE_COLUMNS):
        with suppress(TypeError, ValueError):
            row = buried(*values)
            if max(row.timestamp, row.measured_at) <= now:
                yield row


def _readable(db: Database, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Every row that can be read at all."""
    low = high = None
    for order in ("ASC", "DESC"):
        try:
            for values in db.execute(f"SELECT {columns} FROM {table} ORDER BY name {order}"):  # noqa: S608
                if order == "ASC":
                    low = values[0]
                elif low is not None and values[0] <= low:
                    return
                else:
                    high = values[0]
                yield values
        except DAMAGED:
            continue
        return
    yield from _between(db, table, columns, (low, high))


def _between(db: Database, table: str, columns: str, ends: tuple[str | None, str | None]) -> Iterator[tuple[Any, ...]]:
    """Rows in the middle of the damage, by the names that the other index has."""
    low, high = ends
    with suppress(*DAMAGED):
        for (name,) in db.execute(f"SELECT name FROM {table} ORDER BY seq"):  # noqa: S608
            if (low is None or name > low) and (high is None or name < high):
                with suppress(*DAMAGED):
                    yield from db.execute(f"SELECT {columns} FROM {table} WHERE name = ?", (name,)).fetchall()  # noqa: S608
