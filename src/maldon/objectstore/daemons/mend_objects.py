"""Has a disk get the fragment that it lacks of an object: built anew from as many others as the code needs.

The version is the one that a proxy would read. A disk that has the fragment and does not know that it counts is told
so; one that has it with older metadata gets the newer; one that missed a deletion gets the tombstone. Chunks are read,
rebuilt and written as they come, so that the size of an object does not matter.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import msgspec
import structlog

from maldon.kernel.errors import CloudError
from maldon.objectstore.coding.gathering import Gathering, Wanted, ahead
from maldon.objectstore.coding.layout import Layout
from maldon.objectstore.coding.looking import look
from maldon.objectstore.coding.reading import layout_of
from maldon.objectstore.coding.versions import Version
from maldon.objectstore.daemons.push_objects import MOST_ERRORS, PUSH_S, SLOWEST, Pusher, Share, reposted
from maldon.objectstore.node import Held, NoSpace, ObjectNode, Put, Spot, Superseded
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Place, Placing
from maldon.objectstore.proxy.quorum import BROKEN
from maldon.objectstore.proxy.request import SMALL
from maldon.objectstore.ring.device import RingDevice

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Lack:
    """A disk lacks its fragment of what another holds."""

    share: Share
    number: int
    held: Held
    other: RingDevice
    fragment: int


class Unreadable(CloudError):
    """There are too few other fragments: no fault of the disk that is to have this one."""


class Mender:
    """The mending of one round."""

    def __init__(self, placing: Placing, pusher: Pusher) -> None:
        self._placing, self._pusher = placing, pusher

    async def mend(self, lack: Lack) -> None:
        """Bring the fragment; what cannot be done now is left for the next round."""
        async with self._pusher.room:
            if self._pusher.silent(lack.other):
                return
            try:
                await self._mend(lack)
            except Superseded:
                pass  # it has heard meanwhile
            except (CloudError, OSError, TimeoutError) as error:
                log.warning("a fragment is not rebuilt", hash=lack.held.hash.hex(), error=repr(error))

    async def _mend(self, lack: Lack) -> None:
        share = lack.share
        path = await share.device.path_of(share.policy, lack.held.hash)
        if path is None:
            return
        place = self._placing.object(path, share.policy)
        version = await look(self._placing, place, path, newest=True)
        if version is None or place.code is None:
            return
        try:
            await self._bring(lack, place, path, version)
        except BROKEN as error:
            self._pusher.failed(lack.other, error, MOST_ERRORS if isinstance(error, NoSpace) else 1)
            return
        self._pusher.took(lack.other)

    async def _bring(self, lack: Lack, place: Place, path: Path, version: Version) -> None:
        node, spot = self._placing.nodes.at(lack.other.address), Spot(lack.other.device, lack.number, place.policy)
        if version.deleted:
            await node.delete_object(spot, path, version.timestamp)
            return
        record = msgspec.structs.replace(version.record, fragment=lack.fragment, durable=True)
        if await node.commit_object(spot, path, version.timestamp) and await reposted(node, spot, path, record):
            return
        layout = layout_of(place, version.record)
        await lack.share.pace.took(layout.archive_bytes)
        put = Put(
            record.timestamp, record.headers, size=layout.archive_bytes, fragment=lack.fragment,
            posted_at=record.posted_at,
        )  # fmt: skip
        async with asyncio.timeout(PUSH_S + layout.archive_bytes / SLOWEST):
            await self._rebuild(
                node, spot, Wanted(path, place, version.timestamp, 0, put.size or 0), layout, version, put
            )

    async def _rebuild(
        self, node: ObjectNode, spot: Spot, wanted: Wanted, layout: Layout, version: Version, put: Put
    ) -> None:
        gathering = Gathering(self._placing, layout.code, wanted, version.holders, without=put.fragment)
        async with aclosing(_rebuilt(layout, gathering, put.fragment)) as chunks:
            body = chunks if wanted.stop > SMALL else b"".join([chunk async for chunk in chunks])
            await node.put_object(spot, wanted.path, put, body)


async def _rebuilt(layout: Layout, gathering: Gathering, fragment: int) -> AsyncGenerator[bytes, None]:
    """The chunks of a fragment, one after the other."""
    slices = list(layout.slices(0, layout.size))
    async with aclosing(ahead(gathering, [one.chunk for one in slices])) as coming:
        for one in slices:
            try:
                chunk = layout.code.rebuild(await anext(coming), one.size, fragment)
            except BROKEN as error:
                raise Unreadable("", internal=repr(error)) from error
            yield chunk
