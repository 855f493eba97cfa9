"""The books of a node: the shelves of its disks, and the way from a sharded container to its shards.

Whoever asks for a container need not know that it is sharded. Its root passes rows on to the shard that keeps their
names, and puts a listing together from the shards it crosses, one after the other until it is full: what that costs
depends on the page, not on the container. A replica of the root prefers the shard's replica of the same number, so that
three roots that hear of a row tell three shards.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from maldon.kernel.errors import Unavailable
from maldon.objectstore.books.gathering import Page, segments
from maldon.objectstore.books.ranges import NONE, Away, Ranges, shard_path
from maldon.objectstore.books.shelf import Elsewhere, Shelf
from maldon.objectstore.books.shipping import take
from maldon.objectstore.books.syncing import merge_replica, standing
from maldon.objectstore.books.together import Together
from maldon.objectstore.node import (
    Book,
    BookNode,
    Home,
    Listing,
    NoSpace,
    Preamble,
    Query,
    Range,
    Row,
    Shipment,
    Spot,
    Standing,
)
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Place, Placing
from maldon.objectstore.proxy.quorum import BROKEN
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.timestamp import stamp

MOST = 1000  # ways to shards that are remembered
CLOSED_S = 0.005  # a range is closed for a moment only
T = TypeVar("T")


class Books:
    """A node.BookNode."""

    def __init__(self, shelves: Mapping[str, Shelf], placing: Placing) -> None:
        self.shelves, self.placing = shelves, placing
        self._relays: dict[tuple[Spot, Path, str], Together[Row, None]] = {}

    def shelf(self, spot: Spot) -> Shelf:
        found = self.shelves.get(spot.device)
        if found is None:
            raise NoSpace("The disk is not mounted.", internal=f"there is no disk {spot.device!r}")
        return found

    def close(self) -> None:
        for shelf in self.shelves.values():
            shelf.close()

    async def identify_books(self, spot: Spot) -> str:
        return self.shelf(spot).identity()

    async def put_book(
        self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str], policy: int | None = None
    ) -> bool:
        return await self.shelf(spot).put_book(spot.partition, path, timestamp, headers, policy)

    async def post_book(self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str]) -> bool:
        return await self.shelf(spot).post_book(spot.partition, path, timestamp, headers)

    async def head_book(self, spot: Spot, path: Path) -> Book | None:
        return await self.shelf(spot).head_book(spot.partition, path)

    async def read_ranges(self, spot: Spot, path: Path) -> list[Range]:
        return await self.shelf(spot).read_ranges(spot.partition, path)

    async def update_ranges(self, spot: Spot, path: Path, ranges: Sequence[Range]) -> bool:
        return await self.shelf(spot).update_ranges(spot.partition, path, ranges)

    async def compare_book(self, spot: Spot, path: Path, made: str) -> Standing | None:
        return await self.shelf(spot).read((spot.partition, path), partial(standing, made=made))

    async def merge_book(
        self, spot: Spot, path: Path, made: str, upto: int, preamble: Preamble, rows: Sequence[Row]
    ) -> bool:
        merge = partial(merge_replica, made=made, upto=upto, told=preamble, rows=rows)
        return await self.shelf(spot).write((spot.partition, path), lambda db: merge(db) or True) or False

    async def take_book(self, spot: Spot, path: Path, shipment: Shipment, body: bytes | AsyncIterator[bytes]) -> bool:
        return await take(self.shelf(spot), (spot.partition, path), shipment, body)

    async def list_json(self, spot: Spot, path: Path, query: Query) -> Listing | None:
        shelf = self.shelf(spot)
        found = await shelf.list_json(spot.partition, path, query)
        if found is None or not found.book.sharded:
            return found
        page = Page(query)
        ranges = await shelf.read((spot.partition, path), lambda db: db.ranges)
        for segment in segments(ranges or NONE, query):
            narrowed = None if page.full else page.narrowed(segment)
            if narrowed is None:
                continue
            if segment.shard is None:
                listing = await shelf.list_json(spot.partition, path, narrowed)
            else:
                listing = await self._list_shard(spot, path, segment.shard, narrowed)
            if listing is not None:
                page.add(listing)
        return Listing(found.book, page.count, page.json())

    async def delete_book(self, spot: Spot, path: Path, timestamp: int) -> Book | None:
        await self.count_shards(spot, path)
        return await self.shelf(spot).delete_book(spot.partition, path, timestamp)

    async def update_book(self, spot: Spot, path: Path, rows: Sequence[Row]) -> bool:
        shelf = self.shelf(spot)
        deadline = 0.0
        while True:
            try:
                return await shelf.update_book(spot.partition, path, rows)
            except Elsewhere as elsewhere:
                rows = await self._pass_on(spot, path, elsewhere.away)
            if not rows:
                return True
            now = time.monotonic()
            deadline = deadline or now + shelf.settings.patience_s
            if now > deadline:
                raise Unavailable("The container is being sharded; try again.", internal=str(path))
            await asyncio.sleep(CLOSED_S)

    async def count_shards(self, spot: Spot, path: Path) -> None:
        """Have the totals of a sharded container be those of this moment."""
        counted = []
        for one in Ranges(await self.read_ranges(spot, path)).living:
            if one.home is Home.SHARD:
                shard = shard_path(path, one.shard)
                book = await self._ask_shard(spot, path, shard, partial(_head, path=shard))
                if book is not None:
                    counted.append(measured(one, book))
        if counted:
            await self.update_ranges(spot, path, counted)

    async def _pass_on(self, spot: Spot, path: Path, away: Away) -> list[Row]:
        """Tell the shards; the rows of ranges that are closed for the moment come back."""
        again: list[Row] = []
        for one, theirs in away.items():
            if one.home is Home.SHARD:
                await self._relay(spot, path, one.shard)(theirs)
            else:
                again += theirs
        return again

    def _relay(self, spot: Spot, path: Path, shard: str) -> Together[Row, None]:
        """What is on its way from a root to a shard: what comes meanwhile goes together."""
        key = (spot, path, shard)
        relay = self._relays.get(key)
        if relay is None:
            for other in (
                [one for one, theirs in self._relays.items() if theirs.idle] if len(self._relays) > MOST else ()
            ):
                del self._relays[other]
            relay = self._relays[key] = Together(partial(self._tell_shard, spot, path, shard_path(path, shard)))
        return relay

    async def _tell_shard(self, spot: Spot, path: Path, shard: Path, rows: list[Row]) -> None:
        async def told(node: BookNode, at: Spot) -> bool | None:
            return await node.update_book(at, shard, rows) or None

        if await self._ask_shard(spot, path, shard, told) is None:
            raise Unavailable("A shard of the container cannot be reached; try again.", internal=str(shard))

    async def _list_shard(self, spot: Spot, path: Path, shard: str, query: Query) -> Listing | None:
        where = shard_path(path, shard)
        return await self._ask_shard(spot, path, where, lambda node, at: node.list_json(at, where, query))

    async def _ask_shard(
        self, spot: Spot, path: Path, shard: Path, verb: Callable[[BookNode, Spot], Awaitable[T | None]]
    ) -> T | None:
        """The first answer of a disk that knows the shard; None when none does. Raises Unavailable."""
        last: Exception | None = None
        placing = self.placing
        place = placing.book(shard)
        for device in _beside(placing, (spot, path), place):
            try:
                found = await verb(placing.nodes.at(device.address), place.spot(device))
            except BROKEN as error:
                placing.patience.failed(device, error)
                last = error
                continue
            if found is not None:
                return found
        if last is not None:
            raise Unavailable("A shard of the container cannot be reached; try again.", internal=str(shard)) from last
        return None


def measured(one: Range, book: Book) -> Range:
    """A range as its shard counts it now."""
    return msgspec.structs.replace(one, objects=book.objects, size=book.size, measured_at=stamp())


def _head(node: BookNode, at: Spot, path: Path) -> Awaitable[Book | None]:
    return node.head_book(at, path)


def _beside(placing: Placing, root: tuple[Spot, Path], place: Place) -> list[RingDevice]:
    """A shard's disks, that of this replica's number first."""
    if len(place.primaries) == 1:
        return list(place.primaries)
    own = (placing.nodes.here, root[0].device)
    roots = [(device.address, device.device) for device in placing.book(root[1]).primaries]
    first = roots.index(own) % len(place.primaries) if own in roots else 0
    return [*place.primaries[first:], *place.primaries[:first]]
