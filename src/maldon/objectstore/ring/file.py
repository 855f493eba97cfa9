"""A ring's file: all of its plan, so that the same file is read by proxies and rewritten by the next round.

A line that names the form, a line with the length of the head, the head as JSON, the rows of the table as 16-bit
numbers and the hours as 32-bit ones, little-endian, and last the SHA-256 of everything before. It is replaced as a
whole by a rename; whoever reads it looks once in a while whether it was.
"""

import fcntl
import hashlib
import os
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from maldon.objectstore.path import PathHash
from maldon.objectstore.ring.builder import Plan
from maldon.objectstore.ring.device import Column, RingDevice
from maldon.objectstore.ring.ring import Ring

FORM = b"maldon-ring 1\n"
LOOK_S = 15.0


class BadRing(Exception):
    """One sentence: why the file is no ring."""


class _Head(msgspec.Struct):
    power: int
    replicas: float
    min_part_hours: int
    overload: float
    version: int
    devices: list[RingDevice]
    rows: list[int]
    hours: int


def dump(plan: Plan) -> bytes:
    """The file's bytes."""
    head = _Head(
        plan.power, plan.replicas, plan.min_part_hours, plan.overload, plan.version,
        list(plan.devices), [len(row) for row in plan.table], len(plan.moved_at),
    )  # fmt: skip
    text = msgspec.json.encode(head)
    content = b"".join([FORM, b"%d\n" % len(text), text, *map(_bytes, plan.table), _bytes(plan.moved_at)])
    return content + hashlib.sha256(content).digest()


def parse(content: bytes) -> Plan:
    """The plan of a file's bytes. Raises BadRing."""
    body, digest = content[:-32], content[-32:]
    if not body.startswith(FORM) or hashlib.sha256(body).digest() != digest:
        raise BadRing("The file is no whole ring of this release.")
    length, _, rest = body[len(FORM) :].partition(b"\n")
    head = msgspec.json.decode(rest[: int(length)], type=_Head)
    at, table = int(length), []
    for row in head.rows:
        table.append(_array("H", rest[at : at + 2 * row]))
        at += 2 * row
    hours = _array("I", rest[at : at + 4 * head.hours])
    return Plan(
        head.power, head.replicas, head.min_part_hours, head.overload, head.version,
        tuple(head.devices), tuple(table), hours,
    )  # fmt: skip


def _bytes(row: Column) -> bytes:
    return _little(row).tobytes()


def _array(kind: str, content: bytes) -> Column:
    row: Column = array(kind)
    row.frombytes(content)
    return _little(row)


def _little(row: Column) -> Column:
    if sys.byteorder == "little":
        return row
    row = row[:]
    row.byteswap()
    return row


def read(path: Path) -> Plan:
    """The plan in a file. Raises BadRing."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise BadRing(f"The ring {path.stem} cannot be read: {error.strerror}.") from error


def write(path: Path, plan: Plan) -> None:
    """Take the place of what was there, whole or not at all."""
    _write(path, dump(plan))


def accept(path: Path, content: bytes) -> int:
    """Take the place of what was there with a ring of a later round; its version. Raises BadRing."""
    told = parse(content)
    if not told.table:
        raise BadRing(f"The ring {path.stem} that was sent was never balanced.")
    with alone(path):
        held = read(path) if path.exists() else None
        if held is not None and held != told and held.version >= told.version:
            raise BadRing(
                f"There is a ring {path.stem} of version {held.version} here, and another of version {told.version} "
                "was sent: somebody else changed it."
            )
        if held != told:
            _write(path, content)
    return told.version


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else changes this ring meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


class RingFile:
    """A ring that is read anew when its file was replaced; a file that is no ring leaves the last one in force. While
    there is none, or one that was never balanced and places nothing, it is `alone`.
    """

    def __init__(self, path: Path, hashed: PathHash, alone: Ring) -> None:
        self.path, self._hashed, self._ring = path, hashed, alone
        self._mark = self._stat()
        if self._mark is not None:
            self._ring = self._read()
        self._look_at = time.monotonic() + LOOK_S

    def ring(self) -> Ring:
        """The one in force."""
        if time.monotonic() >= self._look_at:
            self.look()
        return self._ring

    def look(self) -> bool:
        """Look at the file now; whether another ring is in force."""
        self._look_at = time.monotonic() + LOOK_S
        mark = self._stat()
        if mark in {None, self._mark}:
            return False
        try:
            self._ring = self._read()
        except BadRing:
            return False
        self._mark = mark
        return True

    def _read(self) -> Ring:
        plan = read(self.path)
        if not plan.table:
            return self._ring
        return Ring(plan.power, plan.devices, plan.table, self._hashed, plan.version)

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns
