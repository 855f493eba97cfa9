"""What has had its time: tombstones and never committed fragments after the reclaim age, and large files of nobody.

A large file whose record never came (a crash between the two), or whose record was replaced by a process that died, is
taken away once it is old enough to be of no write that is still under way.
"""

import asyncio
import os
import time
from itertools import islice

import apsw

from maldon.objectstore.device.device import Device
from maldon.objectstore.device.large import name_parts
from maldon.objectstore.device.merge import DELETED, LARGE, MARK_SLOT, Entry
from maldon.objectstore.device.opening import LARGE as LARGE_FOLDER
from maldon.objectstore.device.reading import Moved
from maldon.objectstore.device.record import Damaged
from maldon.objectstore.timestamp import TICKS, stamp

_ROWS = 1000
_GRACE_S = 3600
_OLD = """SELECT * FROM objects WHERE timestamp < ? AND owed IS NULL AND (flags & ? OR pending OR fragment = ?)
AND (policy, hash) > (?, ?) ORDER BY policy, hash LIMIT ?"""
_DROP = "DELETE FROM objects WHERE policy = ? AND hash = ? AND fragment = ? AND pending = ? AND timestamp = ?"


def reclaim(device: Device) -> int:
    """Drop old tombstones, marks and pending fragments from the index; in a thread."""
    before = stamp() - device.settings.reclaim_age_s * TICKS
    after: tuple[int, bytes] = (-1, b"")
    dropped = 0
    while rows := _some(device, before, after):
        with device.index.locked() as db:
            db.executemany(_DROP, [row[:5] for row in rows])
        for row in rows:
            device.changes.note(row.policy, row.hash, stamp())
        dropped += len(rows)
        after = rows[-1].policy, rows[-1].hash
    return dropped


def _some(device: Device, before: int, after: tuple[int, bytes]) -> list[Entry]:
    reader: apsw.Connection = device.index.open_reader()
    try:
        return [
            Entry._make(row) for row in reader.execute(_OLD, (before, DELETED, MARK_SLOT, *after, _ROWS)).fetchall()
        ]
    finally:
        reader.close()


async def sweep(device: Device, grace_s: float = _GRACE_S) -> int:
    """Take away large files that no record names."""
    swept = 0
    for number in range(256):
        folder = device.root / LARGE_FOLDER / f"{number:02x}"
        for name in await asyncio.to_thread(_old_names, str(folder), time.time() - grace_s):
            if not await _named(device, name):
                await asyncio.to_thread((folder / name).unlink, missing_ok=True)
                swept += 1
    return swept


def _old_names(folder: str, before: float) -> list[str]:
    with os.scandir(folder) as found:
        return [entry.name for entry in islice(found, None) if entry.stat().st_mtime < before]


async def _named(device: Device, name: str) -> bool:
    policy, hashed = name_parts(name)
    for row in device.index.find(policy, hashed):
        if row.flags & LARGE:
            try:
                if (await device.load_entry(row, body=False)).meta.file == name:
                    return True
            except (Moved, Damaged):
                return True  # not known now: another time
    return False
