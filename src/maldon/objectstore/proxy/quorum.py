"""Saying the same thing to all replicas, and believing what enough of them say.

A write is made on every primary at once; for one that fails a handoff takes its place. It is done when half of the
replicas, rounded up, have it on stable storage; those still at it get half a second more, and the replicator sees to
the rest. With one replica there is nothing to agree on, and the verb is simply awaited.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

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
SLOW_S = 0.5  # after which the next device is asked, too
AT_ONCE = 3
_MOST_SPARES = 2  # for each replica
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
    spares, at = Spares(placing, place), list(place.primaries)
    tasks = [
        asyncio.create_task(_one(placing, place, verb, (at, n), spares), name=f"replica {n}")
        for n in range(len(place.primaries))
    ]
    return await agreed(place, tasks, lambda n: placing.patience.failed(at[n], TimeoutError()))


async def agreed(place: Place, tasks: list[asyncio.Task[T]], late: Callable[[int], None] = lambda _: None) -> list[T]:
    """What the replicas asked by these tasks answer: a quorum, and those that are not much slower; of the others `late`
    is told the number.
    """
    try:
        pending: set[asyncio.Task[T]] = set(tasks)
        while pending and _answered(tasks) < place.quorum:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            await asyncio.wait(pending, timeout=AFTERWARDS_S)
            for n, task in enumerate(tasks):
                if not task.done():
                    late(n)
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


class Spares:
    """Where replicas of one thing go when their own disks fail. No node is given a second one as long as there are as
    many nodes as replicas: what is on one node alone is lost with it.
    """

    def __init__(self, placing: Placing, place: Place) -> None:
        self._placing, self._place = placing, place
        self._left: list[RingDevice] | None = None
        self._tries = _MOST_SPARES * len(place.primaries)
        self._used = {device.address for device in place.primaries}

    def instead_of(self, failed: RingDevice) -> RingDevice | None:
        """Another disk, each once; None when there is none."""
        if self._left is None:
            ring, patience = self._place.ring, self._placing.patience
            self._left = [one for one in self._placing.spares(self._place) if not patience.resting(one)]
            if len({one.address for one in ring.devices.values()}) < len(self._place.primaries):
                self._used = set()
        for one in self._left if self._tries else ():
            if one.address == failed.address or one.address not in self._used:
                self._left.remove(one)
                self._tries -= 1
                if self._used:
                    self._used.add(one.address)
                return one
        return None


async def _one(placing: Placing, place: Place, verb: Verb[T], which: tuple[list[RingDevice], int], spares: Spares) -> T:
    """On one primary, or on whichever handoff can instead."""
    devices, number = which
    last: BaseException | None = None
    while True:
        device = devices[number]
        if not placing.patience.resting(device):
            try:
                found = await verb(placing.nodes.at(device.address), place.spot(device), number)
            except BROKEN as error:
                placing.patience.failed(device, error)
                log.warning("node failed", address=device.address, device=device.device, error=repr(error))
                last = error
            else:
                placing.patience.worked(device)
                return found
        following = spares.instead_of(device)
        if following is None:
            raise last or Unavailable(SHORT, internal="every device rests")
        devices[number] = following


class Living(Generic[T]):
    """What is good in answers of things that can be deleted: one that lives, and is not older than a deletion that was
    seen before. `dates` gives when it was written and when deleted, 0 for never.
    """

    def __init__(self, dates: Callable[[T], tuple[int, int]]) -> None:
        self._dates, self._deleted_at = dates, 0

    def __call__(self, found: T) -> bool:
        written, deleted = self._dates(found)
        self._deleted_at = max(self._deleted_at, deleted)
        return written > self._deleted_at


async def ask(
    placing: Placing, place: Place, verb: Verb[T | None], good: Callable[[T], bool] | None = None
) -> T | None:
    """The first answer of one that knows, primaries before handoffs; None when none knows. Raises Unavailable when
    too many could not be asked to say that.
    """
    if len(place.primaries) == 1:
        return (await say(placing, place, verb))[0]
    failed, fallback = 0, None
    async with aclosing(_in_turn(placing, place, verb)) as answers:
        async for found, broken in answers:
            failed += broken
            if found is not None:
                if good is None or good(found):
                    return found
                fallback = found if fallback is None else fallback
    if failed > len(place.primaries) - place.quorum and fallback is None:
        raise Unavailable(SHORT, internal=f"{failed} devices could not be asked")
    return fallback


async def _in_turn(placing: Placing, place: Place, verb: Verb[T | None]) -> AsyncGenerator[tuple[T | None, bool], None]:
    """What each device answers, and whether it is broken: as those are that rest and are not asked. The next is asked
    when one has answered, or is slow.
    """
    own = placing.order(place)
    for _ in range(len(place.primaries) - len(own)):
        yield None, True
    devices = iter((*own, *placing.handoffs(place)))
    asked: dict[asyncio.Task[T | None], tuple[RingDevice, float]] = {}
    number, more = 0, True
    try:
        while more or asked:
            if more and len(asked) < AT_ONCE and (device := next(devices, None)) is not None:
                call = _called(verb, placing.nodes.at(device.address), place.spot(device), number)
                asked[asyncio.create_task(call, name=f"replica {number}")] = device, time.monotonic()
                number += 1
            else:
                more = more and len(asked) >= AT_ONCE
            if not asked:
                return
            done, _ = await asyncio.wait(asked, timeout=SLOW_S if more else None, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield _answer(placing, asked.pop(task)[0], task)
    finally:
        for task, (device, since) in asked.items():
            if not task.done() and time.monotonic() - since > SLOW_S:
                placing.patience.failed(device, TimeoutError())
            task.cancel()
        for late in await asyncio.gather(*asked, return_exceptions=True):
            await _let_go(late)


async def _called(verb: Verb[T], node: Node, spot: Spot, number: int) -> T:
    return await verb(node, spot, number)


def _answer(placing: Placing, device: RingDevice, task: "asyncio.Task[T | None]") -> tuple[T | None, bool]:
    try:
        found = task.result()
    except BROKEN as error:
        placing.patience.failed(device, error)
        log.warning("node failed", address=device.address, device=device.device, error=repr(error))
        return None, True
    placing.patience.worked(device)
    return found, False


async def _let_go(late: object) -> None:
    """Of a reading that came too late its bytes are not fetched."""
    close = getattr(getattr(late, "body", None), "aclose", None)
    if close is not None:
        await close()


async def ask_all(placing: Placing, place: Place, verb: Verb[T | None], *, beyond: bool = False) -> list[T]:
    """What the primaries answer, for whoever wants the newest; `beyond` them as many handoffs, on which a write may be
    that the primaries missed. Raises Unavailable when so many primaries could not be asked that a write which was
    acknowledged might be known to those alone.
    """
    if len(place.primaries) == 1:
        return [found for found in await say(placing, place, verb) if found is not None]
    own = len(place.primaries)
    devices = [*place.primaries, *(placing.spares(place)[:own] if beyond else ())]
    calls = (verb(placing.nodes.at(device.address), place.spot(device), n) for n, device in enumerate(devices))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for device, answer in zip(devices, answers, strict=True):
        if isinstance(answer, BROKEN):
            placing.patience.failed(device, answer)
        elif isinstance(answer, BaseException):
            raise answer
    failed = sum(isinstance(answer, BaseException) for answer in answers[:own])
    if failed >= place.quorum:
        raise Unavailable(SHORT, internal=f"{failed} of {own} devices could not be asked")
    return [answer for answer in answers if answer is not None and not isinstance(answer, BaseException)]


def heard(place: Place, count: int) -> None:
    """So many of those that answered had the thing to be changed. Raises Unavailable when some had, but no quorum."""
    if 0 < count < place.quorum:
        raise Unavailable(SHORT, internal=f"{count} of {len(place.primaries)} had it, quorum {place.quorum}")
