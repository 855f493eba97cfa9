"""How the proxies of one machine tell each other that a container or account was changed: a number in a shared page.

Whoever changes something raises it; whoever sees that it moved forgets what it knew. Looking costs next to nothing, so
it is done at every request.
"""

import fcntl
import mmap
import os
from pathlib import Path as File

SIZE = 8


class Changes:
    """The number in a file."""

    def __init__(self, file: File) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._file).st_size < SIZE:
            os.ftruncate(self._file, SIZE)
        self._page = memoryview(mmap.mmap(self._file, SIZE)).cast("Q")
        self.seen = self._page[0]

    def moved(self) -> bool:
        """Whether somebody else changed something since the last look."""
        now = self._page[0]
        if now == self.seen:
            return False
        self.seen = now
        return True

    def note(self) -> bool:
        """Say that something is changed here; whether somebody else had said so since the last look."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            before = self._page[0]
            self._page[0] = before + 1
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        others, self.seen = before != self.seen, before + 1
        return others
