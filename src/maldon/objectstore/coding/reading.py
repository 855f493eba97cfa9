"""The bytes of an object in fragments, from one to another: only the segments that hold them are read and decoded."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Self

from maldon.kernel.errors import CloudError
from maldon.objectstore.coding.gathering import Gathering, Wanted, ahead
from maldon.objectstore.coding.layout import Layout
from maldon.objectstore.coding.versions import Version
from maldon.objectstore.coding.whole import whole_of
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Place, Placing


async def read(
    placing: Placing, place: Place, path: Path, version: Version, start: int, stop: int
) -> AsyncIterator[bytes]:
    """Of that very version. Raises Unavailable when too few of its fragments can be read."""
    layout = layout_of(place, version)
    slices = list(layout.slices(start, stop))
    if not slices:
        return
    wanted = Wanted(path, place, version.timestamp, *layout.span(start, stop))
    gathering = Gathering(placing, layout.code, wanted, version.holders)
    async with aclosing(ahead(gathering, [one.chunk for one in slices])) as coming:
        for one in slices:
            segment = layout.code.decode(await anext(coming), one.size)
            yield segment if one.stop - one.start == one.size else segment[one.start : one.stop]


def layout_of(place: Place, version: Version) -> Layout:
    """How a version was cut. Raises CloudError for another code than the policy's."""
    whole, code = whole_of(version.record), place.code
    if code is None or whole.scheme != code.scheme:
        now = code.scheme if code is not None else "whole copies"
        raise CloudError(
            "The object cannot be read.", internal=f"written as {whole.scheme}, policy {place.policy} has {now}"
        )
    return Layout(code, whole.size, whole.segment_bytes)


class Begun:
    """A body whose first piece is there already: what cannot be read at all is known before the answer begins."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._first, self._rest = first, rest

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return await anext(self._rest)

    async def aclose(self) -> None:
        self._first = b""
        if close := getattr(self._rest, "aclose", None):
            await close()


async def begun(body: bytes | AsyncIterator[bytes]) -> bytes | AsyncIterator[bytes]:
    """Read the first piece. Raises what reading raises."""
    return body if isinstance(body, bytes) else Begun(await anext(body, b""), body)
