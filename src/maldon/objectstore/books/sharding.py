"""What a root does on its own disk while it is sharded: find where to cut, close a range, let go of what has moved.

Moving a range: its rows are copied to the shard while they are still listed here; then the range is closed for a
moment, what changed meanwhile is copied too, and one transaction removes the rows and gives the names their new home.
So at every instant each name has one home, and totals never count it twice.

A shard that has become small is joined to its neighbour in the same way: it is a root of one range, whose shard the
neighbour is. That one tells nobody of what it has until the root knows that the other is gone.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from maldon.objectstore.books import ranges as r
from maldon.objectstore.books.database import Database
from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.rows import COLUMNS, GONE_COLUMNS, buried, forget_rows, row_of
from maldon.objectstore.node import Book, Home, Range, Row
from maldon.objectstore.timestamp import text

EDGE = "SELECT name FROM row WHERE name > ? ORDER BY name LIMIT 2 OFFSET ?"
_replace = msgspec.structs.replace


def within(one: Range) -> tuple[str, tuple[str, ...]]:
    """The condition on a row's name."""
    if one.upper:
        return "name > ? AND name <= ?", (one.lower, one.upper)
    return "name > ?", (one.lower,)


def cut(db: Database, book: Book, rows: int, timestamp: int) -> list[Range]:
    """Ranges of `rows` names each that cover the book."""
    path, (lower, end) = book.path, r.bounds_of(book)
    edges = [lower]
    while True:
        found = db.execute(EDGE, (edges[-1], rows - 1)).fetchall()
        if len(found) < 2:  # nothing would be left for the next
            break
        edges.append(found[0][0])
    stem = path.container.rsplit("-", 2)[0] if path.account.startswith(r.HIDDEN) else path.container
    return [
        Range(f"{stem}-{text(timestamp)}-{n}", lower, upper)
        for n, (lower, upper) in enumerate(zip(edges, [*edges[1:], end], strict=True))
    ]


def count(db: Database, one: Range) -> tuple[int, int]:
    """Rows of a range that are here, and their bytes."""
    where, names = within(one)
    found: tuple[int, int | None] = db.execute(f"SELECT count(*), sum(size) FROM row WHERE {where}", names).get  # noqa: S608
    return found[0], found[1] or 0


def merge_ranges(db: Database, told: Sequence[Range]) -> bool:
    """Merge what a shard or another replica says; whether anything changed. Within a transaction."""
    before = {one.shard: one for one in db.ranges}
    held = dict(before)
    for one in told:
        held[one.shard] = r.merge(held.get(one.shard) or Range(one.shard, one.lower, one.upper), one)
    if held == before:
        return False
    for one in r.Ranges(held.values()).living:
        if one.home is Home.SHARD and _reach(before.get(one.shard)) != _reach(held[one.shard]):
            left, left_size = count(db, one)
            held[one.shard] = _replace(held[one.shard], left=left, left_size=left_size)
    db.ranges = held.values()
    return True


def _reach(one: Range | None) -> tuple[object, ...]:
    """What decides which rows of the root are a range's, and yet to be moved."""
    return () if one is None else (one.home, one.lower, one.upper)


def last_change(db: Database) -> int:
    number: int = db.execute("SELECT seq FROM heading").get
    return number


def rows_after(db: Database, table: str, one: Range, last: str) -> list[Row]:
    """The next rows of a range behind a name, the living or the gone."""
    where, names = within(_replace(one, lower=last))
    columns = COLUMNS if table == "row" else GONE_COLUMNS
    found = db.execute(f"SELECT {columns} FROM {table} WHERE {where} ORDER BY name LIMIT 500", names)  # noqa: S608
    return [row_of(values, Kind.CONTAINER) if table == "row" else buried(*values) for values in found]


def open_again(db: Database, shard: str) -> None:
    """A range that was closed could not be moved. Within a transaction."""
    if any(one.shard == shard and one.home is Home.CLOSED for one in db.ranges):
        set_home(db, shard, Home.ROOT)


def set_home(db: Database, shard: str, home: Home) -> None:
    """Close a range, or open it again. Within a transaction."""
    one = next(one for one in db.ranges if one.shard == shard)
    db.ranges = db.ranges.replaced(_replace(one, home=home))


def let_go(db: Database, shard: str, copied: int, measured_at: int) -> bool:
    """Remove the rows of a range, if none changed after `copied`: they are in the shard. Within a transaction."""
    one = next(one for one in db.ranges if one.shard == shard)
    reach = next((reach for reach in db.ranges.living if reach.shard == shard), one)
    where, names = within(reach)
    for table in ("row", "gone"):
        newer = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE seq > ? AND {where})"  # noqa: S608
        if db.execute(newer, (copied, *names)).get:
            return False
    objects, size = count(db, reach)
    forget_rows(db, where, names)
    if one.home is not Home.SHARD:
        one = _replace(one, home=Home.SHARD)
        if measured_at > one.measured_at:
            one = _replace(one, objects=objects, size=size, measured_at=measured_at)
    db.ranges = db.ranges.replaced(_replace(one, left=0, left_size=0))
    return True


def has_rows(db: Database, one: Range) -> bool:
    where, names = within(one)
    found: Any = db.execute(
        f"SELECT EXISTS (SELECT 1 FROM row WHERE {where}) OR EXISTS (SELECT 1 FROM gone WHERE {where})",  # noqa: S608
        (*names, *names),
    ).get
    return bool(found)
