"""Records read back: one positioned read in the loop when the page is in memory, in a thread when the disk must turn.

Segments are kept open, up to a number; those that compaction has removed are let go when a new one
is opened.
"""

import asyncio
import os
from pathlib import Path

from maldon.objectstore.device.index import Index
from maldon.objectstore.device.merge import LARGE, Entry
from maldon.objectstore.device.record import Damaged, Head, Meta, decode_meta, unpack
from maldon.objectstore.device.segment import magic_of

_MOST_OPEN = 512


class Moved(Exception):
    """The segment is gone: look again, the index knows where to."""


class Segments:
    """The segments of a disk, to be read."""

    def __init__(self, folder: Path, index: Index) -> None:
        self._folder, self._index = folder, index
        self._open: dict[int, tuple[int, int, str]] = {}

    async def load(self, entry: Entry, *, body: bool) -> tuple[Head, Meta, memoryview]:
        """The record of an entry, and the body if it lies there. Raises Moved, Damaged for all but the body's bytes."""
        found = self.load_at_once(entry, body=body)
        if found is not None:
            return found
        _, magic, name = self._file(entry.segment)
        return checked(magic, entry, await asyncio.to_thread(self._read, name, _wanted(entry, body=body), entry.at))

    def load_at_once(self, entry: Entry, *, body: bool) -> tuple[Head, Meta, memoryview] | None:
        """The same if it is in memory."""
        file, magic, _ = self._open.get(entry.segment) or self._file(entry.segment)
        data = bytearray(_wanted(entry, body=body))
        try:
            there = os.preadv(file, (data,), entry.at, os.RWF_NOWAIT)
        except OSError:  # not in memory, or a file system that cannot say
            return None
        return checked(magic, entry, data) if there == len(data) else None

    def _read(self, name: str, wanted: int, at: int) -> bytearray:
        """By a descriptor of its own: the kept one may be closed meanwhile."""
        try:
            with (self._folder / name).open("rb", 0) as file:
                return bytearray(os.pread(file.fileno(), wanted, at))
        except FileNotFoundError:
            raise Moved from None

    def _file(self, number: int) -> tuple[int, int, str]:
        known = self._open.get(number)
        if known is None:
            name = self._index.segment_name(number)
            if name is None:
                raise Moved
            self._tidy()
            try:
                file = os.open(self._folder / name, os.O_RDONLY)
            except FileNotFoundError:
                raise Moved from None
            known = self._open[number] = file, magic_of(name), name
        return known

    def _tidy(self) -> None:
        for number in [n for n, (file, *_) in self._open.items() if os.fstat(file).st_nlink == 0]:
            os.close(self._open.pop(number)[0])
        while len(self._open) >= _MOST_OPEN:
            os.close(self._open.pop(next(iter(self._open)))[0])

    def close(self) -> None:
        for file, *_ in self._open.values():
            os.close(file)
        self._open.clear()


def _wanted(entry: Entry, *, body: bool) -> int:
    return entry.head + entry.size if body and not entry.flags & LARGE else entry.head


def checked(magic: int, entry: Entry, data: bytearray) -> tuple[Head, Meta, memoryview]:
    """The record that `data` is. Raises Damaged when it is not the one the entry speaks of."""
    view = memoryview(data)
    head, meta = unpack(magic, view)
    if head.hash != entry.hash or head.written != entry.written:
        raise Damaged("another record")
    return head, decode_meta(meta), view[entry.head :]
