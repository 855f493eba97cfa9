"""Segment files: records one after the other, appended by one process, read by all.

A file is named after the second it was made in and its magic, a random number that every record of it begins with, so a
name is never used twice. Its writer holds a lock on it (flock); a segment without a lock has no writer any more and
never gets another. `append` returns when the bytes are on stable storage.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_MOST_PIECES = 1024  # of one writev
GROUP_BYTES = 16 << 20  # of what is synced together, but for its last record
"""A power cut can tear no more than the last group: what was appended before is on stable storage."""


class Segment:
    """A segment being written by this process."""

    def __init__(self, folder: Path) -> None:
        """Make one. Raises OSError."""
        self.magic = secrets.randbits(63) | 1
        self.name = f"{int(time.time()):08x}-{self.magic:016x}"
        self.number = 0  # the index knows segments by number; it has not seen this one yet
        self.end = 0
        beside = folder / f"{self.name}.new"
        self._file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)  # before it has its name, so that nobody ever finds it without a writer
        beside.rename(folder / self.name)
        sync_directory(folder)

    @property
    def is_whole(self) -> bool:
        """Whether it ends where it was left; if not, what is appended would not be where the index looks for it."""
        return os.fstat(self._file).st_size == self.end

    def append(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Write the pieces and sync them. Raises OSError: then nothing may be appended any more."""
        try:
            write_all(self._file, pieces)
            os.fdatasync(self._file)
            if not os.fstat(self._file).st_nlink:  # somebody emptied the disk: what is written is nowhere
                raise FileNotFoundError(errno.ENOENT, "the segment is gone", self.name)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self.end)  # nobody was told of it
            raise
        self.end = os.lseek(self._file, 0, os.SEEK_END)

    def close(self) -> None:
        """Let go of the lock: from here on it has no writer."""
        os.close(self._file)


def magic_of(name: str) -> int:
    """The magic of a segment's records. Raises ValueError for a name that is none."""
    made, _, magic = name.partition("-")
    if len(made) != 8 or len(magic) != 16:
        raise ValueError(f"{name!r} is no segment")
    return int(magic, 16)


def made_at(name: str) -> int:
    """The second a segment was made in."""
    return int(name[:8], 16)


@contextlib.contextmanager
def adopted(path: Path) -> Iterator[int | None]:
    """A segment without a writer, locked and open for reading; None when it has one, or is gone."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield None
    else:
        yield file
    finally:
        os.close(file)


def sync_directory(path: Path) -> None:
    """Names made in and taken from a directory are on stable storage."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_all(file: int, pieces: Sequence[bytes | memoryview]) -> None:
    """Write every byte of the pieces at the file's end. Raises OSError."""
    for at in range(0, len(pieces), _MOST_PIECES):
        some = pieces[at : at + _MOST_PIECES]
        wanted, written = sum(map(len, some)), os.writev(file, some)
        if written < wanted:  # a disk that is nearly full takes a part
            rest = memoryview(b"".join(some))[written:]
            while rest:
                rest = rest[os.write(file, rest) :]
