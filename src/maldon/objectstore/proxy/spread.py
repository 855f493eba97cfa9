"""One stream of bytes to several replicas: each takes it at its own pace, the slowest that still counts sets the speed.

One that fails before it has taken a byte is replaced by a handoff. One that fails later, or takes nothing for too
long, is dropped: nobody else can have the bytes that are gone, and the replicator makes the rest. When fewer than a
quorum are left, the upload ends with 503.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import structlog

from maldon.objectstore.node import Footer, Record, Spot
from maldon.objectstore.proxy.placing import Node, Place, Placing
from maldon.objectstore.proxy.quorum import BROKEN, Spares, verdict
from maldon.objectstore.ring.device import RingDevice

log = structlog.get_logger("object.quorum")
DEPTH = 8  # pieces that may wait for one replica


class _Cut(Exception):
    """The bytes end here, and not because they are complete."""


_Piece = bytes | Footer | BaseException | None


class _Pipe:
    """The way to one replica."""

    def __init__(self) -> None:
        self.touched = False  # something was taken that nobody else can have
        self._pieces: asyncio.Queue[_Piece] = asyncio.Queue(DEPTH)

    def put_now(self, piece: _Piece) -> bool:
        """Whether there was room."""
        if self._pieces.full():
            return False
        self._pieces.put_nowait(piece)
        return True

    async def put(self, piece: _Piece) -> None:
        await self._pieces.put(piece)

    async def pieces(self) -> AsyncIterator[bytes | Footer]:
        while (piece := await self._pieces.get()) is not None:
            self.touched = True
            if isinstance(piece, BaseException):
                raise piece
            yield piece


Part = Callable[[Node, Spot, int, AsyncIterator[bytes | Footer]], Coroutine[Any, Any, Record]]
"""How one replica is given its stream; the number is the replica's."""


async def alike(body: AsyncIterator[bytes | Footer], count: int) -> AsyncIterator[Sequence[bytes | Footer]]:
    """Every piece for so many replicas."""
    async for piece in body:
        yield (piece,) * count


async def spread(
    placing: Placing, place: Place, bodies: AsyncIterator[Sequence[bytes | Footer]], part: Part
) -> list[Record]:
    """Write it, of every element of `bodies` the piece for each replica; what those that have it hold, a quorum at
    least. Raises as `quorum.say`.
    """
    spares = Spares(placing, place)
    pipes = [_Pipe() for _ in place.primaries]
    tasks = [
        asyncio.create_task(_to_one(placing, place, part, (n, device, pipe), spares), name=f"replica {n}")
        for n, (device, pipe) in enumerate(zip(place.primaries, pipes, strict=True))
    ]
    try:
        if await _feed(placing, place, bodies, list(zip(pipes, tasks, strict=True))):
            await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return verdict(place, tasks)


async def _to_one(
    placing: Placing, place: Place, part: Part, first: tuple[int, RingDevice, _Pipe], spares: Spares
) -> Record:
    """On one primary, or on a handoff as long as no bytes are gone."""
    number, device, pipe = first
    if placing.patience.resting(device):
        device = spares.instead_of(device) or device
    while True:
        try:
            return await part(placing.nodes.at(device.address), place.spot(device), number, pipe.pieces())
        except BROKEN as error:
            placing.patience.failed(device, error)
            log.warning("node failed", address=device.address, device=device.device, error=repr(error))
            following = None if pipe.touched else spares.instead_of(device)
            if following is None:
                raise
            device = following


Way = tuple[_Pipe, "asyncio.Task[Record]"]


async def _feed(
    placing: Placing, place: Place, bodies: AsyncIterator[Sequence[bytes | Footer]], ways: list[Way]
) -> bool:
    """Every piece to every replica that still listens; False when too few do, and the end was not reached."""
    count = len(ways)
    try:
        async for pieces in bodies:
            if not await _give(placing, place, pieces, ways):
                return False
    except BaseException as error:
        await _give(placing, place, [error if isinstance(error, Exception) else _Cut()] * count, ways)
        raise
    return await _give(placing, place, [None] * count, ways)


async def _give(placing: Placing, place: Place, pieces: Sequence[_Piece], ways: list[Way]) -> bool:
    """Hand them over; whether a quorum still listens."""
    for piece, (pipe, task) in zip(pieces, ways, strict=True):
        if not task.done() and not pipe.put_now(piece):
            giving = asyncio.ensure_future(pipe.put(piece))
            await asyncio.wait({giving, task}, return_when=asyncio.FIRST_COMPLETED, timeout=placing.node_timeout_s)
            if not giving.done() and not task.done():
                task.cancel()  # it takes nothing any more
            giving.cancel()
    return sum(not task.done() or _good(task) for _, task in ways) >= place.quorum


def _good(task: "asyncio.Task[Record]") -> bool:
    return not task.cancelled() and task.exception() is None
