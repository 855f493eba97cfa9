"""Wakes: "look now" for loops in this process and, over the bus, in the others.

Waking sets an event and, where there are other processes, publishes an empty message. A wake may be lost on the way to
another process; loops also run on a timer. A wake during the work is kept: an event is cleared before its work begins.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator

import structlog

from maldon.kernel.ids import new_id
from maldon.ports.bus import Bus, Message

log = structlog.get_logger()
PREFIX = "wake."
_COUNTERS = 4096


class Heard:
    """How often topics were heard: the same number twice means that nothing was heard between.

    Topics share a fixed number of counters, so that they may be as many as there are things in the cloud: now and then
    somebody looks again for nothing.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: list[int] | None = None) -> None:
        self._counts = counts or [0] * _COUNTERS

    def of(self, topic: str) -> int:
        """The topic's number."""
        return self._counts[hash(topic) % _COUNTERS]

    def hear(self, topic: str) -> None:
        """Once more."""
        self._counts[hash(topic) % _COUNTERS] += 1

    def copy(self) -> "Heard":
        """The numbers as they are now."""
        return Heard(self._counts.copy())


class Wakes:
    """Who sleeps on which topic."""

    def __init__(self, bus: Bus | None = None) -> None:
        self._bus = bus
        self._sleepers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._outgoing: set[str] = set()
        self.heard = Heard()
        self._some = asyncio.Event()
        self._me = new_id().encode()

    def wake(self, topic: str) -> None:
        """Wake everybody on `topic`, here at once and elsewhere soon. Never fails, never waits."""
        self._set(topic)
        if self._bus is not None:
            self._outgoing.add(topic)
            self._some.set()

    def _set(self, topic: str) -> None:
        self.heard.hear(topic)
        for event in self._sleepers.get(topic, ()):
            event.set()

    @contextlib.contextmanager
    def listening(self, *topics: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever one of the topics is woken; the sleeper clears it."""
        event = asyncio.Event()
        for topic in topics:
            self._sleepers[topic].add(event)
        try:
            yield event
        finally:
            for topic in topics:
                self._sleepers[topic].discard(event)
                if not self._sleepers[topic]:
                    del self._sleepers[topic]

    async def forward(self) -> None:
        """Carry wakes to the bus, until cancelled."""
        while self._bus is not None:
            await self._some.wait()
            self._some.clear()
            topics, self._outgoing = self._outgoing, set()
            for topic in topics:
                try:
                    await self._bus.publish(Message(PREFIX + topic, self._me))
                except OSError as error:
                    log.warning("wake lost", topic=topic, why=str(error))

    async def receive(self) -> None:
        """Take wakes of other processes from the bus, until cancelled."""
        if self._bus is None:
            return
        async with self._bus.subscribe(PREFIX + "#") as messages:
            async for message in messages:
                if message.body != self._me:
                    self._set(message.topic.removeprefix(PREFIX))


async def sleep_until(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event or the time, whichever comes first; whether it was the event, which stays set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def sleep(event: asyncio.Event, seconds: float) -> bool:
    """Like `sleep_until`, and clear the event."""
    woken = await sleep_until(event, seconds)
    if woken:
        event.clear()
    return woken
