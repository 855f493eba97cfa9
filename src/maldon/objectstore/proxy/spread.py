"""One stream of bytes to several replicas: each takes it at its own pace, the slowest that still counts sets the speed.

A replica that fails is dropped, and its handoff cannot have the bytes that are gone: the quorum must come from those
that were there at the beginning, the replicator makes the rest. When fewer than a quorum are left, the upload ends
with 503.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from maldon.objectstore.node import Footer, NoSpace, Record, Spot
from maldon.objectstore.proxy.placing import Node, Place, Placing
from maldon.objectstore.proxy.quorum import BROKEN, verdict
from maldon.objectstore.ring.device import RingDevice

DEPTH = 8  # pieces that may wait for one replica


class _Cut(Exception):
    """The bytes end here, and not because they are complete."""


class _Pipe:
    """The way to one replica."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes | Footer | BaseException | None] = asyncio.Queue(DEPTH)

    async def put(self, piece: bytes | Footer | BaseException | None) -> None:
        await self._pieces.put(piece)

    async def pieces(self) -> AsyncIterator[bytes | Footer]:
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece


Part = Callable[[Node, Spot, int, AsyncIterator[bytes | Footer]], Coroutine[Any, Any, Record]]
"""How one replica is given its stream; the number is the replica's."""


async def spread(placing: Placing, place: Place, body: AsyncIterator[bytes | Footer], part: Part) -> list[Record]:
    """Write it; what those that have it hold, a quorum at least. Raises as `quorum.say`."""
    devices = _chosen(placing, place)
    pipes = [_Pipe() for _ in devices]
    tasks = []
    for n, (device, pipe) in enumerate(zip(devices, pipes, strict=True)):
        call = part(placing.nodes.at(device.address), place.spot(device), n, pipe.pieces())
        tasks.append(asyncio.create_task(_watched(placing, device, call), name=f"replica {n}"))
    try:
        if await _feed(place, body, pipes, tasks):
            await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return verdict(place, tasks)


def _chosen(placing: Placing, place: Place) -> list[RingDevice]:
    """A device for each replica: a handoff where the primary rests."""
    handoffs = placing.handoffs(place)
    return [device if not placing.patience.resting(device) else next(handoffs, device) for device in place.primaries]


async def _watched(placing: Placing, device: RingDevice, call: Coroutine[Any, Any, Record]) -> Record:
    try:
        return await call
    except BROKEN as error:
        placing.patience.failed(device, full=isinstance(error, NoSpace))
        raise


async def _feed(
    place: Place, body: AsyncIterator[bytes | Footer], pipes: list[_Pipe], tasks: "list[asyncio.Task[Record]]"
) -> bool:
    """Every piece to every replica that still listens; False when too few do, and the end was not reached."""
    try:
        async for piece in body:
            if not await _give(place, piece, pipes, tasks):
                return False
    except BaseException as error:
        await _give(place, error if isinstance(error, Exception) else _Cut(), pipes, tasks)
        raise
    return await _give(place, None, pipes, tasks)


async def _give(
    place: Place, piece: bytes | Footer | BaseException | None, pipes: list[_Pipe], tasks: "list[asyncio.Task[Record]]"
) -> bool:
    """Hand it over; whether a quorum still listens."""
    listening = [(pipe, task) for pipe, task in zip(pipes, tasks, strict=True) if not task.done()]
    for pipe, task in listening:
        giving = asyncio.ensure_future(pipe.put(piece))
        await asyncio.wait({giving, task}, return_when=asyncio.FIRST_COMPLETED)
        giving.cancel()
    good = sum(not task.done() or task.exception() is None for task in tasks)
    return good >= place.quorum
