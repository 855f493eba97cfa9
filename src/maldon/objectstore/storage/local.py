"""This node's disks, in-process: the verbs of node.py, each on the disk it is for.

A write is on stable storage before its container hears of it. Whoever wrote finds it in the listing: see `teachers`.
What a container could not be told stays noted with the record, for the updater.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

from maldon.objectstore.books.node import Books
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import (
    Book,
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
from maldon.objectstore.storage.teachers import Teachers
from maldon.objectstore.telling import Others


class Local:
    """See the module. A disk that is not there raises NoSpace."""

    def __init__(self, devices: Mapping[str, Device], books: Books, nodes: Others, *, shared: bool = False) -> None:
        self.devices, self.books, self._teachers = devices, books, Teachers(books, nodes, shared=shared)
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
            await self._teachers.teach(device, spot, path, record, teach)
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
            await self._teachers.teach(device, spot, path, now, teach)
        return before

    async def delete_object(
        self, spot: Spot, path: Path, timestamp: int, teach: Sequence[Teaching] = ()
    ) -> Record | None:
        device = self.device(spot)
        before = await device.delete(spot.policy, path, timestamp, teach)
        if teach:
            tombstone = Record(timestamp, 0, "", {}, timestamp, deleted=True)
            await self._teachers.teach(device, spot, path, tombstone, teach)
        return before

    async def commit_object(self, spot: Spot, path: Path, timestamp: int, teach: Sequence[Teaching] = ()) -> bool:
        device = self.device(spot)
        there = await device.commit(spot.policy, path, timestamp, teach)
        if teach and there:
            now = await device.head(spot.policy, path)
            if now is not None and now.timestamp == timestamp:
                await self._teachers.teach(device, spot, path, now, teach)
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
        await self._teachers.known(spot, path)
        return await self.books.head_book(spot, path)

    async def list_json(self, spot: Spot, path: Path, query: Query) -> Listing | None:
        await self._teachers.known(spot, path)
        return await self.books.list_json(spot, path, query)

    async def delete_book(self, spot: Spot, path: Path, timestamp: int) -> Book | None:
        await self._teachers.known(spot, path)
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

    async def settle(self) -> None:
        """Have the containers of this node know everything that was answered."""
        await self._teachers.settle()

    async def close(self) -> None:
        """Do that now, and from now on with every write."""
        await self._teachers.close()
