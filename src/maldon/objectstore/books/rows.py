"""Merging rows into a book: the newest wins, field by field, and totals stay exact in the same transaction.

A row has two times (node.Row). Of an object, the later `measured_at` (when bytes were written or removed) decides size,
etag and whether it is gone, the later `timestamp` its content type. Of a container, the later `timestamp` decides
whether it is gone, the later `measured_at` its counts. So merging is commutative and repeatable: replicas that saw the
same rows in any order hold the same.
"""

import hashlib
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from isal.isal_zlib import crc32

from maldon.objectstore.books.database import Database
from maldon.objectstore.books.item import Kind, described, shown
from maldon.objectstore.node import Row

COLUMNS = "name, timestamp, measured_at, size, count, policy, item"
LIVING = f"SELECT {COLUMNS} FROM row WHERE name IN"  # noqa: S608
GONE_COLUMNS = "name, timestamp, measured_at, policy"
GONE = f"SELECT {GONE_COLUMNS} FROM gone WHERE name IN"  # noqa: S608
AT_ONCE = (1, 8, 64)  # names that one statement looks up
UPSERT = """INSERT INTO row (name, timestamp, measured_at, size, count, policy, seq, item, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET timestamp = excluded.timestamp, measured_at = excluded.measured_at,
    size = excluded.size, count = excluded.count, policy = excluded.policy, seq = excluded.seq, item = excluded.item,
    sealed = excluded.sealed"""
BURY = "INSERT OR REPLACE INTO gone (name, timestamp, measured_at, policy, seq) VALUES (?, ?, ?, ?, ?)"

MOST = 2**63 - 1  # of bytes; a manifest may claim many, so a total of more stays there
Shares = dict[int, tuple[int, int, int]]  # by policy: rows, their counts, their bytes
Totals = tuple[int, list[int], Shares]  # changes, digests of the living and the gone, shares
_read_shares = msgspec.msgpack.Decoder(Shares).decode
_replace = msgspec.structs.replace


def merge(held: Row, new: Row, kind: Kind) -> Row:
    """The one row two rows make; `held` itself when `new` adds nothing. An object that was written and removed at the
    same time is removed, as on the disks; a container that was made and removed at the same time is there.
    """
    if held.deleted != new.deleted:
        if kind is Kind.CONTAINER and held.measured_at == new.measured_at:
            gone, timestamp = (held if held.deleted else new), max(held.timestamp, new.timestamp)
            return gone if gone.timestamp == timestamp else _replace(gone, timestamp=timestamp)
        if kind is Kind.ACCOUNT and held.timestamp == new.timestamp:
            return new if held.deleted else held
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
    return held_rows(db, [name], kind).get(name)


def held_rows(db: Database, names: Sequence[str], kind: Kind) -> dict[str, Row]:
    """What the book has of names, tombstones too."""
    found: dict[str, Row] = {}
    for at in range(0, len(names), AT_ONCE[-1]):
        some = names[at : at + AT_ONCE[-1]]
        found |= {values[0]: row_of(values, kind) for values in _named(db, LIVING, some)}
        if rest := [name for name in some if name not in found]:
            found |= {values[0]: buried(*values) for values in _named(db, GONE, rest)}
    return found


