"""A disk as a ring knows it, and the tiers it stands in: region, zone, node, the disk itself."""

from array import array
from typing import TypeAlias

import msgspec

Tier = tuple[int | str, ...]
Column: TypeAlias = "array[int]"  # device ids or hours, one a partition


class RingDevice(msgspec.Struct, frozen=True):
    """`address` is the storage node's host:port; a device of weight 0, or one removed, is to be emptied."""

    id: int
    region: int
    zone: int
    address: str
    device: str
    weight: float
    removed: bool = False

    @property
    def share(self) -> float:
        """The weight it counts with."""
        return 0.0 if self.removed else self.weight

    @property
    def tiers(self) -> tuple[Tier, Tier, Tier, Tier]:
        """From the widest to the disk: two replicas should differ as early in it as they can."""
        return (
            (self.region,),
            (self.region, self.zone),
            (self.region, self.zone, self.address),
            (self.region, self.zone, self.address, self.id),
        )
