"""This node's disks, in-process: the verbs of node.py, each on the disk it is for.

A write is on stable storage before its container hears of it. The container is told within a second, before the answer,
so that who wrote finds it in the listing; what could not be told by then stays noted with the record, for the updater.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import structlog

from maldon.kernel.errors import CloudError
from maldon.objectstore.books.node import Books
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import (
    Book,
    BookNode,
    Held,
    Incoming,
    Listing,
    NoSpace,
    Preamble,
    Put,
    Query,
    Range,
    Reading,
    Record,
    Row,
    Shipment,
    Spot,
    Standing,
    Teaching,
)
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.expiry import OPEN_EXPIRED, expired
from maldon.objectstore.telling import row_of

log = structlog.get_logger("object.storage")
TELL_S = 1.0
SILENT_S = 10.0  # for which a node that did not hear in time is told by the updater alone


class Others(Protocol):
    """Where the nodes with the containers are found."""

    here: str

    def at(self, address: str) -> BookNode: ...


class Local:
    """See the module. A disk that is not there raises NoSpace."""

    def __init__(self, devices: Mapping[str, Device], books: Books, nodes: Others) -> None:
        self.devices, self.books, self._nodes = devices, books, nodes
        self._silent: dict[str, float] = {}
        self._surveys: dict[str, tuple[Device, Survey]] = {}

    def device(self, spot: Spot) -> Device:
        device = self.devices.get(spot.device)
        if device is None:
            raise NoSpace("The disk is not mounted.", internal=f"there is no disk {spot.device!r}")
        return device

    async def put_object(
        self, spot: Spot, path: Path, put: Put, body: Incoming, teach: Sequence[Teaching] = ()
    ) -> Record:
        device = self.device(spot)
        record = await device.put(spot.policy, path, put, body, teach)
        if teach:
            await self._tell(device, spot, path, record, teach)
        return record

    async def read_object(
        self, spot: Spot, path: Path, start: int = 0, stop: int | None = None, version: tuple[int, int] | None = None
    ) -> Reading | None:
        device = self.device(spot)
        if version is None:
            return await device.read(spot.policy, path, start, stop)
        found = await device.fetch(spot.policy, device.hash_path(path), *version, start, stop)
        return None if found is None else found[1]

    async def read_versions(self, spot: Spot, path: Path) -> list[Record]:
        return await self.device(spot).versions(spot.policy, path)

    async def head_object(self, spot: Spot, path: Path) -> Record | None:
        return await self.device(spot).head(spot.policy, path)

    async def post_object(
        self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str], teach: Sequence[Teaching] = ()
    ) -> Record | None:
        device = self.device(spot)
        opens = OPEN_EXPIRED in headers
        headers = {name: value for name, value in headers.items() if name != OPEN_EXPIRED}

        def means(held: Record) -> bool:  # what has expired is not brought back by metadata without an end
            return opens or not expired(held.headers)

        before, now = await device.post(spot.policy, path, timestamp, headers, teach, means)
        if teach and now is not None:
            await self._tell(device, spot, path, now, teach)
        return before

    async def delete_object(
        self, spot: Spot, path: Path, timestamp: int, teach: Sequence[Teaching] = ()
    ) -> Record | None:
        device = self.device(spot)
        before = await device.delete(spot.policy, path, timestamp, teach)
        if teach:
            tombstone = Record(timestamp, 0, "", {}, timestamp, deleted=True)
            await self._tell(device, spot, path, tombstone, teach)
        return before

    async def commit_object(self, spot: Spot, path: Path, timestamp: int, teach: Sequence[Teaching] = ()) -> bool:
        device = self.device(spot)
        there = await device.commit(spot.policy, path, timestamp, teach)
        if teach and there:
            now = await device.head(spot.policy, path)
            if now is not None and now.timestamp == timestamp:
                await self._tell(device, spot, path, now, teach)
        return there

    async def compare_partitions(self, spot: Spot, power: int, digests: Mapping[int, int]) -> list[int]:
        return await self._survey(spot).differing(spot.policy, power, digests)

    async def want_objects(self, spot: Spot, held: Sequence[Held], fragment: int | None = None) -> list[bytes]:
        return await self._survey(spot).wanted(spot.policy, held, fragment)

    def _survey(self, spot: Spot) -> Survey:
        device = self.device(spot)
        known = self._surveys.get(spot.device)
        if known is None or known[0] is not device:  # a disk may be replaced
            known = self._surveys[spot.device] = device, Survey(device)
        return known[1]

    async def identify_books(self, spot: Spot) -> str:
        return await self.books.identify_books(spot)

    async def put_book(
        self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str], policy: int | None = None
    ) -> bool:
        return await self.books.put_book(spot, path, timestamp, headers, policy)

    async def post_book(self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str]) -> bool:
        return await self.books.post_book(spot, path, timestamp, headers)

    async def head_book(self, spot: Spot, path: Path) -> Book | None:
        return await self.books.head_book(spot, path)

    async def list_json(self, spot: Spot, path: Path, query: Query) -> Listing | None:
        return await self.books.list_json(spot, path, query)

    async def delete_book(self, spot: Spot, path: Path, timestamp: int) -> Book | None:
        return await self.books.delete_book(spot, path, timestamp)

    async def update_book(self, spot: Spot, path: Path, rows: Sequence[Row]) -> bool:
        return await self.books.update_book(spot, path, rows)

    async def read_ranges(self, spot: Spot, path: Path) -> list[Range]:
        return await self.books.read_ranges(spot, path)

    async def update_ranges(self, spot: Spot, path: Path, ranges: Sequence[Range]) -> bool:
        return await self.books.update_ranges(spot, path, ranges)

    async def compare_book(self, spot: Spot, path: Path, made: str) -> Standing | None:
        return await self.books.compare_book(spot, path, made)

    async def merge_book(
        self, spot: Spot, path: Path, made: str, upto: int, preamble: Preamble, rows: Sequence[Row]
    ) -> bool:
        return await self.books.merge_book(spot, path, made, upto, preamble, rows)

    async def take_book(self, spot: Spot, path: Path, shipment: Shipment, body: bytes | AsyncIterator[bytes]) -> bool:
        return await self.books.take_book(spot, path, shipment, body)

    async def _tell(self, device: Device, spot: Spot, path: Path, record: Record, teach: Sequence[Teaching]) -> None:
        """Have the containers hear of it; those that did are a debt no more."""
        row = row_of(path, record, spot.policy)
        book = Path(path.account, path.container)
        if len(teach) == 1:
            told = [teach[0]] if await self._teach(teach[0], book, row) else []
        else:
            heard = await asyncio.gather(*(self._teach(one, book, row) for one in teach))
            told = [one for one, ok in zip(teach, heard, strict=True) if ok]
        if told:
            await device.settle(spot.policy, path, max(record.timestamp, record.posted_at), told)

    async def _teach(self, teaching: Teaching, book: Path, row: Row) -> bool:
        if teaching.address in self._silent and self._silent[teaching.address] > time.monotonic():
            return False
        try:
            node: BookNode = self.books if teaching.address == self._nodes.here else self._nodes.at(teaching.address)
            async with asyncio.timeout(TELL_S):
                return await node.update_book(teaching.spot, teaching.shard or book, [row])
        except (CloudError, OSError, TimeoutError) as error:
            if isinstance(error, TimeoutError):  # whoever writes next is not kept waiting as well
                self._silent[teaching.address] = time.monotonic() + SILENT_S
            log.warning("container not told", container=str(book), address=teaching.address, error=repr(error))
            return False
