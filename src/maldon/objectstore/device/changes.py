"""Where on a disk something has changed: a stamp for each of 65,536 ranges of hashes, for whoever compares partitions.

A small file mapped into the memory of every process that uses the disk. A writer leaves a new stamp after its
transaction; a reader keeps the stamps it saw before it looked and knows which ranges to look at again. Nothing is lost
with the file: everything then counts as changed. A process that dies before it leaves the stamp has its segment taken
in again, which leaves it.
"""

import mmap
import os
import struct
from pathlib import Path

RANGES = 1 << 16
_STAMP = struct.Struct("<Q")


class Changes:
    """The stamps of one disk, a file for each storage policy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: dict[int, mmap.mmap] = {}

    def note(self, policy: int, hashed: bytes, stamp: int) -> None:
        """Something about that hash is new. Stamps of one process grow; its number keeps two processes' apart."""
        _STAMP.pack_into(self._map(policy), (hashed[0] << 11) | (hashed[1] << 3), stamp << 15 | os.getpid() & 0x7FFF)

    def stamps(self, policy: int) -> memoryview:
        """A copy of all stamps, as numbers."""
        return memoryview(bytes(self._map(policy))).cast("Q")

    def _map(self, policy: int) -> mmap.mmap:
        known = self._maps.get(policy)
        if known is None:
            file = os.open(self._folder / f"changes-{policy}", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.ftruncate(file, RANGES * _STAMP.size)
                known = self._maps[policy] = mmap.mmap(file, RANGES * _STAMP.size)
            finally:
                os.close(file)
        return known

    def close(self) -> None:
        for known in self._maps.values():
            known.close()
        self._maps.clear()
