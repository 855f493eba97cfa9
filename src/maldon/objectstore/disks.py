"""The disks of a node that are there: opened when they are, while the others serve.

A disk that is absent keeps nobody from the rest; it is looked for again every few seconds, and taken into use when it
comes, as is one that a ring begins to name. A directory that is not there is made a disk, and so is a file system that
was just made and mounted; an empty mount point is not, so that nothing is ever written beside a disk.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.opening import format_device
from maldon.objectstore.node import NoSpace

log = structlog.get_logger("object.storage")
LOOK_S = 5.0


class Disk(NamedTuple):
    """An open one: its objects, its books."""

    device: Device
    shelf: Shelf


class Disks:
    """`wanted` are the names of those that the node should have."""

    def __init__(
        self, wanted: Callable[[], Sequence[str]],
        open_disk: Callable[[str], contextlib.AbstractAsyncContextManager[Disk]],
    ) -> None:  # fmt: skip
        self._wanted, self._open_disk = wanted, open_disk
        self.devices: dict[str, Device] = {}
        self.shelves: dict[str, Shelf] = {}
        self.absent: dict[str, str] = {}
        self._stack = contextlib.AsyncExitStack()

    async def open(self) -> None:
        """Open what is there. Raises NoSpace when nothing is."""
        self._take_up(await self._find())
        if not self.devices:
            raise NoSpace("There is no disk.", internal="; ".join(self.absent.values()))

    async def close(self) -> None:
        await self._stack.aclose()

    async def keep(self, tend: Callable[[], Awaitable[None]]) -> None:
        """Run what `tend` does until cancelled, anew whenever there are more disks."""
        while True:
            async with asyncio.TaskGroup() as group:
                loops = group.create_task(_run(tend), name="loops")
                while not (found := await self._find()):  # noqa: ASYNC110 - a disk that comes tells nobody
                    await asyncio.sleep(LOOK_S)
                loops.cancel()
            self._take_up(found)

    async def _find(self) -> dict[str, Disk]:
        """Those that were not there before."""
        found = {}
        for name in self._wanted():
            if name in self.devices:
                continue
            try:
                found[name] = await self._stack.enter_async_context(self._open_disk(name))
            except (NoSpace, OSError) as error:
                if name not in self.absent:
                    log.warning("a disk is not there", device=name, error=repr(error))
                self.absent[name] = f"{name}: {getattr(error, 'internal', '') or error}"
        return found

    def _take_up(self, found: dict[str, Disk]) -> None:
        """Nobody goes through the disks meanwhile."""
        for name, disk in found.items():
            self.devices[name], self.shelves[name] = disk
            self.absent.pop(name, None)
            log.info("a disk is open", device=name)


async def _run(tend: Callable[[], Awaitable[None]]) -> None:
    await tend()


def prepare(root: Path) -> None:
    """Make it a disk, if it is safe to say that it is a new one."""
    if not root.exists():
        root.mkdir(parents=True)
        format_device(root)
    elif os.path.ismount(root) and {one.name for one in root.iterdir()} <= {"lost+found"}:
        format_device(root)
