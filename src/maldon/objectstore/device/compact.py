"""Compaction: what is still in use of a segment moves to a new one, and the old file goes away.

A segment is rewritten when too little of it is in use, and small ones, as restarts leave them, when there are several.
A record is copied and synced, and only then does its row point to the copy, if it still pointed to the old place; the
old file is removed when no row points to it and the index's word for that is on the disk. A crash in between leaves
copies that nobody points to, for the next time. Readers of other processes who have the old place look again.

What no row points to is dropped, except what ends something: a tombstone that was reclaimed, a version let go, a mark
of durability. An index built anew from the log would bring back what they ended, so they are copied as long as another
segment may hold that.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog
from isal.isal_zlib import crc32

from maldon.objectstore.device import index as tables
from maldon.objectstore.device.debts import decode_owed
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.merge import DELETED, FORGOTTEN, PROMOTED, Entry
from maldon.objectstore.device.opening import SEGMENTS
from maldon.objectstore.device.reclaim import reclaim, sweep
from maldon.objectstore.device.record import HEAD_READ, Head, Kind, Meta, decode_meta, encode_meta, pack, scan
from maldon.objectstore.device.recover import entry_of, names, reader_of
from maldon.objectstore.device.segment import GROUP_BYTES, Segment, made_at, magic_of, sync_directory
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.timestamp import TICKS, stamp

log = structlog.get_logger()
_BATCH = 256  # records copied with one sync, if they are not too many bytes
_EVERY_S = 300.0  # between two rounds, unless much is written
_GROWN = 8  # segments filled since the last round that are worth another at once
_MANY = 4  # small segments that are worth being joined
_MARGIN_S = 60  # by which a segment is surely younger than a record

Found = tuple[int, Head, memoryview]
"""A record in a segment: where, its header, its metadata."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A segment to be rewritten."""

    number: int
    name: str
    size: int


@dataclass(slots=True)
class Copies:
    """Records on their way to a new segment: where their rows have to point, from which row."""

    pieces: list[bytes] = field(default_factory=list)
    moves: list[tuple[Entry, Entry]] = field(default_factory=list)
    end: int = 0
    kept: int = 0


