"""Reads everything the disks hold, slowly and for ever, and sets aside what is not as it was written.

The replicator brings back from another disk what was set aside here. A round goes by hash, and goes on after a restart
where it was; records that lie near each other are read after each other. A round is over when every disk has been read
once at its rate.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path as File

import structlog

from maldon.objectstore.device.device import Device, Loaded
from maldon.objectstore.device.index import set_note
from maldon.objectstore.device.large import BLOCK_BYTES, read_block
from maldon.objectstore.device.merge import Entry
from maldon.objectstore.device.reading import Moved
from maldon.objectstore.device.record import Damaged
from maldon.objectstore.device.survey import BEGINNING, Position, Survey

log = structlog.get_logger()
PAGE = 1000
NOTE = "audited"


class AuditObjects:
    """A loop over the disks of a node."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self._surveys = [(device, Survey(device)) for device in devices.values()]

    async def once(self) -> int:
        """One round; how many records were set aside."""
        found = await asyncio.gather(*(self._audit(device, survey) for device, survey in self._surveys))
        return sum(found)

    async def _audit(self, device: Device, survey: Survey) -> int:
        noted = await asyncio.to_thread(device.index.read_note, NOTE)
        after: Position | None = _position(noted)
        pace, bad = Pace(device.settings.audit_bytes_per_s), 0
        while after is not None:
            rows, after = await survey.rows(after, PAGE)
            for row in sorted(rows, key=lambda row: (row.segment, row.at)):
                if not await _is_sound(device, row, pace):
                    log.error("a record is damaged", device=str(device.root), hash=row.hash.hex(), policy=row.policy)
                    await device.set_aside(row)
                    bad += 1
            text = None if after is None else f"{after[0]} {after[1].hex()} {after[2]} {after[3]}"
            await device.commits.change(partial(set_note, name=NOTE, value=text))
        return bad


class Pace:
    """So many bytes in a second, and no more."""

    def __init__(self, bytes_per_s: int, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._now = bytes_per_s, now
        self._begun, self._done = now(), 0

    async def took(self, size: int) -> None:
        """Wait until that much more may have been read."""
        self._done += size
        ahead = self._done / self._rate - (self._now() - self._begun)
        if ahead > 0.05:
            await asyncio.sleep(ahead)


async def _is_sound(device: Device, row: Entry, pace: Pace) -> bool:
    try:
        loaded = await device.load_entry(row, body=True)
        await pace.took(len(loaded.body) + row.head)
        if loaded.meta.file:
            await _read_large(device, loaded, pace)
    except Moved:
        return True  # compaction read it, or somebody wrote it anew
    except (Damaged, FileNotFoundError):
        return False
    return True


async def _read_large(device: Device, loaded: Loaded, pace: Pace) -> None:
    path, size = device.large_path(loaded.meta.file), loaded.record.size
    for number in range(-(-size // BLOCK_BYTES)):
        await pace.took(await asyncio.to_thread(_check_block, path, size, number))


def _check_block(path: File, size: int, number: int) -> int:
    file = os.open(path, os.O_RDONLY)
    try:
        return len(read_block(file, size, number))
    finally:
        os.close(file)


def _position(noted: object) -> Position:
    if not isinstance(noted, str):
        return BEGINNING
    policy, hashed, fragment, pending = noted.split(" ")
    return int(policy), bytes.fromhex(hashed), int(fragment), int(pending)
