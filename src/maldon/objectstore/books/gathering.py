"""A listing of a sharded container: which books it crosses, and the page that is put together from them.

Pure: the asking is books/node.py's. The root is one of the books as long as it still has the names of some ranges.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from maldon.objectstore.books.listing import after
from maldon.objectstore.books.ranges import Ranges
from maldon.objectstore.node import Home, Item, Listing, Query


@dataclass(frozen=True, slots=True)
class Segment:
    """Names above `lower`, up to and with `upper`, kept in a shard, or still in the root."""

    shard: str | None
    lower: str
    upper: str


def segments(ranges: Ranges, query: Query) -> Iterator[Segment]:
    """In the order of the listing, those that cannot have anything for it left out."""
    found: list[Segment] = []
    for one in ranges.living:
        shard = one.shard if one.home is Home.SHARD else None
        if shard is None and found and found[-1].shard is None:
            found[-1] = replace(found[-1], upper=one.upper)
        else:
            found.append(Segment(shard, one.lower, one.upper))
    behind = after(query.prefix)
    for segment in reversed(found) if query.reverse else found:
        if not (segment.upper and segment.upper < query.prefix) and not (behind and segment.lower >= behind):
            yield segment


class Page:
    """What was found so far."""

    def __init__(self, query: Query) -> None:
        self.query, self.count = query, 0
        self._arrays: list[bytes] = []
        self._subdir = ""

    @property
    def full(self) -> bool:
        return self.count >= self.query.limit

    def narrowed(self, segment: Segment) -> Query | None:
        """What is still wanted of a segment; None when there is nothing."""
        asked, end = self.query, segment.upper + "\0" if segment.upper else ""
        if self._subdir and segment.upper.startswith(self._subdir) and segment.lower.startswith(self._subdir):
            return None  # all of it is below the subdirectory that was listed last
        low, high = (asked.end_marker, asked.marker) if asked.reverse else (asked.marker, asked.end_marker)
        low, high = max(low, segment.lower), min((one for one in (high, end) if one), default="")
        if high and low >= high:
            return None
        marker, end_marker = (high, low) if asked.reverse else (low, high)
        seen = self._subdir or asked.marker
        return replace(asked, marker=marker, end_marker=end_marker, limit=asked.limit - self.count, seen=seen)

    def add(self, listing: Listing) -> None:
        if listing.count:
            self.count += listing.count
            self._arrays.append(listing.json)
            self._subdir = _last(listing.json).subdir if self.query.delimiter else ""

    def json(self) -> bytes:
        if len(self._arrays) == 1:  # most pages cross one book
            return self._arrays[0]
        pieces: list[bytes | memoryview] = []
        for array in self._arrays:
            pieces += (b",", memoryview(array)[1:-1])
        return b"".join([b"[", *pieces[1:], b"]"])  # megabytes, copied once


def _last(array: bytes) -> Item:
    """The last element: no text within JSON can hold an unescaped quote."""
    return msgspec.json.decode(array[array.rindex(b'{"') : -1], type=Item)
