"""Saying the same thing to all replicas, and believing what enough of them say.

A write is made on every primary at once; for one that fails a handoff takes its place. It is done when half of the
replicas, rounded up, have it on stable storage; those still at it get half a second more, and the replicator sees to
the rest. With one replica there is nothing to agree on, and the verb is simply awaited.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import structlog

from maldon.kernel.errors import CloudError, Unavailable
from maldon.objectstore.node import NoSpace, Spot, Superseded
from maldon.objectstore.proxy.placing import Node, Place, Placing
from maldon.objectstore.ring.device import RingDevice

log = structlog.get_logger("object.quorum")
T = TypeVar("T")
Verb = Callable[[Node, Spot, int], Awaitable[T]]
"""What is said to a node; the last argument is the number of the replica."""
AFTERWARDS_S = 0.5
BROKEN = (Unavailable, NoSpace, OSError, TimeoutError)
SHORT = "The server is currently unavailable. Please try again at a later time."


async def say(placing: Placing, place: Place, verb: Verb[T]) -> list[T]:
    """What those that heard it answered, a quorum at least. Raises Superseded, NoSpace, Unavailable, what they say."""
    if len(place.primaries) == 1:
        device = place.primaries[0]
        try:
            return [await verb(placing.nodes.at(device.address), place.spot(device), 0)]
        except (OSError, TimeoutError) as error:
            raise Unavailable(SHORT, internal=f"{device.address}/{device.device}: {error!r}") from error
    return await _all(placing, place, verb)


async def _all(placing: Placing, place: Place, verb: Verb[T]) -> list[T]:
    handoffs = placing.handoffs(place)
    tasks = [
        asyncio.create_task(_one(placing, place, verb, (device, n), handoffs), name=f"replica {n}")
        for n, device in enumerate(place.primaries)
    ]
    return await agreed(place, tasks)


async def agreed(place: Place, tasks: list[asyncio.Task[T]]) -> list[T]:
    """What the replicas asked by these tasks answer: a quorum, and those that are not much slower."""
    try:
        pending: set[asyncio.Task[T]] = set(tasks)
        while pending and _answered(tasks) < place.quorum:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            await asyncio.wait(pending, timeout=AFTERWARDS_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return verdict(place, tasks)


def _answered(tasks: list[asyncio.Task[T]]) -> int:
    return sum(task.done() and task.exception() is None for task in tasks)


def verdict(place: Place, tasks: list[asyncio.Task[T]]) -> list[T]:
    good = [task.result() for task in tasks if not task.cancelled() and task.exception() is None]
    if len(good) >= place.quorum:
        return good
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    said = [error for error in errors if isinstance(error, CloudError) and not isinstance(error, BROKEN)]
    if newer := [error for error in said if isinstance(error, Superseded)]:
        raise max(newer, key=lambda error: error.held)
    if said and len(said) + len(good) >= place.quorum:
        raise said[0]
    if errors and all(isinstance(error, NoSpace) for error in errors):
        raise errors[0]
    for error in errors:
        if not isinstance(error, CloudError | OSError | TimeoutError):
            raise error
    raise Unavailable(SHORT, internal=f"{len(good)} of {len(place.primaries)}, quorum {place.quorum}: {errors!r}")


async def _one(
    placing: Placing, place: Place, verb: Verb[T], first: tuple[RingDevice, int], handoffs: Iterator[RingDevice]
) -> T:
    """On one primary, or on whichever handoff can instead."""
    device, number = first
    last: BaseException | None = None
    while True:
        if not placing.patience.resting(device):
            try:
                return await verb(placing.nodes.at(device.address), place.spot(device), number)
            except BROKEN as error:
                placing.patience.failed(device, full=isinstance(error, NoSpace))
                log.warning("node failed", address=device.address, device=device.device, error=repr(error))
                last = error
        following = next(handoffs, None)
        if following is None:
            raise last or Unavailable(SHORT, internal="every device rests")
        device = following


async def ask(
    placing: Placing, place: Place, verb: Verb[T | None], good: Callable[[T], bool] | None = None
) -> T | None:
    """The first answer of one that knows, primaries before handoffs; None when none knows. Raises Unavailable when
    too many could not be asked to say that.
    """
    if len(place.primaries) == 1:
        return (await say(placing, place, verb))[0]
    failed, fallback = 0, None
    for n, device in enumerate([*placing.order(place), *placing.handoffs(place)]):
        try:
            found = await verb(placing.nodes.at(device.address), place.spot(device), n)
        except BROKEN as error:
            placing.patience.failed(device, full=isinstance(error, NoSpace))
            log.warning("node failed", address=device.address, device=device.device, error=repr(error))
            failed += 1
            continue
        if found is not None and (good is None or good(found)):
            return found
        fallback = found if fallback is None else fallback
    if failed > len(place.primaries) - place.quorum and fallback is None:
        raise Unavailable(SHORT, internal=f"{failed} devices could not be asked")
    return fallback


async def ask_all(placing: Placing, place: Place, verb: Verb[T | None]) -> list[T]:
    """Every answer of the primaries: for whoever wants the newest. Raises Unavailable when none can be asked."""
    if len(place.primaries) == 1:
        return [found for found in await say(placing, place, verb) if found is not None]
    devices = placing.order(place)
    calls = (verb(placing.nodes.at(device.address), place.spot(device), n) for n, device in enumerate(devices))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for device, answer in zip(devices, answers, strict=True):
        if isinstance(answer, BROKEN):
            placing.patience.failed(device, full=isinstance(answer, NoSpace))
        elif isinstance(answer, BaseException):
            raise answer
    if all(isinstance(answer, BaseException) for answer in answers):
        raise Unavailable(SHORT, internal=f"none of {len(devices)} devices could be asked")
    return [answer for answer in answers if answer is not None and not isinstance(answer, BaseException)]
