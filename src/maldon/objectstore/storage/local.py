"""This node's disks, in-process: the verbs of node.py, each on the disk it is for.

A write is on stable storage before its container hears of it. The container is told within a second, before the answer,
so that who wrote finds it in the listing; what could not be told by then stays noted with the record, for the updater.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from maldon.kernel.errors import CloudError
from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.device.device import Device
from maldon.objectstore.node import Book, BookNode, Listing, NoSpace, Put, Query, Reading, Record, Row, Spot, Teaching
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.expiry import expired
from maldon.objectstore.telling import row_of

log = structlog.get_logger("object.storage")
TELL_S = 1.0


class Books(Protocol):
    """Where the nodes with the containers are found."""

    here: str

    def at(self, address: str) -> BookNode: ...


@dataclass(frozen=True, slots=True)
class Disk:
    """One of the node's."""

    device: Device
    shelf: Shelf


class Local:
    """See the module. A disk that is not there raises NoSpace."""

    def __init__(self, disks: Mapping[str, Disk], nodes: Books) -> None:
        self.disks, self._nodes = disks, nodes

    def disk(self, name: str) -> Disk:
        disk = self.disks.get(name)
        if disk is None:
            raise NoSpace("The disk is not mounted.", internal=f"there is no disk {name!r}")
        return disk

    async def put_object(
        self, spot: Spot, path: Path, put: Put, body: bytes | AsyncIterator[bytes], teach: Sequence[Teaching] = ()
    ) -> Record:
        device = self.disk(spot.device).device
        record = await device.put(spot.policy, path, put, body, teach)
        if teach:
            await self._tell(device, spot, path, record, teach)
        return record

    async def read_object(
        self, spot: Spot, path: Path, start: int = 0, stop: int | None = None, fragment: int | None = None
    ) -> Reading | None:
        return await self.disk(spot.device).device.read(spot.policy, path, start, stop, fragment)

    async def head_object(self, spot: Spot, path: Path) -> Record | None:
        return await self.disk(spot.device).device.head(spot.policy, path)

    async def post_object(
        self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str], teach: Sequence[Teaching] = ()
    ) -> Record | None:
        device = self.disk(spot.device).device
        held = await device.head(spot.policy, path)
        if held is None or held.deleted or expired(held.headers):
            return held  # what has expired is not brought back by metadata without an end
        before = await device.post(spot.policy, path, timestamp, headers, teach)
        if teach and before is not None and not before.deleted:
            now = await device.head(spot.policy, path)
            if now is not None:
                await self._tell(device, spot, path, now, teach)
        return before

    async def delete_object(
        self, spot: Spot, path: Path, timestamp: int, teach: Sequence[Teaching] = ()
    ) -> Record | None:
        device = self.disk(spot.device).device
        before = await device.delete(spot.policy, path, timestamp, teach)
        if teach:
            tombstone = Record(timestamp, 0, "", {}, timestamp, deleted=True)
            await self._tell(device, spot, path, tombstone, teach)
        return before

    async def commit_object(self, spot: Spot, path: Path, timestamp: int) -> bool:
        return await self.disk(spot.device).device.commit(spot.policy, path, timestamp)

    async def put_book(
        self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str], policy: int | None = None
    ) -> bool:
        return await self.disk(spot.device).shelf.put_book(spot.partition, path, timestamp, headers, policy)

    async def post_book(self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str]) -> bool:
        return await self.disk(spot.device).shelf.post_book(spot.partition, path, timestamp, headers)

    async def head_book(self, spot: Spot, path: Path) -> Book | None:
        return await self.disk(spot.device).shelf.head_book(spot.partition, path)

    async def list_book(self, spot: Spot, path: Path, query: Query) -> tuple[Book, list[Row | str]] | None:
        return await self.disk(spot.device).shelf.list_book(spot.partition, path, query)

    async def list_json(self, spot: Spot, path: Path, query: Query) -> Listing | None:
        return await self.disk(spot.device).shelf.list_json(spot.partition, path, query)

    async def delete_book(self, spot: Spot, path: Path, timestamp: int) -> Book | None:
        return await self.disk(spot.device).shelf.delete_book(spot.partition, path, timestamp)

    async def update_book(self, spot: Spot, path: Path, rows: Sequence[Row]) -> bool:
        return await self.disk(spot.device).shelf.update_book(spot.partition, path, rows)

    async def _tell(self, device: Device, spot: Spot, path: Path, record: Record, teach: Sequence[Teaching]) -> None:
        """Have the containers hear of it; those that did are a debt no more."""
        row = row_of(path, record, spot.policy)
        book = Path(path.account, path.container)
        try:
            async with asyncio.timeout(TELL_S):
                if len(teach) == 1:
                    told = [teach[0]] if await self._teach(teach[0], book, row) else []
                else:
                    heard = await asyncio.gather(*(self._teach(one, book, row) for one in teach))
                    told = [one for one, ok in zip(teach, heard, strict=True) if ok]
        except TimeoutError:
            return
        if told:
            await device.settle(spot.policy, path, max(record.timestamp, record.posted_at), told)

    async def _teach(self, teaching: Teaching, book: Path, row: Row) -> bool:
        try:
            node = self if teaching.address == self._nodes.here else self._nodes.at(teaching.address)
            return await node.update_book(teaching.spot, teaching.shard or book, [row])
        except (CloudError, OSError) as error:
            log.warning("container not told", container=str(book), address=teaching.address, error=repr(error))
            return False
