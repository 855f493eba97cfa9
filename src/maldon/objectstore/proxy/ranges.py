"""Byte ranges: which bytes a Range header means, and the body of an answer that holds several.

A header that cannot be understood is as if it were not given. Of those that can, the ones beyond the end are dropped;
when none is left the answer is 416. Ranges that ask for too much of the same (more than 50 of them, many that overlap,
or many that run backwards) are an attack, and are answered 416 too.
"""

import random
import re
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

MOST = 50
MOST_OVERLAPS = 2
MOST_BACKWARDS = 8
_ONE = re.compile(r"(\d*)\s*-\s*(\d*)", re.ASCII)

Span = tuple[int, int]  # from, up to and without
Reader = Callable[[int, int], AsyncIterator[bytes]]


def parse(text: str) -> list[tuple[int | None, int | None]] | None:
    """First and last byte of each range; None for what is no range header of bytes."""
    unit, equals, rest = text.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    found: list[tuple[int | None, int | None]] = []
    for part in rest.split(","):
        match = _ONE.fullmatch(part.replace(" ", ""))
        if match is None or len(part) > 60:
            return None
        first, last = (int(digits) if digits else None for digits in match.groups())
        if (first is None and last is None) or (first is not None and last is not None and last < first):
            return None
        found.append((first, last))
    return found


def spans(text: str, size: int) -> list[Span] | None:
    """What of `size` bytes is asked for; None for everything, an empty list for nothing that there is."""
    parsed = parse(text)
    if parsed is None:
        return None
    found: list[Span] = []
    for first, last in parsed:
        if first is None:
            if last:
                found.append((max(0, size - last), size))
        elif first < size:
            found.append((first, size if last is None else min(size, last + 1)))
    found = [span for span in found if span[0] < span[1]]
    return [] if _greedy(found) else found


def _greedy(found: list[Span]) -> bool:
    if len(found) <= 1:
        return False
    if len(found) > MOST:
        return True
    ordered = sorted(found)
    overlaps = sum(a[1] > b[0] for a, b in pairwise(ordered))
    backwards = sum(b[0] < a[0] for a, b in pairwise(found))
    return overlaps > MOST_OVERLAPS or backwards > MOST_BACKWARDS


class Multipart:
    """The body of an answer with several ranges: multipart/byteranges."""

    def __init__(self, wanted: list[Span], size: int, content_type: str) -> None:
        self.boundary = f"{random.getrandbits(128):032x}"
        self._parts = [(span, self._head(span, size, content_type)) for span in wanted]
        self._end = f"--{self.boundary}--".encode()

    def _head(self, span: Span, size: int, content_type: str) -> bytes:
        first, stop = span
        lines = (
            f"--{self.boundary}",
            f"Content-Type: {content_type}",
            f"Content-Range: bytes {first}-{stop - 1}/{size}",
        )
        return "\r\n".join((*lines, "", "")).encode()

    @property
    def content_type(self) -> str:
        return f"multipart/byteranges;boundary={self.boundary}"

    @property
    def length(self) -> int:
        return sum(len(head) + stop - first + 2 for (first, stop), head in self._parts) + len(self._end)

    async def body(self, read: Reader) -> AsyncIterator[bytes]:
        """All parts, each read when the one before is out."""
        for (first, stop), head in self._parts:
            yield head
            async for piece in read(first, stop):
                yield piece
            yield b"\r\n"
        yield self._end
