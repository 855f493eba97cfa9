"""The bytes of an object in fragments, from one to another: only the segments that hold them are read and decoded.

A plain reading does not look first: the disks with the fragments of the data are asked for what they have newest, and
mostly that is one fragment each of one version, and as many as are needed. Otherwise one looks after all.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple, Self

from maldon.kernel.errors import CloudError
from maldon.objectstore.coding.code import Code
from maldon.objectstore.coding.gathering import Gathering, Source, Wanted, ahead
from maldon.objectstore.coding.layout import Layout, Slice
from maldon.objectstore.coding.versions import Version
from maldon.objectstore.coding.whole import whole_of
from maldon.objectstore.node import Record
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Place, Placing
from maldon.objectstore.proxy.quorum import BROKEN
from maldon.objectstore.ring.device import RingDevice

SOON_S = 0.5  # for the first answer; of whoever needs longer one can do without


async def read(
    placing: Placing, place: Place, path: Path, version: Version, start: int, stop: int
) -> AsyncIterator[bytes]:
    """Of that very version. Raises Unavailable when too few of its fragments can be read."""
    layout = layout_of(place, version.record)
    slices = list(layout.slices(start, stop))
    if not slices:
        return
    wanted = Wanted(path, place, version.timestamp, *layout.span(start, stop))
    gathering = Gathering(placing, layout.code, wanted, version.holders)
    async with aclosing(_decoded(layout.code, gathering, slices)) as pieces:
        async for piece in pieces:
            yield piece


async def _decoded(code: Code, gathering: Gathering, slices: Sequence[Slice]) -> AsyncGenerator[bytes, None]:
    async with aclosing(ahead(gathering, [one.chunk for one in slices])) as coming:
        for one in slices:
            segment = code.decode(await anext(coming), one.size)
            yield segment if one.stop - one.start == one.size else segment[one.start : one.stop]


class Opened(NamedTuple):
    """An object that is being read: a fragment's record, and all of the bytes."""

    record: Record
    body: bytes | AsyncIterator[bytes]


async def open_plain(placing: Placing, place: Place, path: Path) -> Opened | None:
    """The whole of it, without a look before; None when one has to look, or there is nothing. Raises Unavailable."""
    code = place.code
    if code is None or code.needed < code.fragments - code.quorum + 1 or code.needed > code.data:
        return None
    asked = place.primaries[: code.data]
    if any(placing.patience.resting(device) for device in asked):
        return None
    sources = [
        one for one in await asyncio.gather(*(_first(placing, place, path, d) for d in asked)) if one is not None
    ]
    parts = {one.record.fragment: one for one in sources if not one.record.deleted}
    if len(parts) < code.needed or len(sources) > len(parts) or len({one.record.timestamp for one in sources}) > 1:
        for one in sources:
            await one.close()
        return None
    return await _whole(placing, place, path, parts)


async def _whole(placing: Placing, place: Place, path: Path, parts: Mapping[int, Source]) -> Opened:
    record = max((one.record for one in parts.values()), key=lambda one: one.posted_at)
    layout = layout_of(place, record)
    if not layout.size:
        for one in parts.values():
            await one.close(complete=True)
        return Opened(record, b"")
    wanted = Wanted(path, place, record.timestamp, 0, layout.archive_bytes)
    gathering = Gathering(placing, layout.code, wanted, {}, opened=parts)
    pieces = _decoded(layout.code, gathering, list(layout.slices(0, layout.size)))
    if layout.size > layout.segment_bytes:
        return Opened(record, await begun(pieces))
    return Opened(record, b"".join([piece async for piece in pieces]))


async def _first(placing: Placing, place: Place, path: Path, device: RingDevice) -> Source | None:
    try:
        async with asyncio.timeout(SOON_S):
            reading = await placing.nodes.at(device.address).read_object(place.spot(device), path)
    except BROKEN as error:
        placing.patience.failed(device, error)
        return None
    placing.patience.worked(device)
    return None if reading is None else Source(device, reading)


def layout_of(place: Place, record: Record) -> Layout:
    """How the version of a record was cut. Raises CloudError for another code than the policy's."""
    whole, code = whole_of(record), place.code
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
