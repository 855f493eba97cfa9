"""Merging rows into a book: the newest wins, field by field, and totals stay exact in the same transaction.

A row has two times (node.Row). Of an object, the later `measured_at` (when bytes were written or removed) decides size,
etag and whether it is gone, the later `timestamp` its content type. Of a container, the later `timestamp` decides
whether it is gone, the later `measured_at` its counts. So merging is commutative and repeatable: replicas that saw the
same rows in any order hold the same.
"""

from collections.abc import Iterable, Sequence

import msgspec

from maldon.objectstore.books.database import Database
from maldon.objectstore.books.item import Kind, described, shown
from maldon.objectstore.node import Row

LIVING = "SELECT timestamp, measured_at, size, count, policy, item FROM row WHERE name = ?"
GONE = "SELECT timestamp, measured_at, policy FROM gone WHERE name = ?"
UPSERT = """INSERT INTO row (name, timestamp, measured_at, size, count, policy, seq, item)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET timestamp = excluded.timestamp, measured_at = excluded.measured_at,
    size = excluded.size, count = excluded.count, policy = excluded.policy, seq = excluded.seq, item = excluded.item"""
BURY = "INSERT OR REPLACE INTO gone (name, timestamp, measured_at, policy, seq) VALUES (?, ?, ?, ?, ?)"

Shares = dict[int, tuple[int, int, int]]  # by policy: rows, their counts, their bytes
_replace = msgspec.structs.replace


def merge(held: Row, new: Row, kind: Kind) -> Row:
    """The one row two rows make; `held` itself when `new` adds nothing."""
    if new.timestamp <= held.timestamp and new.measured_at <= held.measured_at:
        return held
    if new.timestamp >= held.timestamp and new.measured_at >= held.measured_at:
        return new
    early, late = (held, new) if new.timestamp > held.timestamp else (new, held)  # `early` was measured later
    if kind is Kind.CONTAINER:
        return _replace(early, timestamp=late.timestamp, content_type=late.content_type)
    return _replace(late, size=early.size, count=early.count, measured_at=early.measured_at)


def dated(row: Row) -> Row:
    """The row with its second time said."""
    return row if row.measured_at else _replace(row, measured_at=row.timestamp)


def folded(rows: Iterable[Row], kind: Kind) -> dict[str, Row]:
    """One row a name."""
    result: dict[str, Row] = {}
    for row in map(dated, rows):
        held = result.get(row.name)
        result[row.name] = row if held is None else merge(held, row, kind)
    return result


def held_row(db: Database, name: str, kind: Kind) -> Row | None:
    """What the book has of a name, a tombstone too."""
    found = db.execute(LIVING, (name,)).get
    if found is not None:
        timestamp, measured_at, size, count, policy, item = found
        content_type, etag = described(item, kind)
        return Row(name, timestamp, size, content_type, etag, False, policy, count, measured_at)
    found = db.execute(GONE, (name,)).get
    if found is None:
        return None
    timestamp, measured_at, policy = found
    return Row(name, timestamp, deleted=True, policy=policy, measured_at=measured_at)


def merge_rows(db: Database, rows: Sequence[Row], kind: Kind) -> int:
    """Merge them; how many changed anything. Within a transaction."""
    seq, shares = _totals(db)
    upserts, buried, removed, revived = [], [], [], []
    begun = seq
    for name, new in folded(rows, kind).items():
        held = held_row(db, name, kind)
        row = new if held is None else merge(held, new, kind)
        if row is held:
            continue
        seq += 1
        if held is not None and not held.deleted:
            _count(shares, held, -1)
            if row.deleted:
                removed.append((name,))
        if row.deleted:
            buried.append((name, row.timestamp, row.measured_at, row.policy, seq))
            continue
        if held is not None and held.deleted:
            revived.append((name,))
        _count(shares, row, 1)
        upserts.append((name, row.timestamp, row.measured_at, row.size, row.count, row.policy, seq, shown(row, kind)))
    if seq == begun:
        return 0
    db.executemany("DELETE FROM row WHERE name = ?", removed)
    db.executemany("DELETE FROM gone WHERE name = ?", revived)
    db.executemany(UPSERT, upserts)
    db.executemany(BURY, buried)
    _record_totals(db, seq, shares, kind)
    return seq - begun


def _count(shares: Shares, row: Row, sign: int) -> None:
    rows, count, size = shares.get(row.policy, (0, 0, 0))
    shares[row.policy] = rows + sign, count + sign * row.count, size + sign * row.size


def _totals(db: Database) -> tuple[int, Shares]:
    seq, shares = db.execute("SELECT seq, shares FROM heading").get
    return seq, msgspec.msgpack.decode(shares, type=Shares)


def _record_totals(db: Database, seq: int, shares: Shares, kind: Kind) -> None:
    shares = {policy: share for policy, share in shares.items() if any(share)}
    rows, count, size = (sum(share[i] for share in shares.values()) for i in range(3))
    db.execute(
        "UPDATE heading SET seq = ?, shares = ?, containers = ?, objects = ?, size = ?",
        (seq, msgspec.msgpack.encode(shares), *((0, rows) if kind is Kind.CONTAINER else (rows, count)), size),
    )
