"""What a disk holds, for daemons: by partition, with a digest of each to compare; what expires; what is owed; figures.

A scan runs in a thread with a connection of its own and a bounded number of rows at a time, so that no reader holds the
index back for long. Digests are kept in memory by range of hashes; only ranges that have changed are read again.

Tombstones older than the reclaim age are not shown: each disk drops them in its own time, and two disks that differ in
nothing else are alike.
"""

import asyncio
import contextlib
import hashlib
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import apsw

from maldon.objectstore.device.changes import RANGES
from maldon.objectstore.device.debts import decode_owed
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.merge import DELETED, FORGOTTEN, LARGE, MARK_SLOT, Entry, newest
from maldon.objectstore.device.quarantine import SetAside, listed
from maldon.objectstore.device.reading import Moved
from maldon.objectstore.device.record import Damaged
from maldon.objectstore.node import Held, Record, Row, Teaching
from maldon.objectstore.path import Path, partition
from maldon.objectstore.telling import row_of
from maldon.objectstore.timestamp import TICKS, stamp

_ROWS = 5000  # of one look
_MARK = struct.Struct("<16sqq?")
Position = tuple[int, bytes, int, int]
BEGINNING: Position = (-1, b"", 0, 0)
_WRAP = (1 << 64) - 1
_HIGHEST = b"\xff" * 17  # above every hash
_OF_A_PART = "FROM objects WHERE policy = ? AND hash >= ? AND hash < ? GROUP BY"
_LIVE = f"SELECT segment, sum(head + iif(flags & {LARGE}, 0, size)) {_OF_A_PART} 1"
_FIGURES = f"""SELECT policy, flags & {DELETED} <> 0, pending <> 0, fragment = {MARK_SLOT}, count(*), sum(size),
sum(owed IS NOT NULL) {_OF_A_PART} 1, 2, 3, 4"""


@dataclass(frozen=True, slots=True)
class Debt:
    """Containers that are still to be told of a version; `row` is what they are told."""

    policy: int
    path: Path
    version: int
    row: Row
    teach: Sequence[Teaching]


@dataclass(frozen=True, slots=True)
class Expiring:
    """An object whose time has come."""

    policy: int
    path: Path
    record: Record
    at: int


@dataclass(slots=True)
class Usage:
    """Figures of a disk. `policies` has objects and bytes of each."""

    objects: int = 0
    bytes: int = 0
    tombstones: int = 0
    pending: int = 0
    owed: int = 0
    quarantined: int = 0
    free_bytes: int = 0
    size_bytes: int = 0
    policies: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Digests:
    """Of one policy: the stamps that were seen, and of each range the sums of its partitions."""

    seen: memoryview
    sums: list[dict[int, int]]


