"""Where a thing is kept, and which nodes to ask: the rings and nodes of this process.

Nodes of this process' own disks are asked first, others in random order, handoffs last. A disk that gave too many
errors, or said that it is full, is left alone for a while.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, Protocol

from maldon.kernel.errors import Unavailable
from maldon.objectstore.coding.code import Code
from maldon.objectstore.node import BookNode, Busy, NoSpace, ObjectNode, Spot, Teaching
from maldon.objectstore.path import Path
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.ring import Ring
from maldon.objectstore.rings import Rings
from maldon.objectstore.settings import ObjectSettings
from maldon.objectstore.telling import Telling


class Node(ObjectNode, BookNode, Protocol):
    """A storage node, near or far."""


class Nodes(Protocol):
    """The nodes of the cluster by address. `here` is the address of this process' own disks."""

    here: str

    def at(self, address: str) -> Node: ...


class Place(NamedTuple):
    """Where one thing belongs. `primaries` are the devices that should hold it, or one fragment each by its `code`."""

    ring: Ring
    partition: int
    policy: int
    primaries: Sequence[RingDevice]
    code: Code | None = None

    def spot(self, device: RingDevice) -> Spot:
        return Spot(device.device, self.partition, self.policy)

    @property
    def quorum(self) -> int:
        return (len(self.primaries) + 1) // 2 if self.code is None else self.code.quorum


class Patience:
    """Which devices are left alone, and until when."""

    def __init__(self, settings: ObjectSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._rest_s, self._clock = settings.error_limit, settings.error_rest_s, clock
        self._errors: dict[tuple[str, str], tuple[int, float]] = {}

    def failed(self, device: RingDevice, error: BaseException) -> None:
        """Count an error; a disk that is full is left alone at once, one that is busy did nothing wrong."""
        if isinstance(error, Busy):
            return
        key, full = (device.address, device.device), isinstance(error, NoSpace)
        count, _ = self._errors.get(key, (0, 0.0))
        self._errors[key] = (self._most + 1 if full else count + 1, self._clock())

    def worked(self, device: RingDevice) -> None:
        """It answered: what went wrong before is forgiven."""
        if self._errors:
            self._errors.pop((device.address, device.device), None)

    def resting(self, device: RingDevice) -> bool:
        """Whether it is to be left alone."""
        if not self._errors:
            return False
        key = (device.address, device.device)
        count, at = self._errors.get(key, (0, 0.0))
        if count and self._clock() - at >= self._rest_s:
            del self._errors[key]
            return False
        return count > self._most


def _book(ring: Ring, path: Path) -> Place:
    partition = ring.partition(path)
    return Place(ring, partition, 0, ring.nodes(partition))


@lru_cache(maxsize=4096)
def _teachings(ring: Ring, account: str, container: str, addresses: tuple[str, ...]) -> Sequence[Sequence[Teaching]]:
    """See `Placing.teachings`: the same for all objects of a container with replicas there, by one ring."""
    place = _book(ring, Path(account, container))
    teachings = [Teaching(device.address, place.spot(device)) for device in place.primaries]
    told: list[list[Teaching]] = [[] for _ in addresses]
    far = []
    for teaching in teachings:
        near = [some for some, address in zip(told, addresses, strict=True) if address == teaching.address and not some]
        near[0].append(teaching) if near else far.append(teaching)
    for teaching in far:
        min(told, key=len).append(teaching)
    for n, some in enumerate(told):  # whoever has nobody to tell tells somebody a second time
        if not some:
            some.append(teachings[n % len(teachings)])
    return told


class Placing:
    """The rings, and the order in which devices are asked."""

    def __init__(self, rings: Rings, nodes: Nodes, settings: ObjectSettings) -> None:
        self._rings, self.nodes, self.patience, self.telling = rings, nodes, Patience(settings), Telling(nodes)
        self.node_timeout_s = settings.node_timeout_s

    def book(self, path: Path) -> Place:
        """Of an account or a container."""
        return _book(self._rings.container() if path.container else self._rings.account(), path)

    def book_disks(self) -> list[RingDevice]:
        """All disks that accounts and containers are on."""
        rings = (self._rings.account(), self._rings.container())
        found = {(one.address, one.device): one for ring in rings for one in ring.devices.values()}
        return list(found.values())

    def book_rings(self) -> tuple[Ring, Ring]:
        """The rings of accounts and containers, others when anything belongs elsewhere."""
        return self._rings.account(), self._rings.container()

    def object(self, path: Path, policy: int) -> Place:
        ring = self._rings.object(policy)
        partition = ring.partition(path)
        place = Place(ring, partition, policy, ring.nodes(partition), self._rings.code(policy))
        if place.code is not None and place.code.fragments != len(place.primaries):
            raise Unavailable("", internal=f"partition {partition} of policy {policy} has no place for each fragment")
        return place

    def code(self, policy: int) -> Code | None:
        """The erasure code of a storage policy; None for one of whole copies."""
        return self._rings.code(policy)

    def objects(self, policy: int) -> Ring:
        """The ring of a storage policy."""
        return self._rings.object(policy)

    def teachings(self, path: Path, place: Place) -> Sequence[Sequence[Teaching]]:
        """For each of an object's replicas the replicas of the container it has to tell: all are told by somebody, by
        one on the same node if there is one.
        """
        addresses = tuple([device.address for device in place.primaries])
        return _teachings(self._rings.container(), path.account, path.container, addresses)

    def order(self, place: Place) -> list[RingDevice]:
        """The devices to ask for a reading, those that rest left out unless all do."""
        if len(place.primaries) == 1:
            return list(place.primaries)
        devices = list(place.primaries)
        random.shuffle(devices)
        devices.sort(key=lambda device: device.address != self.nodes.here)
        return self.awake(devices) or devices

    def awake(self, devices: Iterable[RingDevice]) -> list[RingDevice]:
        return [device for device in devices if not self.patience.resting(device)]

    def handoffs(self, place: Place) -> Iterator[RingDevice]:
        """As many handoffs as there are primaries."""
        return islice((one for one in self.spares(place) if not self.patience.resting(one)), len(place.primaries))

    def spares(self, place: Place) -> list[RingDevice]:
        """All other disks in the order in which they are used, of each node one before the others."""
        before: Counter[str] = Counter()
        ranked = []
        for one in place.ring.handoffs(place.partition):
            ranked.append((before[one.address], one))
            before[one.address] += 1
        return [one for _, one in sorted(ranked, key=itemgetter(0))]
