"""Which of a node's disks may be opened: a disk that is not mounted must never be filled beside its mount point.

device.json on a disk says that it is ours. Beside the disks, disks.json remembers of each name whether a file system
was mounted there. A name that was a mount and is none now is refused until it is one again. A disk without device.json
is made ours when it is empty and either mounted, or known to be a plain directory: a replaced disk, or one that was
wiped, begins afresh and the replicators fill it. Whatever else lies there is left for the operator to look at.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from maldon.objectstore.device.opening import MARK, format_device
from maldon.objectstore.device.segment import sync_directory
from maldon.objectstore.node import NoSpace

log = structlog.get_logger()
KNOWN = "disks.json"
WORTHLESS = re.compile(r"lost\+found|.*\.lock|index\.db.*|changes-.*")
"""What may lie on a disk that has nothing on it: a file system's own, and what is made anew from the rest."""


def prepare(folder: Path, name: str) -> Path:
    """The root of a disk that is ours. Raises NoSpace for one that is not there, or must not be written to."""
    root = folder / name
    with _alone(folder):
        known = _read(folder)
        mounted = root.resolve().is_mount()
        if known.get(name) and not mounted:
            raise NoSpace("The disk is not mounted.", internal=f"{root} was a mount and is none")
        if not (root / MARK).exists():
            if not _may_be_made(root, mounted=mounted, known=known.get(name)):
                raise NoSpace("The disk is not mounted.", internal=f"{root} is no disk of ours, and not an empty one")
            root.mkdir(parents=True, exist_ok=True)
            format_device(root)
            log.warning("a disk begins afresh", device=str(root))
        if known.get(name) != mounted:
            _write(folder, {**known, name: mounted})
    return root


def mark_of(root: Path) -> int:
    """A number that is another one when the disk is, to whoever has it open; 0 when it is not there."""
    try:
        return (root / MARK).stat().st_ino
    except OSError:
        return 0


def id_of(root: Path) -> str:
    """The disk's own name, given once; empty when it is none of ours."""
    try:
        return str(json.loads((root / MARK).read_text()).get("id", ""))
    except (OSError, ValueError):
        return ""


def _may_be_made(root: Path, *, mounted: bool, known: bool | None) -> bool:
    try:
        empty = all(WORTHLESS.fullmatch(found.name) for found in root.iterdir())
    except FileNotFoundError:
        return True  # made by hand it would be there: a mount point, perhaps
    return empty and (mounted or known is False)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of all processes of the node."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / f".{KNOWN}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read(folder: Path) -> dict[str, bool]:
    try:
        known: dict[str, bool] = json.loads((folder / KNOWN).read_text())
    except FileNotFoundError:
        return {}
    return known


def _write(folder: Path, known: dict[str, bool]) -> None:
    beside = folder / f".{KNOWN}"
    with beside.open("w") as file:
        json.dump(known, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / KNOWN)
    sync_directory(folder)
