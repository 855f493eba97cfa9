"""Where in the fragment archives the bytes of an object are: pure arithmetic.

All segments but the last have the same size, so all chunks of an archive but the last have too.
"""

from collections.abc import Iterator
from typing import NamedTuple

from maldon.objectstore.coding.code import Code


class Slice(NamedTuple):
    """A segment that holds wanted bytes: its size, that of its chunks, and which of its bytes are wanted."""

    size: int
    chunk: int
    start: int
    stop: int


class Layout:
    """Of an object of `size` bytes."""

    def __init__(self, code: Code, size: int, segment_bytes: int) -> None:
        self.code, self.size, self.segment_bytes = code, size, segment_bytes

    @property
    def archive_bytes(self) -> int:
        """Of each fragment."""
        return self.offset(-(-self.size // self.segment_bytes))

    def offset(self, segment: int) -> int:
        """Where a segment's chunk begins in an archive; of the one after the last: where the archive ends."""
        full, rest = divmod(self.size, self.segment_bytes)
        chunks = min(segment, full) * self.code.chunk_bytes(self.segment_bytes) if min(segment, full) else 0
        return chunks + (self.code.chunk_bytes(rest) if rest and segment > full else 0)

    def slices(self, start: int, stop: int) -> Iterator[Slice]:
        """The segments with the bytes from one to another, in order."""
        step = self.segment_bytes
        for first in range(start - start % step, stop, step):
            size = min(step, self.size - first)
            yield Slice(size, self.code.chunk_bytes(size), max(start - first, 0), min(stop - first, size))

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Which bytes of an archive those segments are."""
        return self.offset(start // self.segment_bytes), self.offset(-(-stop // self.segment_bytes))
