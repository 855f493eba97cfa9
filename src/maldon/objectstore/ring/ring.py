"""A ring as everybody reads it: which disks hold a partition, and who stands in for them.

`nodes` are the partition's own disks, one a replica. `handoffs` are all others, those first that differ from the own
ones in region, then in zone, then in node, in an order that is fixed for a partition but differs between partitions, so
that a lost disk's load falls on many. A ring never changes; a new one takes its place.
"""

import hashlib
from array import array
from collections.abc import Iterator, Sequence

from maldon.objectstore.path import Path, PathHash, partition
from maldon.objectstore.ring.device import Column, RingDevice

NOWHERE = 0xFFFF  # in a table: this replica has no disk yet


class Ring:
    """`table` has a row a replica, each with a device id for every partition; the last may be short."""

    def __init__(
        self, power: int, devices: Sequence[RingDevice], table: Sequence[Column], hashed: PathHash, version: int = 0
    ) -> None:
        self.power, self.version, self.hashed = power, version, hashed
        self.devices = {device.id: device for device in devices}
        self._table = table
        self._nodes: dict[int, list[RingDevice]] = {}

    @property
    def partitions(self) -> int:
        return 1 << self.power

    @property
    def replicas(self) -> int:
        """How many replicas most partitions have."""
        return sum(2 * len(row) > self.partitions for row in self._table)

    def partition(self, path: Path) -> int:
        return partition(self.hashed(path), self.power)

    def nodes(self, part: int) -> list[RingDevice]:
        """The disks that hold it, the same list at every call."""
        found = self._nodes.get(part)
        if found is None:
            ids = [row[part] for row in self._table if part < len(row)]
            found = self._nodes[part] = [self.devices[id_] for id_ in ids if id_ != NOWHERE]
        return found

    def handoffs(self, part: int) -> Iterator[RingDevice]:
        """Every other disk that takes bytes, the farthest from the partition's own first."""
        own = self.nodes(part)
        taken = [{device.tiers[level] for device in own} for level in range(3)]
        others = [device for device in self.devices.values() if device.share > 0 and device not in own]

        def nearness(device: RingDevice) -> tuple[bool, bool, bool, bytes]:
            region, zone, node = (device.tiers[level] in taken[level] for level in range(3))
            return region, zone, node, hashlib.sha1(b"%d %d" % (part, device.id), usedforsecurity=False).digest()

        return iter(sorted(others, key=nearness))

    def holders(self, device_id: int) -> list[int]:
        """The partitions that a disk holds."""
        return sorted({part for row in self._table for part, id_ in enumerate(row) if id_ == device_id})


def single(device: str, address: str, hashed: PathHash, power: int = 6) -> Ring:
    """The ring of one disk and one replica."""
    return Ring(power, [RingDevice(0, 1, 1, address, device, 1.0)], [array("H", bytes(2 << power))], hashed)
