"""One disk's objects: the verbs of a storage node on it.

    device.json   the disk is one of ours; without it nothing is written (an empty mount point is no disk)
    segments/     the log: small objects, and what there is to say of large ones
    large/        bodies of large objects
    index.db      where the newest record of each object lies; built anew from the log when it is lost
    quarantine/   bytes that were found damaged

A write is answered when its record is synced and indexed. A read checks what it gives: damaged bytes are set aside and
the object is not here any more, for the replicator to bring back. Processes that open one disk share it: each appends
to segments of its own, all see each other's writes at once. What daemons ask of a disk is in `survey` and its
neighbours.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath
from typing import NamedTuple

import msgspec
from isal.isal_zlib import crc32

from maldon.objectstore.device import opening, quarantine
from maldon.objectstore.device.changes import Changes
from maldon.objectstore.device.commit import GroupCommit, Write
from maldon.objectstore.device.debts import decode_owed, encode_owed
from maldon.objectstore.device.index import Index, set_owed
from maldon.objectstore.device.large import LargeBody, LargeFile, new_name, shelf
from maldon.objectstore.device.merge import DELETED, FORGOTTEN, LARGE, MARK_SLOT, Entry, is_version, newest
from maldon.objectstore.device.reading import Moved, Segments
from maldon.objectstore.device.record import Damaged, Head, Kind, Meta, encode_meta
from maldon.objectstore.device.recover import entry_of, recover
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.device.space import Space
from maldon.objectstore.device.upload import Upload
from maldon.objectstore.node import WHOLE, Held, Incoming, Put, Reading, Record, Superseded, Teaching
from maldon.objectstore.path import Path, PathHash
from maldon.objectstore.timestamp import stamp

_TRIES = 3
_CODED = 4096  # bytes by which a fragment may be larger than its part of an object and still be small
_HASH_IN_LOOP = 65_536  # bytes whose digests are cheaper than a change of threads
_STAYS = {"content-type", "x-static-large-object"}  # of the headers that a POST does not name


class Target(NamedTuple):
    """What a write is about."""

    policy: int
    path: Path
    hash: bytes
    teach: Sequence[Teaching] = ()


class Loaded(NamedTuple):
    """A record as it was read; the body only of a small one that was asked for."""

    entry: Entry
    head: Head
    meta: Meta
    body: memoryview

    @property
    def record(self) -> Record:
        record = self.meta.record
        return record if record.durable or self.entry.pending else msgspec.structs.replace(record, durable=True)


class Posted(NamedTuple):
    """What a POST met, and what is held now; None where there was nothing it meant."""

    before: Record | None
    now: Record | None


class Device:
    """A disk. `open` it in the loop that uses it; the verbs raise NoSpace when the disk cannot take or give."""

    index: Index
    changes: Changes
    commits: GroupCommit

    def __init__(self, root: FilePath, settings: DeviceSettings, hash_path: PathHash) -> None:
        self.root, self.settings, self.hash_path = root, settings, hash_path

    async def open(self) -> None:
        """Take in what a crash left, and be ready. Raises NoSpace for a directory that is no disk of ours."""
        self._opened = await asyncio.to_thread(opening.open_device, self.root)
        self.index, self.changes, folder = self._opened.index, self._opened.changes, self.root / opening.SEGMENTS
        self.commits = GroupCommit(folder, self.index, self.changes, self.settings.segment_bytes)
        self._segments = Segments(folder, self.index)
        self._space = Space(self.root, self.settings.reserve_percent)

    async def close(self) -> None:
        """Finish what is under way and let go of the disk."""
        await self.commits.close()
        self._segments.close()
        self._opened.close()

    def take_in(self) -> int:
        """What a process that died had not taken in; how many records. In a thread."""
        return recover(self.root / opening.SEGMENTS, self.index, self.changes)

    # Writing

    async def put(self, policy: int, path: Path, put: Put, body: Incoming, teach: Sequence[Teaching] = ()) -> Record:
        """Write it. Raises Superseded, WrongDigest; a body that raises leaves nothing behind."""
        target = Target(policy, path, self.hash_path(path), teach)
        held = self._held(target)
        if held:
            _refuse_old(held, put)
        self._space.take(put.size or 0)
        upload = Upload(put, body)
        if await upload.begin(self.settings.small_bytes + (put.fragment != WHOLE and _CODED)):
            name, record = await self._receive(target, upload)
            await self._write(Kind.LARGE, target, record, file=name)
        else:
            if held and any(row.posted > put.timestamp for row in held):
                await self._keep_post(target, upload)
            pieces = upload.pieces
            in_loop = sum(map(len, pieces)) <= _HASH_IN_LOOP
            whole, etag, check = _checked(pieces) if in_loop else await asyncio.to_thread(_checked, pieces)
            record = upload.record(len(whole), etag)
            await self._write(Kind.SMALL, target, record, whole, check)
        if held:
            await self._drop_files(held)
        return record

    async def _keep_post(self, target: Target, upload: Upload) -> None:
        """A PUT that comes after a later POST: its bytes, with the metadata of that."""
        before, put = await self._load(target), upload.put
        if before is None or before.record.deleted or before.record.posted_at <= (put.posted_at or put.timestamp):
            return
        posted = {n: v for n, v in before.record.headers.items() if not _stays(n)}
        upload.put = replace(put, headers=_posted(put.headers, posted), posted_at=before.record.posted_at)

    async def _receive(self, target: Target, upload: Upload) -> tuple[str, Record]:
        """A large body, on stable storage under the name of its file."""
        large = LargeFile(self.root / opening.LARGE)
        try:
            for piece in upload.pieces:
                await large.feed(piece)
            upload.pieces.clear()
            if upload.more is not None:
                async for piece in upload.more:
                    if upload.put.size is None:
                        self._space.take(len(piece))
                    await large.feed(piece)
            etag = await large.finish()
            if any(row.posted > upload.put.timestamp for row in self._held(target)):
                await self._keep_post(target, upload)  # it may have come while the bytes did
            record = upload.record(large.size, etag)
            name = new_name(target.policy, target.hash, record.timestamp)
            await large.publish(name)
            self.commits.counts.large_bytes += large.size
        finally:
            await large.close()
        return name, record

    async def post(
        self, policy: int, path: Path, timestamp: int, headers: Mapping[str, str], teach: Sequence[Teaching] = (),
        means: Callable[[Record], bool] = lambda _: True,
    ) -> Posted:  # fmt: skip
        """Replace what POST may replace of the metadata, of a version that it `means`. Raises Superseded.

        The new record has the bytes of the old one again when they are small; a large body stays where it is.
        """
        target = Target(policy, path, self.hash_path(path), teach)
        before = await self._load(target, body=True)
        if before is None or before.record.deleted or not means(before.record):
            return Posted(None if before is None else before.record, None)
        if timestamp <= before.record.posted_at:
            raise Superseded(before.record.posted_at)
        now = None
        same = [row for row in self._held(target) if row.timestamp == before.record.timestamp]
        for row in same:  # the fragments of one version have one set of metadata
            loaded = before if row == before.entry else await self._load(target, fragment=row.fragment, body=True)
            if loaded is not None and not loaded.record.deleted:
                now = await self._repost(target, loaded, timestamp, headers)
        last = newest(self._held(target))
        if last is not None and last.posted < timestamp and not last.flags & DELETED:
            now = (await self.post(policy, path, timestamp, headers, teach)).now  # bytes that were written meanwhile
        return Posted(before.record, now)

    async def _repost(self, target: Target, loaded: Loaded, timestamp: int, headers: Mapping[str, str]) -> Record:
        self._space.take(len(loaded.body))
        record = msgspec.structs.replace(
            loaded.record, headers=_posted(loaded.record.headers, headers), posted_at=timestamp
        )
        kind = Kind(loaded.head.kind)
        await self._write(kind, target, record, bytes(loaded.body), loaded.head.body_crc, file=loaded.meta.file)
        return record

    async def delete(self, policy: int, path: Path, timestamp: int, teach: Sequence[Teaching] = ()) -> Record | None:
        """Leave a tombstone; the record before. Raises Superseded."""
        target = Target(policy, path, self.hash_path(path), teach)
        held = self._held(target)
        before = self._at_once(held)
        if before is None and held:
            before = await self._load(target)
            held = self._held(target)
        if before is not None and (before.record.timestamp, before.record.deleted) >= (timestamp, True):
            raise Superseded(before.record.timestamp)
        tombstone = Record(timestamp, 0, "", {}, timestamp, deleted=True)
        await self._write(Kind.SMALL, target, tombstone)
        await self._drop_files(held)
        return None if before is None else before.record

    async def commit(self, policy: int, path: Path, timestamp: int, teach: Sequence[Teaching] = ()) -> bool:
        """Make the fragments of that timestamp durable; whether there are any."""
        target = Target(policy, path, self.hash_path(path), teach)
        held = self._held(target)
        if any(row.timestamp == timestamp and not row.pending and not row.flags & DELETED for row in held):
            return True
        if all(row.pending != timestamp for row in held):
            return False
        await self._write(Kind.MARK, target, Record(timestamp, 0, "", {}, timestamp, fragment=MARK_SLOT))
        await self._drop_files(held)
        return True

    async def forget(self, policy: int, path: Path, record: Record) -> None:
        """Let go of a version that other disks have: no tombstone, and a newer version stays."""
        target = Target(policy, path, self.hash_path(path))
        held = self._held(target)
        pending = 0 if record.durable else record.timestamp
        for row in held:
            if (row.fragment, row.pending) == (record.fragment, pending) and row.timestamp <= record.timestamp:
                await self._forget_row(target, row)
        await self._drop_files(held)

    async def forget_settled(self, policy: int, held: Held, before: int) -> bool:
        """Let go of a version that other disks have; False for one that a container is still to be told of, which
        nobody would know then, or that was written after `before`, which may be as much.
        """
        rows = self.index.find(policy, held.hash)
        for row in rows:
            known = row.slot == (held.fragment, 0) and not row.flags & FORGOTTEN
            if known and (row.timestamp, row.posted) == (held.timestamp, held.posted_at):
                if row.owed is not None or row.written > before:
                    return False
                await self._forget_row(Target(policy, Path(""), held.hash), row)
        await self._drop_files(rows)
        return True

    async def _forget_row(self, target: Target, row: Entry) -> None:
        deleted = bool(row.flags & DELETED)  # a tombstone is let go as one, or it would come after this
        gone = Record(row.timestamp, 0, "", {}, row.posted, deleted, row.fragment, durable=not row.pending)
        await self._write(Kind.FORGET, target, gone)

    def _write(
        self, kind: Kind, target: Target, record: Record, body: bytes = b"", check: int = 0, *, file: str = ""
    ) -> asyncio.Future[None]:
        teach = list(target.teach)
        meta = Meta(target.path, target.policy, record, teach, file)
        raw = encode_meta(meta)
        head = Head(kind, target.hash, stamp(), 0, len(raw), len(body), check)
        entry = entry_of(0, 0, head, meta)
        return self.commits.write(Write(head, entry, raw, body, target.path, teach))

    async def _drop_files(self, replaced: Sequence[Entry]) -> None:
        """Take away the large bodies of versions that are held no longer. One missed is swept away later."""
        if not any(row.flags & LARGE for row in replaced):
            return
        still = self.index.find(replaced[0].policy, replaced[0].hash)
        kept = {await self._file_of(row) for row in still}
        for row in replaced:
            if row not in still:
                name = await self._file_of(row)
                if name and name not in kept:
                    await asyncio.to_thread(self.large_path(name).unlink, missing_ok=True)

    async def _file_of(self, row: Entry) -> str:
        if not row.flags & LARGE:
            return ""
        try:
            return (await self._segments.load(row, body=False))[1].file
        except (Moved, Damaged):
            return ""

    def large_path(self, name: str) -> FilePath:
        """Where a large body lies."""
        return self.root / opening.LARGE / shelf(name) / name

    # Reading

    async def read(self, policy: int, path: Path, start: int = 0, stop: int | None = None) -> Reading | None:
        """The newest durable version (a tombstone too, with an empty body); None when nothing is known of it."""
        target = Target(policy, path, self.hash_path(path))
        loaded = self._at_once(self._held(target), body=True) or await self._load(target, body=True)
        if loaded is None:
            return None
        if not loaded.meta.file:
            body = loaded.body if not start and stop is None else loaded.body[start:stop]
            return Reading(loaded.record, bytes(body))
        return await self._read_large(loaded, start, stop) or await self.read(policy, path, start, stop)

    async def _read_large(self, loaded: Loaded, start: int, stop: int | None) -> Reading | None:
        """None when somebody replaced the version between our look and our open; or its file is lost."""
        record = loaded.record
        try:
            file = await asyncio.to_thread(os.open, self.large_path(loaded.meta.file), os.O_RDONLY)
        except FileNotFoundError:
            await self.set_aside(loaded.entry)
            return None
        stop = record.size if stop is None else min(stop, record.size)
        return Reading(record, LargeBody(file, record.size, start, stop, partial(self.set_aside, loaded.entry)))

    async def fetch(
        self, policy: int, hashed: bytes, fragment: int, timestamp: int, start: int = 0, stop: int | None = None
    ) -> tuple[Path, Reading] | None:
        """A certain version, durable or not, and its path; None when it is not here any more."""
        for row in self.index.find(policy, hashed):
            if (row.fragment, row.timestamp) == (fragment, timestamp) and not row.flags & FORGOTTEN:
                loaded = await self._sound(row, body=True)
                if loaded is None:
                    return None
                if not loaded.meta.file:
                    return loaded.meta.path, Reading(loaded.record, bytes(loaded.body[start:stop]))
                reading = await self._read_large(loaded, start, stop)
                return None if reading is None else (loaded.meta.path, reading)
        return None

    async def versions(self, policy: int, path: Path) -> list[Record]:
        """Every version that is held, without its bytes; damaged ones are set aside on the way."""
        rows = self.index.find(policy, self.hash_path(path))
        found = [await self._sound(row, body=False) for row in rows if is_version(row)]
        return [loaded.record for loaded in found if loaded is not None]

    async def path_of(self, policy: int, hashed: bytes) -> Path | None:
        """The name of what is held under a hash; None when nothing is held that can be read."""
        for row in self.index.find(policy, hashed):
            if is_version(row) and (loaded := await self._sound(row, body=False)) is not None:
                return loaded.meta.path
        return None

    async def head(self, policy: int, path: Path) -> Record | None:
        """The newest durable version without its bytes."""
        target = Target(policy, path, self.hash_path(path))
        loaded = self._at_once(self._held(target)) or await self._load(target)
        return None if loaded is None else loaded.record

    def _held(self, target: Target) -> list[Entry]:
        return self.index.find(target.policy, target.hash)

    def _at_once(self, held: Sequence[Entry], *, body: bool = False) -> Loaded | None:
        """What `_load` finds, where that is in memory and sound: nearly always, and then without an await."""
        row = newest(held)
        try:
            found = None if row is None else self._segments.load_at_once(row, body=body)
        except (Moved, Damaged):
            return None
        if row is None or found is None or (body and crc32(found[2]) != found[0].body_crc):
            return None
        return Loaded(row, *found)

    async def _load(self, target: Target, *, fragment: int | None = None, body: bool = False) -> Loaded | None:
        """The newest durable record that is sound; damaged ones are set aside on the way."""
        for _ in range(_TRIES):
            row = newest(self._held(target), fragment)
            if row is None:
                return None
            loaded = await self._sound(row, body=body)
            if loaded is not None:
                return loaded
        return None

    async def _sound(self, row: Entry, *, body: bool) -> Loaded | None:
        """The record of a row; None when it lies elsewhere by now, or is damaged or lost and has been set aside."""
        try:
            return await self.load_entry(row, body=body)
        except (Moved, Damaged):
            await self.set_aside(row)  # unless the index has another row by now
            return None

    async def load_entry(self, row: Entry, *, body: bool) -> Loaded:
        """The record of a row, checked. Raises Moved, Damaged."""
        loaded = Loaded(row, *await self._segments.load(row, body=body))
        if body and crc32(loaded.body) != loaded.head.body_crc:
            raise Damaged("the body is not what was written")
        return loaded

    async def set_aside(self, row: Entry) -> None:
        """Damaged bytes: kept in the quarantine, and the object is not here any more."""
        there = {(one.segment, one.at) for one in self.index.find(row.policy, row.hash)}
        if (row.segment, row.at) not in there:  # what it owes may have changed meanwhile: it is the same record
            return
        name = self.index.segment_name(row.segment)
        await asyncio.to_thread(quarantine.keep, self.root, row, name)
        self.commits.counts.quarantined += 1
        await self._forget_row(Target(row.policy, Path(""), row.hash), row)

    # Debts

    async def settle(self, policy: int, path: Path, version: int, told: Sequence[Teaching]) -> None:
        """These replicas of the container have been told of a write of that timestamp (of the POST for a POST)."""
        if self.commits.settle_young(path, version, told):
            return
        for row in self.index.find(policy, self.hash_path(path)):
            if row.owed is not None and row.posted == version:
                left = [teaching for teaching in decode_owed(row.owed) if teaching not in told]
                owed = encode_owed(left) if left else None
                await self.commits.change(partial(set_owed, entry=row, owed=owed))


def _refuse_old(held: Sequence[Entry], put: Put) -> None:
    version = (put.timestamp, put.posted_at or put.timestamp)
    for row in held:
        if row.flags & FORGOTTEN:
            continue
        if not row.pending and (row.timestamp, row.posted) >= version and row.fragment in {put.fragment, WHOLE}:
            raise Superseded(row.timestamp)
        if not row.pending and (row.timestamp, bool(row.flags & DELETED)) > (put.timestamp, False):
            raise Superseded(row.timestamp)
        if row.fragment == put.fragment and row.pending == put.timestamp:
            raise Superseded(row.timestamp)


def _posted(before: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
    return {**{n: v for n, v in before.items() if _stays(n)}, **headers}


def _stays(name: str) -> bool:
    return name in _STAYS or name.startswith("x-object-sysmeta-")


def _checked(pieces: Sequence[bytes]) -> tuple[bytes, str, int]:
    """A body in one piece, its MD5 and its checksum."""
    whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return whole, hashlib.md5(whole, usedforsecurity=False).hexdigest(), crc32(whole)
