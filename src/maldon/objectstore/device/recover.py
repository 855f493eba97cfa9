"""What segments say is taken into the index: what a process that died had not taken in yet, or everything.

Every segment that has no writer and is not sealed is read from where the index knows it, and sealed. Records may be met
in any order and more than once. The last group of a segment may be torn: a record there whose body is not what was to
be written was never answered, and must not end an older version. What was still to be told to a container becomes a
debt. An index that is missing, half-built or damaged is built anew from all segments, while nobody else has the disk
open.
"""

import os
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import structlog
from isal.isal_zlib import crc32

from maldon.objectstore.device.changes import Changes
from maldon.objectstore.device.debts import encode_owed
from maldon.objectstore.device.index import Index, apply, mark_segment, register, set_note, set_owed
from maldon.objectstore.device.merge import DELETED, FORGOTTEN, LARGE, MARK_SLOT, Entry
from maldon.objectstore.device.record import Head, Kind, Meta, decode_meta, scan
from maldon.objectstore.device.segment import GROUP_BYTES, adopted, magic_of

log = structlog.get_logger()
_BATCH = 1000


def recover(folder: Path, index: Index, changes: Changes) -> int:
    """Take in what has no writer any more; how many records that were."""
    taken, found = 0, sorted(names(folder))
    sealed = _sealed(index)  # after the look at the folder: what was removed since is gone or known
    for name in found:
        if name not in sealed:
            with adopted(folder / name) as file:
                if file is not None:
                    taken += _replay(file, name, index, changes)
    if index.read_note("forgotten"):
        with index.locked() as db:
            db.execute("DELETE FROM objects WHERE flags & ?", (FORGOTTEN,))
            set_note(db, "forgotten", None)
    return taken


def names(folder: Path) -> list[str]:
    """The segments of a folder."""
    return [entry.name for entry in os.scandir(folder) if _is_segment(entry.name)]


def _is_segment(name: str) -> bool:
    try:
        return bool(magic_of(name))
    except ValueError:
        return False


def _sealed(index: Index) -> set[object]:
    with index.locked() as db:
        return {row[0] for row in db.execute("SELECT name FROM segments WHERE sealed").fetchall()}


def _replay(file: int, name: str, index: Index, changes: Changes) -> int:
    end, read = os.fstat(file).st_size, reader_of(file)
    with index.locked() as db:
        number = register(db, name)
        indexed, told = db.execute("SELECT indexed, told FROM segments WHERE number = ?", (number,)).get
    taken = 0
    untold: deque[tuple[Entry, bytes]] = deque()
    unsure = max(indexed, end - 2 * GROUP_BYTES)
    records = scan(magic_of(name), read, min(indexed, told), end)
    while batch := list(islice(records, _BATCH)):
        entries = []
        for at, head, raw in batch:
            meta = decode_meta(raw)
            entry = entry_of(number, at, head, meta)
            told = max(told, head.told)
            if at >= unsure and crc32(read(head.body_bytes, at + entry.head)) != head.body_crc:
                continue
            if at >= indexed:
                entries.append(entry)
            if meta.teach:
                untold.append((entry, encode_owed(meta.teach)))
        while untold and untold[0][0].at < told:
            untold.popleft()
        with index.locked() as db:
            apply(db, entries)
            if any(entry.flags & FORGOTTEN for entry in entries):
                set_note(db, "forgotten", 1)
        for entry in entries:
            changes.note(entry.policy, entry.hash, entry.written)
        taken += len(entries)
    with index.locked() as db:
        for entry, owed in untold:
            set_owed(db, entry, owed)
        mark_segment(db, number, end, end, sealed=True)
    if taken or untold:
        log.info("a segment was taken in", segment=name, records=taken, debts=len(untold))
    return taken


def reader_of(file: int) -> Callable[[int, int], bytes]:
    """Reads so many bytes from an offset."""
    return lambda length, at: os.pread(file, length, at)


def entry_of(segment: int, at: int, head: Head, meta: Meta) -> Entry:
    """The row of a record."""
    record = meta.record
    flags = LARGE if head.kind == Kind.LARGE else FORGOTTEN if head.kind == Kind.FORGET else 0
    if record.deleted:
        flags |= DELETED
    return Entry(
        policy=meta.policy,
        hash=head.hash,
        fragment=MARK_SLOT if head.kind == Kind.MARK else record.fragment,
        pending=0 if record.durable else record.timestamp,
        timestamp=record.timestamp,
        posted=record.posted_at,
        written=head.written,
        segment=segment,
        at=at,
        head=head.length - head.body_bytes,
        size=record.size,
        flags=flags,
        expires=expiry(meta),
        owed=None,
    )


def expiry(meta: Meta) -> int | None:
    """The second an object is to be deleted at, if it says so."""
    text = meta.record.headers.get("x-delete-at", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
