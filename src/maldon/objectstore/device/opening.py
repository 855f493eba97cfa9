"""A disk is made ours, and opened: by several processes at once, its index built by one alone.

device.json says that a directory is a disk of ours. Whoever has it open holds a shared lock on that file, so that an
index is thrown away only when nobody uses it; `opening.lock` is held while a process opens the disk, so that the others
wait until its index is whole.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import structlog

from maldon.objectstore.device.changes import Changes
from maldon.objectstore.device.index import Index, set_note
from maldon.objectstore.device.recover import recover
from maldon.objectstore.device.segment import sync_directory
from maldon.objectstore.node import NoSpace

log = structlog.get_logger()
FORMAT = 1
MARK, INDEX = "device.json", "index.db"
SEGMENTS, LARGE, QUARANTINE = "segments", "large", "quarantine"


def format_device(root: Path) -> None:
    """Make a directory a disk of ours; one that is already stays as it is."""
    if (root / MARK).exists():
        return
    for folder in (SEGMENTS, LARGE, QUARANTINE):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(256):
        (root / LARGE / f"{number:02x}").mkdir(exist_ok=True)
    sync_directory(root / LARGE)
    beside = root / "device.json.new"
    with beside.open("w") as file:
        json.dump({"format": FORMAT, "id": secrets.token_hex(16)}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(root / MARK)
    sync_directory(root)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a process holds of a disk."""

    lock: int
    index: Index
    changes: Changes

    def close(self) -> None:
        self.index.close()
        self.changes.close()
        os.close(self.lock)


def open_device(root: Path) -> Opened:
    """Ready to be used, everything taken in. Raises NoSpace for a directory that is no disk of ours."""
    try:
        lock = os.open(root / MARK, os.O_RDONLY)
    except OSError as error:
        raise NoSpace("The disk is not there.", internal=str(error)) from error
    try:
        _check_format(root)
        changes = Changes(root)
        with _opening(root):
            index = _open_index(root, lock, changes)
            fcntl.flock(lock, fcntl.LOCK_SH)
        recover(root / SEGMENTS, index, changes)
    except BaseException:
        os.close(lock)
        raise
    return Opened(lock, index, changes)


def _check_format(root: Path) -> None:
    try:
        found = json.loads((root / MARK).read_text())["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise NoSpace("The disk cannot be read.", internal=f"{root / MARK}: {error!r}") from error
    if found != FORMAT:
        raise NoSpace("The disk is of another release.", internal=f"{root}: format {found}, not {FORMAT}")


@contextlib.contextmanager
def _opening(root: Path) -> Iterator[None]:
    lock = os.open(root / "opening.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _open_index(root: Path, lock: int, changes: Changes) -> Index:
    try:
        index = Index(root / INDEX)
        if index.read_note("whole"):
            return index
        index.close()
    except apsw.Error as error:
        log.warning("an index is damaged", device=str(root), error=str(error))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NoSpace("The disk's index is damaged.", internal=f"{root}: other processes use it") from None
    return _build_index(root, changes)


def _build_index(root: Path, changes: Changes) -> Index:
    for name in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm"):
        (root / name).unlink(missing_ok=True)
    index = Index(root / INDEX)
    taken = recover(root / SEGMENTS, index, changes)
    with index.locked() as db:
        set_note(db, "whole", 1)
    log.info("an index was built", device=str(root), records=taken)
    return index
