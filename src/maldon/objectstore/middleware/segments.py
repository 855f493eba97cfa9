"""Objects that are made of others: reading a stretch of the whole from the segments that hold it.

A segment is a stretch of an object, or bytes that stand in the manifest itself. Each is asked for with the asker's own
rights when its turn comes; one that is not what the manifest says any more, or is gone, ends the answer: 409 when
nothing was sent yet, a cut connection otherwise, so that nobody takes a part for the whole.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from maldon.kernel.errors import Conflict, Unauthorized
from maldon.objectstore.middleware.layer import Handler, answered
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest

DEEPEST = 10
DEPTH = "large object depth"


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes `first` up to `stop` of an object whose `etag` is known, "" where it is not; or `inline` ones."""

    path: Path
    etag: str
    first: int
    stop: int
    inline: bytes | None = None

    @property
    def size(self) -> int:
        return self.stop - self.first


async def read_segments(
    ask: Handler, request: ObjectRequest, segments: Sequence[Segment], start: int, stop: int
) -> AsyncIterator[bytes]:
    """The whole from one byte to another. Raises Conflict for a segment that cannot be had."""
    at = 0
    for segment in segments:
        first, last = max(start, at) - at, min(stop, at + segment.size) - at
        at += segment.size
        if first >= last:
            if at > stop:
                return
            continue
        if segment.inline is not None:
            yield segment.inline[first:last]
            continue
        async for piece in _pieces(ask, request, segment, segment.first + first, segment.first + last):
            yield piece


async def _pieces(
    ask: Handler, request: ObjectRequest, segment: Segment, first: int, stop: int
) -> AsyncIterator[bytes]:
    got = await open_segment(ask, request, segment, first, stop)
    left = stop - first
    try:
        if isinstance(got.body, bytes):
            left -= len(got.body)
            yield got.body
        else:
            async for piece in got.body:
                left -= len(piece)
                yield piece
    finally:
        await got.close()
    if left:
        raise Conflict("", internal=f"{segment.path} lacks {left} bytes")


async def open_segment(ask: Handler, request: ObjectRequest, segment: Segment, first: int, stop: int) -> Response:
    """The answer that has the bytes. Raises Conflict."""
    depth = request.facts.get(DEPTH, 0) + 1
    if depth > DEEPEST:
        raise Conflict("Max recursion depth exceeded")
    part = request.derive("GET", segment.path, headers={"range": f"bytes={first}-{stop - 1}"})
    part.facts[DEPTH] = depth
    got = await answered(ask, part)
    if got.status != 206 or (segment.etag and got.headers.get("etag", "").strip('"') != segment.etag):
        await got.close()
        if got.status in {401, 403} and request.actor is None:  # who comes without a name may come with one
            raise Unauthorized("")
        raise Conflict("", internal=f"segment {segment.path}: {got.status} {got.headers.get('etag')}")
    return got


async def begun(response: Response) -> Response:
    """The same answer with its first piece read: what cannot be had is refused before anything is sent."""
    body = response.body
    if isinstance(body, bytes):
        return response
    pieces = aiter(body)
    first = await anext(pieces, b"")
    response.body = _chained(first, pieces)
    return response


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        if close := getattr(rest, "aclose", None):
            await close()
