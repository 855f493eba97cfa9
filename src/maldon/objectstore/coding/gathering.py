"""Chunks of one version from as many disks as its code needs, a segment at a time.

Fragments of the data are preferred: they give the segment by being put together. A disk that fails, has lost its
fragment or finds it damaged is replaced by one with another fragment, from that segment on; whoever reads does not
notice. When there are too few it raises Unavailable.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import NamedTuple

import structlog

from maldon.kernel.errors import Unavailable
from maldon.objectstore.coding.code import Code
from maldon.objectstore.coding.looking import ANSWER_S, holders
from maldon.objectstore.node import Reading
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Place, Placing
from maldon.objectstore.proxy.quorum import BROKEN, SHORT
from maldon.objectstore.ring.device import RingDevice

log = structlog.get_logger("object.coding")
SLOW_S = 2.0


class Wanted(NamedTuple):
    """Which bytes of the archives of which version: from `start` to `stop`."""

    path: Path
    place: Place
    timestamp: int
    start: int
    stop: int


class Source:
    """One fragment on one disk, read from front to back."""

    def __init__(self, device: RingDevice, reading: Reading) -> None:
        self.device, self.record, self._body = device, reading.record, reading.body
        self._rest: list[memoryview] = [memoryview(reading.body)] if isinstance(reading.body, bytes) else []

    async def take(self, size: int) -> bytes:
        """Exactly so many bytes. Raises Unavailable where there are fewer."""
        have = sum(map(len, self._rest))
        while have < size:
            piece = memoryview(await self._next())
            self._rest.append(piece)
            have += len(piece)
        last = self._rest.pop() if self._rest else memoryview(b"")
        left = have - size
        taken = b"".join((*self._rest, last[: len(last) - left]))
        self._rest = [last[len(last) - left :]] if left else []
        return taken

    async def _next(self) -> bytes:
        if isinstance(self._body, bytes):
            raise Unavailable("", internal="a fragment is shorter than its object says")
        try:
            return await anext(self._body)
        except StopAsyncIteration:
            raise Unavailable("", internal="a fragment is shorter than its object says") from None

    async def close(self, *, complete: bool = False) -> None:
        """Let go of it; of one that was read to its end so that its connection can be used again."""
        if isinstance(self._body, bytes):
            return
        if complete:
            with contextlib.suppress(StopAsyncIteration, *BROKEN):
                await anext(self._body)
        if close := getattr(self._body, "aclose", None):
            await close()


class Gathering:
    """`known` are the disks by fragment, as far as they are; `without` is a fragment that is not wanted, `opened` are
    those that are being read already.
    """

    def __init__(
        self,
        placing: Placing,
        code: Code,
        wanted: Wanted,
        known: Mapping[int, Sequence[RingDevice]],
        *,
        without: int = -1,
        opened: Mapping[int, Source] | None = None,
    ) -> None:
        self._placing, self._code, self._wanted = placing, code, wanted
        self._without, self._left = without, [one for one in _in_turn(known) if one[0] != without]
        self._tried: set[tuple[int, RingDevice]] = set()
        self._searched = False
        self._sources = dict(opened or {})
        self._at = wanted.start

    async def chunks(self, size: int) -> list[bytes]:
        """The next chunk of so many bytes of each of `needed` fragments. Raises Unavailable."""
        taken: dict[int, bytes] = {}
        while len(taken) < self._code.needed:
            await self._open(self._code.needed - len(self._sources))
            taken |= await self._take_all(size, set(self._sources) - set(taken))
        self._at += size
        return [taken[n] for n in sorted(taken)]

    async def _take_all(self, size: int, fragments: Collection[int]) -> dict[int, bytes]:
        """What comes of these fragments. Those that let others wait are given up, if there are others to be had."""
        tasks = {n: asyncio.create_task(self._sources[n].take(size), name=f"fragment {n}") for n in fragments}
        try:
            done, slow = await asyncio.wait(tasks.values(), timeout=SLOW_S)
            if slow and done and not self._searched:
                await self._search()
            if slow and len({n for n, _ in self._left} - set(self._sources)) < len(slow):
                await asyncio.wait(slow)
            return await self._came(tasks)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _came(self, tasks: Mapping[int, "asyncio.Task[bytes]"]) -> dict[int, bytes]:
        came = {}
        for n, task in tasks.items():
            error = task.exception() if task.done() else TimeoutError()
            if error is None:
                came[n] = task.result()
            elif isinstance(error, BROKEN):
                self._failed(self._sources[n].device, error)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await self._sources.pop(n).close()
            else:
                raise error
        return came

    async def _open(self, count: int) -> None:
        """So many more sources, of fragments that there is none of yet."""
        while count > 0:
            chosen = self._choose(count)
            if not chosen and not self._searched:
                await self._search()
                continue
            if not chosen:
                wanted = self._wanted
                raise Unavailable(SHORT, internal=f"{wanted.path}: too few fragments of {wanted.timestamp} can be read")
            opened = await asyncio.gather(*(self._begin(*one) for one in chosen))
            for (fragment, device), reading in zip(chosen, opened, strict=True):
                if reading is not None:
                    self._sources[fragment] = Source(device, reading)
                    count -= 1

    def _choose(self, count: int) -> list[tuple[int, RingDevice]]:
        """The next to be tried, each with another fragment."""
        chosen: dict[int, RingDevice] = {}
        for fragment, device in self._left:
            if len(chosen) < count and fragment not in self._sources:
                chosen.setdefault(fragment, device)
        self._left = [one for one in self._left if one not in chosen.items()]
        self._tried.update(chosen.items())
        return list(chosen.items())

    async def _search(self) -> None:
        """Ask everybody: when the version was looked up, those that answered first were enough."""
        self._searched = True
        path, place, timestamp, *_ = self._wanted
        found = _in_turn(await holders(self._placing, place, path, timestamp))
        self._left = [one for one in found if one not in self._tried and one[0] != self._without]

    async def _begin(self, fragment: int, device: RingDevice) -> Reading | None:
        path, place, timestamp, _, stop = self._wanted
        node = self._placing.nodes.at(device.address)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await node.read_object(place.spot(device), path, self._at, stop, (fragment, timestamp))
        except BROKEN as error:
            self._failed(device, error)
            return None

    def _failed(self, device: RingDevice, error: BaseException) -> None:
        self._placing.patience.failed(device, error)
        log.warning("fragment not read", address=device.address, device=device.device, error=repr(error))

    async def close(self) -> None:
        sources, self._sources = list(self._sources.values()), {}
        for source in sources:
            await source.close(complete=self._at >= self._wanted.stop)


def _in_turn(known: Mapping[int, Sequence[RingDevice]]) -> list[tuple[int, RingDevice]]:
    """Every holder of every fragment, the first of each before the second of any."""
    ranked = [(turn, n, device) for n, devices in known.items() for turn, device in enumerate(devices)]
    return [(n, device) for _, n, device in sorted(ranked, key=lambda one: one[:2])]


async def ahead(gathering: Gathering, sizes: Sequence[int]) -> AsyncGenerator[list[bytes], None]:
    """The chunks of each size, the next ones under way while whoever reads is busy with these. Closes the gathering."""
    coming: asyncio.Task[list[bytes]] | None = None
    try:
        for n in range(len(sizes)):
            chunks = await (coming or gathering.chunks(sizes[n]))
            following = sizes[n + 1 : n + 2]
            coming = asyncio.create_task(gathering.chunks(following[0]), name="next chunks") if following else None
            yield chunks
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await gathering.close()
