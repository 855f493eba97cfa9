"""What a disk holds of one account, container or object, in every detail.

For `maldon object info`, and for whoever asks a storage node at /held/….

It reads the files as they are, whether or not a process has the disk open: of an object every version in the index,
with the record it points to read and checked; of a book its heading, and how it stands towards replicas and shards.
"""

import os
from pathlib import Path as File
from typing import Any

import apsw
import msgspec
from isal.isal_zlib import crc32

from maldon.objectstore.books import heading
from maldon.objectstore.books.database import FILE, Database
from maldon.objectstore.books.item import kind_of
from maldon.objectstore.books.syncing import standing
from maldon.objectstore.device import opening
from maldon.objectstore.device.debts import decode_owed
from maldon.objectstore.device.large import BLOCK_BYTES, read_block, shelf
from maldon.objectstore.device.merge import DELETED, FORGOTTEN, LARGE, MARK_SLOT, Entry
from maldon.objectstore.device.record import Damaged, Meta, decode_meta, unpack
from maldon.objectstore.device.segment import magic_of
from maldon.objectstore.node import WHOLE, Home, Range
from maldon.objectstore.path import Path
from maldon.objectstore.rings import Rings
from maldon.objectstore.timestamp import text

PATIENCE_MS = 5000
_COLUMNS = len(Entry._fields)
Facts = dict[str, Any]


def held_objects(root: File, policy: int, hashed: bytes) -> list[Facts]:
    """Every version that a disk has of an object, the newest first. For a thread. Raises OSError, apsw.Error."""
    db = apsw.Connection(str(root / opening.INDEX), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        db.set_busy_timeout(PATIENCE_MS)
        db.pragma("query_only", 1)
        found = db.execute(
            "SELECT objects.*, segments.name FROM objects LEFT JOIN segments ON segments.number = objects.segment "
            "WHERE policy = ? AND hash = ? ORDER BY timestamp DESC, posted DESC",
            (policy, hashed),
        ).fetchall()
    finally:
        db.close()
    return [_version(root, Entry._make(row[:_COLUMNS]), _name(row[_COLUMNS])) for row in found]


def _name(found: object) -> str | None:
    return None if found is None else str(found)


def _version(root: File, row: Entry, segment: str | None) -> Facts:
    facts: Facts = {
        "timestamp": text(row.timestamp),
        "posted_at": text(row.posted),
        "state": _state(row),
        "fragment": None if row.fragment in {WHOLE, MARK_SLOT} else row.fragment,
        "durable": not row.pending,
        "size": row.size,
        "segment": segment,
        "offset": row.at,
        "owed": [f"{one.address}/{one.spot.device}" for one in decode_owed(row.owed)] if row.owed else [],
    }
    if segment is None:
        return facts | {"checksum": "the segment is gone"}
    try:
        meta, checked = _record(root, row, segment)
    except (OSError, Damaged, msgspec.MsgspecError) as error:
        return facts | {"checksum": f"wrong: {error}"}
    record = meta.record
    return facts | {
        "path": str(meta.path),
        "etag": record.etag,
        "headers": record.headers,
        "size": record.size,
        "file": str(root / opening.LARGE / shelf(meta.file) / meta.file) if meta.file else None,
        "checksum": checked,
    }


def _state(row: Entry) -> str:
    if row.fragment == MARK_SLOT:
        return "mark"
    return "forgotten" if row.flags & FORGOTTEN else "deleted" if row.flags & DELETED else "object"


def _record(root: File, row: Entry, segment: str) -> tuple[Meta, str]:
    """What the record says, and "right" or why its bytes are not what was written."""
    with (root / opening.SEGMENTS / segment).open("rb", 0) as file:
        data = os.pread(file.fileno(), row.head + (0 if row.flags & LARGE else row.size), row.at)
    head, raw = unpack(magic_of(segment), data)
    meta: Meta = decode_meta(raw)
    if not meta.file:
        right = crc32(data[row.head :]) == head.body_crc
        return meta, "right" if right else "wrong: the body is not what was written"
    large = root / opening.LARGE / shelf(meta.file) / meta.file
    try:
        with large.open("rb", 0) as file:
            for number in range(-(-meta.record.size // BLOCK_BYTES)):
                read_block(file.fileno(), meta.record.size, number)
    except (OSError, Damaged) as error:
        return meta, f"wrong: {error}"
    return meta, "right"


def held_book(root: File, rings: Rings, path: Path) -> Facts | None:
    """What a disk has of an account or a container; None for nothing. For a thread. Raises OSError, apsw.Error."""
    ring = rings.container() if path.container else rings.account()
    folder = root / kind_of(path).value / str(ring.partition(path)) / ring.hashed(path).hex()
    if not (folder / FILE).exists():
        return None
    db = Database(folder, 1000)
    try:
        db.wait(PATIENCE_MS / 1000)
        return _book(db, folder)
    finally:
        db.close()


def _book(db: Database, folder: File) -> Facts:
    book, stand = heading.read_book(db), standing(db)
    synced = db.execute("SELECT made, got FROM synced ORDER BY made").fetchall()
    totals: Facts = {"objects": book.objects, "bytes": book.size}
    if book.path.container:
        totals |= {"policy": book.policy, "sharded": book.sharded, "shards": [_shard(one) for one in db.ranges]}
    else:
        shares = {str(policy): share for policy, share in sorted(book.shares.items())}
        totals |= {"containers": book.containers, "policies": shares}
    return {
        "path": str(book.path),
        "state": "deleted" if book.deleted else "there",
        "created_at": text(book.created_at),
        "put_at": text(book.put_at),
        "deleted_at": text(book.deleted_at) if book.deleted_at else None,
        "headers": {name: value for name, (value, _) in sorted(book.headers.items())},
        **totals,
        "file": str(folder / FILE),
        "replica": stand.made,
        "changes": stand.seq,
        "rows_digest": f"{stand.living & (1 << 64) - 1:016x}",
        "merged_from": dict(synced),
    }


def _shard(one: Range) -> Facts:
    return {
        "shard": one.shard, "above": one.lower, "up_to": one.upper, "state": Home(one.home).name.lower(),
        "objects": one.objects, "bytes": one.size,
    }  # fmt: skip
