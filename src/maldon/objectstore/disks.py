"""The disks of a node that are there: opened when they are, while the others serve.

A disk that is absent keeps nobody from the rest; it is looked for again every second, and taken into use when it
comes, as is one that a ring begins to name. One that goes, or becomes another while it is open, must not be used any
more, for what is written to it is nowhere: it is absent from then on. What may be made a disk, `device/mounting.py`
says.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.mounting import mark_of
from maldon.objectstore.node import NoSpace

log = structlog.get_logger("object.storage")
LOOK_S = 1.0
LEAVING_S = 2.0


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
        self._opened: dict[str, tuple[int, contextlib.AsyncExitStack]] = {}

    async def open(self) -> None:
        """Open what is there. Raises NoSpace when nothing is."""
        self._take_up(await self._find())
        if not self.devices:
            raise NoSpace("There is no disk.", internal="; ".join(self.absent.values()))

    async def close(self) -> None:
        async with contextlib.AsyncExitStack() as all_of_them:
            for _, stack in self._opened.values():
                all_of_them.push_async_callback(stack.aclose)
            self._opened.clear()

    async def keep(self, tend: Callable[[], Awaitable[None]]) -> None:
        """Run what `tend` does until cancelled, anew whenever there are more disks, or fewer."""
        while True:
            found, gone = dict[str, Disk](), list[str]()
            async with asyncio.TaskGroup() as group:
                loops = group.create_task(_run(tend), name="loops")
                while not (found or gone):
                    await asyncio.sleep(LOOK_S)  # a disk that comes or goes tells nobody
                    gone = await asyncio.to_thread(self._gone)
                    found = await self._find()
                loops.cancel()
            await self._let_go(gone)
            self._take_up(found)

    def _gone(self) -> list[str]:
        """Those that are not the ones that were opened; in a thread."""
        return [name for name, (mark, _) in self._opened.items() if mark_of(self.devices[name].root) != mark]

    async def _let_go(self, gone: Sequence[str]) -> None:
        leaving = []
        for name in gone:
            log.warning("a disk is gone, or another one", device=name)
            del self.devices[name], self.shelves[name]
            leaving.append(self._opened.pop(name)[1])
        if leaving:
            await asyncio.sleep(LEAVING_S)  # for who is still at it
        for stack in leaving:
            with contextlib.suppress(NoSpace, OSError):  # there is nothing to finish
                await stack.aclose()

    async def _find(self) -> dict[str, Disk]:
        """Those that were not there before."""
        found = {}
        for name in self._wanted():
            if name in self.devices:
                continue
            stack = contextlib.AsyncExitStack()
            try:
                found[name] = await stack.enter_async_context(self._open_disk(name))
                self._opened[name] = found[name].shelf.mark, stack
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
