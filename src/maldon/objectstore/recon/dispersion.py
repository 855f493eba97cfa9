"""Whether copies are where they should be, measured: containers and objects that lie in a part of all partitions.

`populate` writes them, through the proxy's own core, so that a policy's objects are as it keeps them. `report` asks
each primary of each by itself, and counts. Which names fall into which partition follows from the rings, so nothing
need be remembered in between.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from maldon.objectstore.middleware.layer import Handler
from maldon.objectstore.node import Book, Record
from maldon.objectstore.path import Path
from maldon.objectstore.policies import Policy
from maldon.objectstore.proxy.placing import Node, Place, Placing
from maldon.objectstore.proxy.quorum import BROKEN
from maldon.objectstore.proxy.request import Given, ObjectRequest
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.ring import Ring

ACCOUNT = ".dispersion"
AT_ONCE = 50
BODY = b"dispersion"


@dataclass
class Tally:
    """Of one ring. `missing` counts things by how many of their copies are not where they should be."""

    partitions: int
    things: int = 0
    copies_expected: int = 0
    copies_found: int = 0
    missing: Counter[int] = field(default_factory=Counter)
    unreached: Counter[str] = field(default_factory=Counter)

    @property
    def percent(self) -> float:
        return 100 * self.copies_found / self.copies_expected if self.copies_expected else 0.0


class Dispersion:
    """`coverage` is how many percent of the partitions of each ring have one of the things."""

    def __init__(self, placing: Placing, coverage: float) -> None:
        self._placing, self._coverage = placing, coverage
        self._room = asyncio.Semaphore(AT_ONCE)

    def containers(self) -> list[Path]:
        """Those that lie in partitions of the container ring."""
        ring = self._placing.book(Path(ACCOUNT, "c")).ring
        return list(_covering(ring, self._coverage, lambda n: Path(ACCOUNT, f"c{n}")))

    def objects(self, policy: Policy) -> list[Path]:
        """Those that lie in partitions of a policy's ring."""
        name = _container_of(policy)
        ring = self._placing.objects(policy.index)
        return list(_covering(ring, self._coverage, lambda n: Path(ACCOUNT, name, f"o{n}")))

    async def populate(self, core: Handler, policies: Sequence[Policy]) -> int:
        """Write them; how many things there are. Raises CloudError."""
        await asyncio.gather(*(self._put(core, path, {}) for path in self.containers()))
        count = len(self.containers())
        for policy in policies:
            home = Path(ACCOUNT, _container_of(policy))
            await self._put(core, home, {"x-storage-policy": policy.name})
            paths = self.objects(policy)
            await asyncio.gather(*(self._put(core, path, {"content-type": "text/plain"}, BODY) for path in paths))
            count += len(paths)
        return count

    async def _put(self, core: Handler, path: Path, headers: dict[str, str], body: bytes = b"") -> None:
        request = ObjectRequest("PUT", f"/v1{path}", headers, "", Given(body))
        request.trusted = True
        async with self._room:
            await core(request)

    async def report_containers(self) -> Tally:
        """Where the containers are."""

        async def there(node: Node, place: Place, device: RingDevice, path: Path) -> bool:
            book: Book | None = await node.head_book(place.spot(device), path)
            return book is not None and not book.deleted

        return await self._report([(path, self._placing.book(path)) for path in self.containers()], there)

    async def report_objects(self, policy: Policy) -> Tally:
        """Where the objects of a policy are."""

        async def there(node: Node, place: Place, device: RingDevice, path: Path) -> bool:
            record: Record | None = await node.head_object(place.spot(device), path)
            return record is not None and not record.deleted

        paths = self.objects(policy)
        return await self._report([(path, self._placing.object(path, policy.index)) for path in paths], there)

    async def _report(self, things: Sequence[tuple[Path, Place]], there: "There") -> Tally:
        tally = Tally(things[0][1].ring.partitions if things else 0)
        await asyncio.gather(*(self._count(tally, path, place, there) for path, place in things))
        return tally

    async def _count(self, tally: Tally, path: Path, place: Place, there: "There") -> None:
        found = 0
        for device in place.primaries:
            async with self._room:
                try:
                    found += await there(self._placing.nodes.at(device.address), place, device, path)
                except BROKEN:
                    tally.unreached[f"{device.address}/{device.device}"] += 1
        tally.things += 1
        tally.copies_expected += len(place.primaries)
        tally.copies_found += found
        tally.missing[len(place.primaries) - found] += 1


There = Callable[[Node, Place, RingDevice, Path], Awaitable[bool]]


def _container_of(policy: Policy) -> str:
    return f"objects-{policy.index}"


def _covering(ring: Ring, coverage: float, named: Callable[[int], Path]) -> Iterator[Path]:
    """Things in so many percent of a ring's partitions, each in another."""
    wanted, seen, number = math.ceil(ring.partitions * coverage / 100), set[int](), 0
    while len(seen) < wanted:
        path = named(number)
        number += 1
        partition = ring.partition(path)
        if partition not in seen:
            seen.add(partition)
            yield path
