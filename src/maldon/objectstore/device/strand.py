"""Jobs of one kind, done one after the other in a thread of the pool, as long as there are any.

Whoever gives them goes on meanwhile, and waits only when too many are left: a thread that is at it takes the next one
without being woken for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Strand(Generic[T]):
    """`do` is called for each job, in order; after one that raises none is done any more."""

    def __init__(self, do: Callable[[T], None]) -> None:
        self._do, self._jobs = do, deque[T]()
        self._loop = asyncio.get_running_loop()
        self._working: asyncio.Future[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._left, self._closed = 0, False

    def give(self, job: T) -> None:
        """One more job."""
        self._jobs.append(job)
        if self._working is None:
            self._work()

    def _work(self) -> None:
        self._working = self._loop.run_in_executor(None, self._drain)
        self._working.add_done_callback(self._stopped)

    def _drain(self) -> None:
        while self._jobs and not self._closed:
            self._do(self._jobs[0])
            self._jobs.popleft()
            if self._waiter is not None and len(self._jobs) <= self._left:
                self._loop.call_soon_threadsafe(self._wake)

    def _stopped(self, working: asyncio.Future[None]) -> None:
        if working.exception() is None:
            self._working = None
            if self._jobs and not self._closed:  # one came when the thread had just looked
                self._work()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def until(self, left: int) -> None:
        """No more than so many jobs are left. Raises what a job raised."""
        while len(self._jobs) > left:
            if self._working is not None and self._working.done():
                self._working.result()
            self._left, self._waiter = left, self._loop.create_future()
            if len(self._jobs) > left:
                await self._waiter
            self._waiter = None

    async def close(self) -> None:
        """Nothing is done any more when this returns; what was not begun never is."""
        self._closed = True
        if self._working is not None and not self._working.done():
            await asyncio.wait([self._working])
