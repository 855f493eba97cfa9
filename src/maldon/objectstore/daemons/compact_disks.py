"""Gives back the room of what was replaced and deleted, and takes in what a process of this node left when it died."""

import asyncio
from collections.abc import Mapping

from maldon.objectstore.device.compact import Compactor
from maldon.objectstore.device.device import Device


class CompactDisks:
    """A loop over the disks of a node."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self._devices = list(devices.values())
        self._compactors = [Compactor(device) for device in devices.values()]

    async def once(self) -> int:
        """Of the disks where it is due; how many segments went away."""
        return sum([await compactor.when_due() for compactor in self._compactors])

    async def take_in(self) -> int:
        """Records of processes that died; how many."""
        return sum([await asyncio.to_thread(device.take_in) for device in self._devices])
