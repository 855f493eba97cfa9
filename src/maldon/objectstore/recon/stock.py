"""What there is to say of a node's disks: whether each is there and takes writes, its room, what lies set aside on it,
what containers are still to be told of it.

It is seen from the directory alone, so that a command can look as well as the process that has the disk open.
"""

import contextlib
import errno
import os
import time
from collections.abc import Iterable
from pathlib import Path

import apsw
import msgspec

from maldon.objectstore.books import shelf
from maldon.objectstore.books.item import Kind
from maldon.objectstore.device.opening import INDEX, MARK, QUARANTINE
from maldon.objectstore.timestamp import TICKS

MOST_DEBTS = 100_000  # that are counted
OK, ABSENT, FULL, REFUSES = "ok", "absent", "full", "unwritable"


class DiskState(msgspec.Struct, frozen=True):
    """One disk. `said` is why it is not ok; `objects` are rows of its index, tombstones too, -1 when not counted."""

    state: str
    said: str = ""
    mounted: bool = False
    size_bytes: int = 0
    free_bytes: int = 0
    quarantined: dict[str, int] = {}
    policies: dict[int, int] = {}
    debts: int = 0
    oldest_debt_s: float = 0.0
    objects: int = -1
    books: int = 0


def look(root: Path, reserve_percent: int, *, count: bool = False) -> DiskState:
    """A disk as it is now; `count` its objects too, which is a look at all of them. For a thread."""
    try:
        room = os.statvfs(root)
    except OSError as error:
        return DiskState(ABSENT, f"{root} cannot be read: {error.strerror}")
    if not (root / MARK).exists():
        return DiskState(ABSENT, f"{root} is no disk of ours: is it mounted?", os.path.ismount(root))
    free = max(0, (room.f_bavail - room.f_blocks * reserve_percent // 100) * room.f_frsize)
    state, said = _writable(root, free)
    objects, policies = _quarantined_objects(root)
    debts, oldest, held = _rows(root / INDEX, count=count)
    books = sum(1 for kind in Kind for _ in _books(root / kind.value))
    aside = {kind.value: _entries(root / shelf.QUARANTINE / kind.value) for kind in Kind} | {"objects": objects}
    return DiskState(
        state, said, os.path.ismount(root), room.f_blocks * room.f_frsize, free, aside, policies, debts, oldest, held,
        books,
    )  # fmt: skip


def _writable(root: Path, free: int) -> tuple[str, str]:
    try:
        probe = os.open(root, os.O_TMPFILE | os.O_RDWR, 0o600)
        try:
            os.write(probe, b"\0")
        finally:
            os.close(probe)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return FULL, "nothing is free, not even the reserve"
        return REFUSES, f"writing fails: {error.strerror}"
    return (OK, "") if free else (FULL, "only the reserve is free")


def _quarantined_objects(root: Path) -> tuple[int, dict[int, int]]:
    """How many, and of which policies."""
    policies: dict[int, int] = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir(root / QUARANTINE):
            policy = entry.name.partition("-")[0]
            if policy.isdecimal() and not entry.name.endswith(".body"):
                policies[int(policy)] = policies.get(int(policy), 0) + 1
    return sum(policies.values()), policies


def _entries(folder: Path) -> int:
    try:
        return sum(1 for _ in os.scandir(folder))
    except OSError:
        return 0


def _books(folder: Path) -> Iterable[str]:
    with contextlib.suppress(OSError):
        for partition in os.scandir(folder):
            yield from (one.name for one in os.scandir(partition) if not one.name.startswith("."))


def _rows(file: Path, *, count: bool) -> tuple[int, float, int]:
    """How many debts the index has, how old the oldest is, how many rows there are."""
    try:
        db = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.Error:
        return 0, 0.0, -1
    try:
        db.set_busy_timeout(1000)
        db.pragma("query_only", 1)
        debts, first = db.execute(
            "SELECT count(*), min(posted) FROM (SELECT posted FROM objects WHERE owed IS NOT NULL LIMIT ?)",
            (MOST_DEBTS,),
        ).get
        held = db.execute("SELECT count(*) FROM objects").get if count else -1
    except apsw.Error:
        return 0, 0.0, -1
    finally:
        db.close()
    return debts, max(0.0, time.time() - first / TICKS) if debts else 0.0, held
