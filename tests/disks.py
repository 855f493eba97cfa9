"""Disks for tests: made, opened, asked what they hold."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path as FilePath

from maldon.objectstore.device.device import Device
from maldon.objectstore.device.merge import Entry
from maldon.objectstore.device.opening import format_device
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.path import Path, PathHash

SALT = PathHash(b"before", b"after")


@contextlib.asynccontextmanager
async def opened(root: FilePath, settings: DeviceSettings | None = None) -> AsyncIterator[Device]:
    """The disk at `root`, made if need be."""
    format_device(root)
    device = Device(root, settings or DeviceSettings(reserve_percent=0), SALT)
    await device.open()
    try:
        yield device
    finally:
        await device.close()


def path(name: str) -> Path:
    return Path("AUTH_test", "box", name)


async def bytes_of(device: Device, name: str, start: int = 0, stop: int | None = None, policy: int = 0) -> bytes | None:
    """What a GET would send; None for what is not there."""
    reading = await device.read(policy, path(name), start, stop)
    if reading is None or reading.record.deleted:
        return None
    if isinstance(reading.body, bytes):
        return reading.body
    return b"".join([bytes(piece) async for piece in reading.body])


def files(root: FilePath, folder: str) -> list[FilePath]:
    """What lies in one of its folders."""
    return sorted(found for found in (root / folder).rglob("*") if found.is_file())


def rows_of(device: Device) -> set[tuple[object, ...]]:
    """What the index says, segments by their names; not what is owed."""
    with contextlib.closing(device.index.open_reader()) as db:
        named = dict(db.execute("SELECT number, name FROM segments").fetchall())
        rows = [Entry._make(row) for row in db.execute("SELECT * FROM objects").fetchall()]
    return {tuple(row._replace(segment=named[row.segment], owed=None)) for row in rows}


def lose_index(root: FilePath) -> None:
    """As a broken disk block would, or an operator."""
    for found in root.glob("index.db*"):
        found.unlink()
