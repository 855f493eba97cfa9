"""Bytes that were found damaged: kept beside for whoever wants to know, never given out again.

quarantine/POLICY-HASH-TIMESTAMP-RANDOM          the record as it lay in its segment
quarantine/POLICY-HASH-TIMESTAMP-RANDOM.body     the file of a large body
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from maldon.objectstore.device.large import new_name, shelf
from maldon.objectstore.device.merge import LARGE, Entry
from maldon.objectstore.device.record import HEAD_BYTES, Damaged, Meta, decode_meta, unpack
from maldon.objectstore.device.segment import magic_of, sync_directory


@dataclass(frozen=True, slots=True)
class SetAside:
    """What lies in the quarantine."""

    name: str
    policy: int
    hash: bytes
    timestamp: int
    size: int
    since: float


def keep(root: Path, row: Entry, segment: str | None) -> None:
    """Copy a record, and move its large body. What cannot be read any more is not kept."""
    name = new_name(row.policy, row.hash, row.timestamp)
    folder = root / "quarantine"
    raw = _bytes_of(root, row, segment)
    (folder / name).write_bytes(raw)
    if row.flags & LARGE and segment is not None:
        file = _file_in(raw, segment)
        if file:
            with contextlib.suppress(FileNotFoundError):
                (root / "large" / shelf(file) / file).rename(folder / f"{name}.body")
    sync_directory(folder)


def listed(root: Path) -> list[SetAside]:
    """Everything that was set aside."""
    found = []
    for entry in os.scandir(root / "quarantine"):
        parts = entry.name.removesuffix(".body").split("-")
        stat = entry.stat()
        found.append(
            SetAside(entry.name, int(parts[0]), bytes.fromhex(parts[1]), int(parts[2]), stat.st_size, stat.st_mtime)
        )
    return sorted(found, key=lambda one: one.name)


def _bytes_of(root: Path, row: Entry, segment: str | None) -> bytes:
    if segment is None:
        return b""
    try:
        with (root / "segments" / segment).open("rb", 0) as file:
            return os.pread(file.fileno(), row.head + (0 if row.flags & LARGE else row.size), row.at)
    except OSError:
        return b""


def _file_in(raw: bytes, segment: str) -> str:
    if len(raw) < HEAD_BYTES:
        return ""
    try:
        meta: Meta = decode_meta(unpack(magic_of(segment), raw)[1])
    except Damaged:
        return ""
    return meta.file