class Survey:
    """Looks at one open disk."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._digests: dict[tuple[int, int], _Digests] = {}
        self._summing = asyncio.Lock()  # the kept digests are changed by one thread at a time
        self._reclaim = device.settings.reclaim_age_s * TICKS

    # Partitions

    async def policies(self) -> list[int]:
        """The storage policies that something is held of."""
        return await asyncio.to_thread(self._policies)

    def _policies(self) -> list[int]:
        found: list[int] = []
        with self._reader() as db:
            while True:
                last = found[-1] if found else -1
                found_next = db.execute("SELECT min(policy) FROM objects WHERE policy > ?", (last,)).get
                if found_next is None:
                    return found
                found.append(found_next)

    async def partitions(self, policy: int, power: int) -> dict[int, int]:
        """A digest of each partition that anything is held of; equal on two disks that hold the same versions."""
        async with self._summing:
            return await asyncio.to_thread(self._partitions, policy, power)

    async def differing(self, policy: int, power: int, digests: Mapping[int, int]) -> list[int]:
        """Which partitions are not what those digests say."""
        here = await self.partitions(policy, power)
        return [number for number, digest in digests.items() if here.get(number) != digest]

    def _partitions(self, policy: int, power: int) -> dict[int, int]:
        now = self._device.changes.stamps(policy)  # before the look, so that a change during it is seen next time
        known = self._digests.get((policy, power))
        if known is None:
            known = _Digests(now, [{} for _ in range(RANGES)])
            self._look_at_all(policy, power, known)
            self._digests[policy, power] = known
        else:
            changed = [number for number, stamp_ in enumerate(now) if stamp_ != known.seen[number]]
            with self._reader() as db:
                for number in changed:
                    known.sums[number] = {}
                    low = number.to_bytes(2, "big")
                    high = (number + 1).to_bytes(2, "big") if number + 1 < RANGES else _HIGHEST
                    self._add_up(self._rows(db, policy, low, high), power, known)
            known.seen = now
        total: dict[int, int] = {}
        for sums in known.sums:
            for number, value in sums.items():
                total[number] = (total.get(number, 0) + value) & _WRAP
        return total

    def _look_at_all(self, policy: int, power: int, known: _Digests) -> None:
        with self._reader() as db:
            self._add_up(self._rows(db, policy, b"", _HIGHEST), power, known)

    def _add_up(self, rows: Iterator[Entry], power: int, known: _Digests) -> None:
        for row in rows:
            if self._shown(row) and not row.pending:
                sums, number = known.sums[(row.hash[0] << 8) | row.hash[1]], partition(row.hash, power)
                sums[number] = (sums.get(number, 0) + _mark(row)) & _WRAP

    async def held(
        self, policy: int, power: int, number: int, after: bytes = b"", limit: int | None = None
    ) -> list[Held]:
        """The versions in a partition, in order of hash: all of them, or some of those that come after a hash."""
        low = max((number << (32 - power)).to_bytes(5, "big")[1:], after + b"\0" if after else b"")
        high = ((number + 1) << (32 - power)).to_bytes(5, "big")
        end = high[1:] if not high[0] else _HIGHEST
        return await asyncio.to_thread(self._held, policy, low, end, limit)

    def _held(self, policy: int, low: bytes, high: bytes, limit: int | None) -> list[Held]:
        with self._reader() as db:
            rows = list(islice(filter(self._shown, self._rows(db, policy, low, high)), limit))
        return [
            Held(
                row.hash, row.timestamp, row.posted, row.fragment, not row.pending, bool(row.flags & DELETED), row.size
            )
            for row in rows
        ]

    async def wanted(self, policy: int, held: Sequence[Held], fragment: int | None = None) -> list[bytes]:
        """The hashes of those versions that are newer than what is here, or of which that fragment is not here."""
        return await asyncio.to_thread(self._wanted, policy, held, fragment)

    def _wanted(self, policy: int, held: Sequence[Held], fragment: int | None) -> list[bytes]:
        found = []
        with self._reader() as db:
            for one in held:
                rows = self._device.index.find_by(db, policy, one.hash)
                known = (newest(rows), newest(rows, fragment))
                if not any(row and _covers(row, one, whole=row is known[1]) for row in known):
                    found.append(one.hash)
        return found

    def _shown(self, row: Entry) -> bool:
        if row.fragment == MARK_SLOT or row.flags & FORGOTTEN:
            return False
        return not row.flags & DELETED or row.timestamp > stamp() - self._reclaim

    def _rows(self, db: apsw.Connection, policy: int, low: bytes, high: bytes) -> Iterator[Entry]:
        """Rows in order of hash, a limited number in each transaction."""
        key = (low, -1000, -1)
        while True:
            found = db.execute(
                "SELECT * FROM objects WHERE policy = ? AND (hash, fragment, pending) > (?, ?, ?) AND hash < ? "
                "ORDER BY hash, fragment, pending LIMIT ?",
                (policy, *key, high, _ROWS),
            ).fetchall()
            rows = [Entry._make(row) for row in found]
            yield from rows
            if len(rows) < _ROWS:
                return
            key = rows[-1].hash, *rows[-1].slot

    @contextlib.contextmanager
    def _reader(self) -> Iterator[apsw.Connection]:
        with contextlib.closing(self._device.index.open_reader()) as db:
            yield db

    # What is to be done

    async def expiring(
        self, until_s: int, after: tuple[int, int, bytes] = (-1, -1, b""), limit: int = 1000
    ) -> tuple[list[Expiring], tuple[int, int, bytes] | None]:
        """Some objects whose x-delete-at is not after that second, the longest overdue first, and where to go on."""
        rows = await asyncio.to_thread(
            self._found,
            "expires <= ? AND (expires, policy, hash) > (?, ?, ?) ORDER BY expires, policy, hash LIMIT ?",
            (until_s, *after, limit),
        )
        found = []
        for row in rows:
            with contextlib.suppress(Moved, Damaged):  # a later look finds it, the auditor finds what is damaged
                loaded = await self._device.load_entry(row, body=False)
                found.append(Expiring(row.policy, loaded.meta.path, loaded.record, row.expires or 0))
        return found, (rows[-1].expires or 0, rows[-1].policy, rows[-1].hash) if len(rows) == limit else None

    async def rows(self, after: Position, limit: int) -> tuple[list[Entry], Position | None]:
        """Some rows in order of hash, and where to go on; None at the end."""
        rows = await asyncio.to_thread(
            self._found,
            "(policy, hash, fragment, pending) > (?, ?, ?, ?) ORDER BY policy, hash, fragment, pending LIMIT ?",
            (*after, limit),
        )
        return rows, rows[-1][:4] if len(rows) == limit else None

    async def debts(
        self, after: tuple[int, bytes] = (-1, b""), limit: int = 1000
    ) -> tuple[list[Debt], tuple[int, bytes] | None]:
        """Some of what is owed, in order of hash, and where to go on; None at the end."""
        rows = await asyncio.to_thread(
            self._found, "owed IS NOT NULL AND (policy, hash) > (?, ?) ORDER BY policy, hash LIMIT ?", (*after, limit)
        )
        found = []
        for row in rows:
            with contextlib.suppress(Moved, Damaged):
                loaded = await self._device.load_entry(row, body=False)
                path = loaded.meta.path
                told = row_of(path, loaded.record, row.policy)
                found.append(Debt(row.policy, path, row.posted, told, decode_owed(row.owed or b"\x90")))
        return found, (rows[-1].policy, rows[-1].hash) if len(rows) == limit else None

    def _found(self, where: str, values: tuple[object, ...]) -> list[Entry]:
        with self._reader() as db:
            found = db.execute(f"SELECT * FROM objects WHERE {where}", values)  # noqa: S608 - texts of this file
            return [Entry._make(row) for row in found.fetchall()]

    def in_segments(self, numbers: set[int]) -> list[Entry]:
        """Rows that point into certain segments: a look at every row, in a thread."""
        with self._reader() as db:
            marks = ", ".join("?" * len(numbers))
            found = db.execute(f"SELECT * FROM objects WHERE segment IN ({marks})", tuple(numbers))  # noqa: S608 - marks
            return [Entry._make(row) for row in found.fetchall()]

    # Figures

    async def quarantined(self) -> list[SetAside]:
        """What was found damaged and set aside."""
        return await asyncio.to_thread(listed, self._device.root)

    async def usage(self) -> Usage:
        """Counted, not kept: a look at every row."""
        return await asyncio.to_thread(self._usage)

    def _usage(self) -> Usage:
        usage = Usage()
        for policy, deleted, pending, mark, count, size, owed in self._summed(_FIGURES):
            usage.owed += owed
            if deleted:
                usage.tombstones += count
            elif pending:
                usage.pending += count
            elif not mark:
                usage.objects += count
                usage.bytes += size
                objects, held = usage.policies.get(policy, (0, 0))
                usage.policies[policy] = objects + count, held + size
        usage.quarantined = len(listed(self._device.root))
        room = os.statvfs(self._device.root)
        usage.free_bytes, usage.size_bytes = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
        return usage

    async def live_bytes(self) -> dict[int, int]:
        """The bytes in use of each segment, by its number."""
        return await asyncio.to_thread(self._live_bytes)

    def _live_bytes(self) -> dict[int, int]:
        live: dict[int, int] = {}
        for number, size in self._summed(_LIVE):
            live[number] = live.get(number, 0) + size
        return live

    def _summed(self, sums: str) -> Iterator[Any]:
        """Sums over all rows, a 256th of them in each transaction."""
        for policy in self._policies():
            with self._reader() as db:
                for first in range(256):
                    high = bytes([first + 1]) if first < 255 else _HIGHEST
                    yield from db.execute(sums, (policy, bytes([first]), high)).fetchall()


def _mark(row: Entry) -> int:
    """A number that stands for a version, whichever fragment of it this is."""
    packed = _MARK.pack(row.hash, row.timestamp, row.posted, bool(row.flags & DELETED))
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little")


def _covers(row: Entry, one: Held, *, whole: bool) -> bool:
    """Whether what is here is at least as new as what another disk holds; unless it is the same fragment, newer."""
    here = row.timestamp, bool(row.flags & DELETED), row.posted
    there = one.timestamp, one.deleted, one.posted_at
    return here >= there if whole else row.timestamp > one.timestamp