class Compactor:
    """Compaction of one disk; one process at a time does it."""

    def __init__(self, device: Device) -> None:
        self._device, self.survey = device, Survey(device)
        self._folder = device.root / SEGMENTS
        self._into: Segment | None = None
        self._looked_s, self._filled = -_EVERY_S, 0

    async def when_due(self) -> int:
        """A round if the last is long ago, or so much was written since that there may be much to give back."""
        now, filled = time.monotonic(), await asyncio.to_thread(self._newest_filled)
        if now - self._looked_s < _EVERY_S and filled - self._filled < _GROWN:
            return 0
        self._looked_s = now
        gone = await self.once()
        self._filled = await asyncio.to_thread(self._newest_filled)
        return gone

    def _newest_filled(self) -> int:
        with self._device.index.locked() as db:
            return max((number for number, *_ in tables.sealed_segments(db)), default=0)

    async def once(self) -> int:
        """One round; how many segments went away."""
        with _alone(self._device.root) as alone:
            if not alone:
                return 0
            await asyncio.to_thread(self._device.take_in)
            await asyncio.to_thread(reclaim, self._device)
            looked_at = stamp()
            live = await self.survey.live_bytes()
            victims, dirty = await asyncio.to_thread(self._choose, live)
            try:
                for victim in victims:
                    await self._empty(victim, dirty, looked_at)
            finally:
                await asyncio.to_thread(self._finish)
            await self._set_leftovers_aside(victims)
            await asyncio.to_thread(self._remove, victims)
            await sweep(self._device)
            return len(victims)

    def _choose(self, live: dict[int, int]) -> tuple[list[Victim], list[str]]:
        """The segments to be rewritten, and the names of those that hold anything that is not in use."""
        settings = self._device.settings
        victims, small, clean = [], [], set()
        with self._device.index.locked() as db:
            sealed = tables.sealed_segments(db)
        for number, name, kept in sealed:
            try:
                size = (self._folder / name).stat().st_size
            except FileNotFoundError:
                continue
            used = live.get(number, 0) + kept
            victim = Victim(number, name, size)
            if used * 100 < size * settings.live_percent or not size:
                victims.append(victim)
            elif size * 100 < settings.segment_bytes * settings.live_percent:
                small.append(victim)
            if live.get(number, 0) == size:
                clean.add(name)
        if len(small) >= _MANY:
            victims += small
        return victims, [name for name in names(self._folder) if name not in clean]

    async def _empty(self, victim: Victim, dirty: list[str], looked_at: int) -> None:
        """Copy what has to stay of a segment, not faster than is allowed."""
        begun, done = time.monotonic(), 0
        older = [made_at(name) for name in dirty if name != victim.name]
        first_made = min(older, default=None)
        batches = self._batches(victim, first_made, looked_at)
        while (read := await asyncio.to_thread(next, batches, None)) is not None:
            done += read
            ahead = done / self._device.settings.compact_bytes_per_s - (time.monotonic() - begun)
            if ahead > 0:
                await asyncio.sleep(ahead)

    def _batches(self, victim: Victim, first_made: int | None, looked_at: int) -> Iterator[int]:
        """In threads, one after the other: a group of records copied and their rows moved; bytes read. Those of bodies
        that nobody needs are not.
        """
        file = os.open(self._folder / victim.name, os.O_RDONLY)
        reader = self._device.index.open_reader()
        try:
            read = reader_of(file)
            records = scan(magic_of(victim.name), read, 0, victim.size)
            while batch := _some(records):
                copies = Copies(end=(begun := self._target().end))
                for at, head, raw in batch:
                    meta = decode_meta(raw)
                    old = entry_of(victim.number, at, head, meta)
                    rows = self._device.index.find_by(reader, old.policy, old.hash)
                    row = next((one for one in rows if (one.segment, one.at) == (victim.number, at)), None)
                    ends = row is None and _still_ends(head, old, rows, first_made, looked_at)
                    if row is not None or ends:
                        self._copy(copies, read, head, meta, old, row)
                self._commit(copies)
                yield copies.end - begun + HEAD_READ * len(batch)
        finally:
            os.close(file)
            reader.close()

    def _copy(
        self, copies: Copies, read: Callable[[int, int], bytes], head: Head, meta: Meta, old: Entry, row: Entry | None
    ) -> None:
        body = read(head.body_bytes, old.at + old.head) if head.body_bytes else b""
        if crc32(body) != head.body_crc:
            return  # its row stays where it is, and it is set aside
        durable = meta.record.durable or bool(row and row.flags & PROMOTED)
        record = meta.record if durable == meta.record.durable else msgspec.structs.replace(meta.record, durable=True)
        teach = decode_owed(row.owed) if row is not None and row.owed is not None else []
        raw = encode_meta(Meta(meta.path, meta.policy, record, teach, meta.file))
        packed = pack(self._target().magic, head._replace(meta_bytes=len(raw)), raw, 0)
        copies.pieces += [packed, body] if body else [packed]
        if row is None:
            copies.kept += len(packed)
        else:
            flags = row.flags & ~PROMOTED
            copies.moves.append((row, row._replace(at=copies.end, head=len(packed), flags=flags)))
        copies.end += len(packed) + len(body)

    def _target(self) -> Segment:
        full = self._into is not None and self._into.end >= self._device.settings.segment_bytes
        if full:
            self._finish()
        if self._into is None:
            self._into = Segment(self._folder)
        return self._into

    def _commit(self, copies: Copies) -> None:
        segment, index = self._target(), self._device.index
        if not copies.pieces:
            return
        try:
            segment.append(copies.pieces)
        except OSError:
            self._into = None
            segment.close()
            raise
        with index.locked() as db:
            segment.number = segment.number or tables.register(db, segment.name)
            for row, copy in copies.moves:
                tables.move(db, row, copy._replace(segment=segment.number))
            tables.mark_segment(db, segment.number, segment.end, segment.end)
            tables.keep_more(db, segment.number, copies.kept)

    def _finish(self) -> None:
        segment, self._into = self._into, None
        if segment is None:
            return
        if segment.number:
            with self._device.index.locked() as db:
                tables.mark_segment(db, segment.number, segment.end, segment.end, sealed=True)
        else:
            (self._folder / segment.name).unlink()
        segment.close()

    async def _set_leftovers_aside(self, victims: list[Victim]) -> None:
        """Rows that still point to a victim have no sound record there."""
        for row in await asyncio.to_thread(self.survey.in_segments, {victim.number for victim in victims}):
            await self._device.set_aside(row)

    def _remove(self, victims: list[Victim]) -> None:
        with self._device.index.locked(durable=True) as db:
            tables.condemn_segments(db, [victim.number for victim in victims])
            gone = tables.condemned_segments(db)
        for name in gone:
            (self._folder / name).unlink(missing_ok=True)
        if gone:
            sync_directory(self._folder)
            with self._device.index.locked() as db:
                tables.forget_segments(db, gone)
            log.info("segments were compacted", device=str(self._device.root), removed=len(gone))


def _some(records: Iterator[Found]) -> list[Found]:
    """The next of them, as many as are kept in memory together."""
    batch, size = [], 0
    for found in records:
        batch.append(found)
        size += found[1].length
        if len(batch) >= _BATCH or size >= GROUP_BYTES:
            break
    return batch


def _still_ends(head: Head, old: Entry, rows: list[Entry], first_made: int | None, looked_at: int) -> bool:
    """Whether a record that no row points to has to stay in the log for what it ends."""
    if head.kind == Kind.MARK:
        return any(row.timestamp == old.timestamp and row.flags & PROMOTED for row in rows)
    if not old.flags & (DELETED | FORGOTTEN):
        return False
    if any(not row.pending and row.timestamp >= old.timestamp for row in rows):
        return False  # which ends the same
    if old.written >= looked_at:
        return True
    return first_made is not None and first_made <= old.written // TICKS + _MARGIN_S


@contextmanager
def _alone(root: Path) -> Iterator[bool]:
    """Whether nobody else compacts this disk."""
    lock = os.open(root / "compacting.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(lock)