def _named(db: Database, statement: str, names: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    """The rows of names, by one of few statements, which stay prepared."""
    width = next(width for width in AT_ONCE if width >= len(names))
    rows: Iterable[tuple[Any, ...]] = db.execute(
        f"{statement} ({', '.join('?' * width)})", (*names, *[names[0]] * (width - len(names)))
    )
    return rows


def merge_rows(db: Database, rows: Sequence[Row], kind: Kind) -> int:
    """Merge them; how many changed anything. Within a transaction."""
    seq, digests, shares = _totals(db)
    upserts, buried, removed, revived = [], [], [], []
    begun = seq
    newest = folded(rows, kind)
    known = held_rows(db, list(newest), kind)
    for name, new in newest.items():
        held = known.get(name)
        row = new if held is None else merge(held, new, kind)
        if row is held:
            continue
        seq += 1
        digests[row.deleted] ^= fingerprint(row)
        if held is not None:
            digests[held.deleted] ^= fingerprint(held)
            if not held.deleted:
                _count(shares, held, -1)
                if row.deleted:
                    removed.append((name,))
        if row.deleted:
            buried.append((name, row.timestamp, row.measured_at, row.policy, seq))
            continue
        if held is not None and held.deleted:
            revived.append((name,))
        _count(shares, row, 1)
        numbers = row.timestamp, row.measured_at, min(row.size, MOST), row.count, row.policy
        item = shown(row, kind)
        upserts.append((name, *numbers, seq, item, seal(*numbers, item)))
    if seq == begun:
        return 0
    db.executemany("DELETE FROM row WHERE name = ?", removed)
    db.executemany("DELETE FROM gone WHERE name = ?", revived)
    db.executemany(UPSERT, upserts)
    db.executemany(BURY, buried)
    _record_totals(db, (seq, digests, shares), kind)
    return seq - begun


def seal(timestamp: int, measured_at: int, size: int, count: int, policy: int, item: str) -> int:
    """The checksum of a living row; its item has its name."""
    numbers = timestamp ^ (measured_at << 1) ^ (size << 2) ^ (count << 3) ^ (policy << 4)
    return crc32(item.encode(), (numbers ^ (numbers >> 32)) & 0xFFFFFFFF)


def fingerprint(row: Row) -> int:
    """64 bits of what replicas must agree on; those of all rows, exclusive-ored, are a book's digest."""
    told = f"{row.name}\0{row.timestamp}\0{row.measured_at}".encode()
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big", signed=True)


def forget_rows(db: Database, where: str, values: tuple[str | int, ...]) -> None:
    """Remove a container's rows as if they had never been here, tombstones too. Within a transaction."""
    seq, digests, shares = _totals(db)
    for table, deleted in (("row", 0), ("gone", 1)):
        found = f"SELECT name, timestamp, measured_at FROM {table} WHERE {where}"  # noqa: S608
        for name, timestamp, measured_at in db.execute(found, values):
            digests[deleted] ^= fingerprint(Row(name, timestamp, measured_at=measured_at))
    high, low = "sum(size >> 32)", "sum(size & 0xffffffff)"  # the sum of all may be more than SQLite counts
    leaving = f"SELECT policy, count(*), sum(count), {high}, {low} FROM row WHERE {where} GROUP BY policy"  # noqa: S608
    for policy, rows, count, *size in db.execute(leaving, values):
        had = shares[policy]
        shares[policy] = had[0] - rows, had[1] - count, had[2] - (size[0] << 32) - size[1]
    db.execute(f"DELETE FROM row WHERE {where}", values)  # noqa: S608
    db.execute(f"DELETE FROM gone WHERE {where}", values)  # noqa: S608
    _record_totals(db, (seq, digests, shares), Kind.CONTAINER)


def forget_tombstones(db: Database, before: int, limit: int) -> int:
    """Forget those from before a time; how many. Within a transaction."""
    old = db.execute(
        "SELECT name, timestamp, measured_at FROM gone WHERE max(timestamp, measured_at) < ? LIMIT ?", (before, limit)
    ).fetchall()
    digest = 0
    for name, timestamp, measured_at in old:
        digest ^= fingerprint(Row(name, timestamp, measured_at=measured_at))
    if old:
        db.executemany("DELETE FROM gone WHERE name = ?", [(name,) for name, *_ in old])
        db.execute("UPDATE heading SET buried = ?", (db.execute("SELECT buried FROM heading").get ^ digest,))
    return len(old)


def changed_rows(db: Database, since: int, limit: int, kind: Kind) -> tuple[int, list[Row]]:
    """Rows that changed after `since`, in the order they changed, and how far these go."""
    found = numbered_rows(db, since, limit, kind)
    upto = found[-1][0] if len(found) == limit else db.execute("SELECT seq FROM heading").get
    return upto, [row for _, row in found]


def numbered_rows(db: Database, since: int, limit: int, kind: Kind) -> list[tuple[int, Row]]:
    """The same, each with the number of its change."""
    living = db.execute(f"SELECT {COLUMNS}, seq FROM row WHERE seq > ? ORDER BY seq LIMIT ?", (since, limit)).fetchall()  # noqa: S608
    gone = db.execute(
        f"SELECT {GONE_COLUMNS}, seq FROM gone WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
        (since, limit),
    ).fetchall()
    found = [(seq, row_of(values, kind)) for *values, seq in living]
    found += [(seq, buried(*values)) for *values, seq in gone]
    found.sort(key=itemgetter(0))
    return found[:limit]


def row_of(values: Sequence[Any], kind: Kind) -> Row:
    """A living row from its COLUMNS."""
    name, timestamp, measured_at, size, count, policy, item = values
    content_type, etag = described(item, kind)
    return Row(name, timestamp, size, content_type, etag, False, policy, count, measured_at)


def buried(name: str, timestamp: int, measured_at: int, policy: int) -> Row:
    """A tombstone from its GONE_COLUMNS."""
    return Row(name, timestamp, deleted=True, policy=policy, measured_at=measured_at)


def _count(shares: Shares, row: Row, sign: int) -> None:
    rows, count, size = shares.get(row.policy, (0, 0, 0))
    shares[row.policy] = rows + sign, count + sign * row.count, size + sign * row.size


def _totals(db: Database) -> Totals:
    seq, living, gone, shares = db.execute("SELECT seq, digest, buried, shares FROM heading").get
    return seq, [living, gone], _read_shares(shares)


def _record_totals(db: Database, totals: Totals, kind: Kind) -> None:
    seq, digests, shares = totals
    shares = {policy: (*share[:2], min(max(share[2], 0), MOST)) for policy, share in shares.items() if any(share)}
    rows, count, size = (sum(share[i] for share in shares.values()) for i in range(3))
    db.execute(
        "UPDATE heading SET seq = ?, digest = ?, buried = ?, shares = ?, containers = ?, objects = ?, size = ?",
        (
            seq,
            *digests,
            msgspec.msgpack.encode(shares),
            *((0, rows) if kind is Kind.CONTAINER else (rows, count)),
            min(size, MOST),
        ),
    )
