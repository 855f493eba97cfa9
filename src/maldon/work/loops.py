"""Loops: `once` again and again, woken for speed, timed for certainty.

A loop takes no input: it reads the world anew each time, so that a restart is nothing special. What `once` raises is
logged and the loop goes on after a pause.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from maldon.work.runner import Runner
from maldon.work.sagas import TOPIC
from maldon.work.wakes import Wakes, sleep

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop: what it does, how often at least, and the topics that wake it."""

    name: str
    once: Callable[[], Awaitable[object]]
    interval_s: float
    topics: tuple[str, ...] = ()


async def run_loop(loop: Loop, wakes: Wakes) -> None:
    """Run a loop until cancelled."""
    with wakes.listening(*loop.topics) as event:
        while True:
            event.clear()  # before the work, so that a wake during it is kept
            pause = loop.interval_s
            try:
                await loop.once()
            except Exception:
                log.exception("loop failed, goes on", loop=loop.name)
                pause = min(pause, 5.0)
            await sleep(event, pause)


async def run_worker(runner: Runner, wakes: Wakes) -> None:
    """Advance operations until cancelled: at once when woken, else when the next one is due."""
    with wakes.listening(TOPIC) as event:
        while True:
            event.clear()
            try:
                await runner.once()
                pause = 0.0 if event.is_set() else await runner.next_due_s()
            except Exception:
                log.exception("worker failed, goes on")
                pause = 1.0
            await sleep(event, min(pause, 5.0))
