"""Looks at the disks of a node once in a while, and writes down what there is for whoever asks the node."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from maldon.objectstore.recon.passes import Passes
from maldon.objectstore.recon.stock import DiskState, look

SHARE = 100  # counting every object may take this part of the time


class TakeStock:
    """A loop. `wanted` are the names of the disks that the node should have, below `folder`."""

    def __init__(
        self, folder: Path, wanted: Callable[[], Sequence[str]], reserve_percent: int, passes: Passes,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._folder, self._wanted, self._reserve_percent, self.passes = folder, wanted, reserve_percent, passes
        self._now, self._counted, self._count_at = now, dict[str, int](), 0.0

    async def once(self) -> int:
        """How many disks were seen."""
        begun = self._now()
        count = begun >= self._count_at
        found = {name: await self._look(name, count=count) for name in self._wanted()}
        if count:
            self._count_at = self._now() + SHARE * (self._now() - begun)
        self.passes.seen.disks = found
        self.passes.write()
        return len(found)

    async def _look(self, name: str, *, count: bool) -> DiskState:
        seen = await asyncio.to_thread(look, self._folder / name, self._reserve_percent, count=count)
        self._counted[name] = seen.objects if count else self._counted.get(name, -1)
        return msgspec.structs.replace(seen, objects=self._counted[name])
