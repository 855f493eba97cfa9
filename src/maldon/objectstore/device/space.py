"""Room on a disk: a part of it stays free, and whoever would use it is refused before a byte is written."""

import errno
import os
import time
from pathlib import Path

import apsw

from maldon.objectstore.node import NoSpace

_FRESH_S = 1.0


class Space:
    """What a disk has left. The figure is at most a second old, and what was let in since counts."""

    def __init__(self, root: Path, reserve_percent: int) -> None:
        self._root, self._percent = root, reserve_percent
        self._left, self._until = 0, 0.0

    def take(self, size: int) -> None:
        """Let in that many bytes. Raises NoSpace."""
        now = time.monotonic()
        if now >= self._until:
            self._left, self._until = self._look(), now + _FRESH_S
        self._left -= size
        if self._left < 0:
            raise NoSpace("The disk is full.", internal=f"{self._root}: the reserve of {self._percent}% begins")

    def _look(self) -> int:
        try:
            found = os.statvfs(self._root)
        except OSError as error:
            raise NoSpace("The disk cannot be read.", internal=str(error)) from error
        return (found.f_bavail - found.f_blocks * self._percent // 100) * found.f_frsize


def refused(error: BaseException) -> NoSpace:
    """What a disk's own refusal means to a client."""
    full = isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)
    said = "The disk is full." if full else "The disk cannot be written to."
    return NoSpace(said, internal=f"{type(error).__name__}: {error}")
