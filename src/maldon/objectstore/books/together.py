"""Many callers, one doing: whoever comes while it is under way waits for the next, with everybody else who came.

The first of those who wait does it for all, and all of them go on in one turn of the loop. If the first is cancelled,
another does it again; so the doing must be one that can be repeated. Its result, or what it raises, is everybody's.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Turn(Generic[T, R]):
    """`waiting` are those who leave it to the first of them: each hears whether it was done, or is theirs to do."""

    __slots__ = ("done", "error", "items", "led", "result", "waiting")

    def __init__(self) -> None:
        self.items: list[T] = []
        self.waiting: deque[asyncio.Future[bool]] = deque()
        self.done = self.led = False
        self.result: R | None = None
        self.error: Exception | None = None

    def tell(self) -> None:
        """Everybody, once it is done; otherwise the next of those who still wait, who is to do it."""
        self.led = False
        while self.waiting:
            follower = self.waiting.popleft()
            if not follower.done():
                follower.set_result(self.done)
                if not self.done:
                    self.led = True
                    return

    async def wait(self) -> bool:
        """Whether it was done; False for whoever has to do it now."""
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.waiting.append(told)
        try:
            return await told
        except asyncio.CancelledError:
            if told.done() and not told.cancelled() and not told.result():
                self.tell()  # it was left to us, and we are gone too
            raise


class Together(Generic[T, R]):
    """`lock` is for whoever must not be among them while he does something else. `idle` when nobody is here."""

    __slots__ = ("_do", "_next", "_users", "lock")

    def __init__(self, do: Callable[[list[T]], Awaitable[R]]) -> None:
        self._do, self._users = do, 0
        self.lock, self._next = asyncio.Lock(), _Turn[T, R]()

    @property
    def idle(self) -> bool:
        return not self._users

    async def __call__(self, items: Iterable[T]) -> R:
        turn = self._next
        turn.items.extend(items)
        self._users += 1
        try:
            if not turn.led or not await turn.wait():
                await self._lead(turn)
        finally:
            self._users -= 1
        if turn.error is not None:
            raise turn.error
        return turn.result  # type: ignore[return-value]

    async def _lead(self, turn: _Turn[T, R]) -> None:
        turn.led = True
        try:
            await asyncio.sleep(0)  # for those who come in the same turn of the loop
            async with self.lock:
                if self._next is turn:
                    self._next = _Turn()
                try:
                    turn.result = await self._do(turn.items)
                except Exception as error:  # noqa: BLE001 - raised to everybody who waits
                    turn.error = error
                turn.done = True
        finally:
            turn.tell()

    async def __aenter__(self) -> None:
        self._users += 1
        try:
            await self.lock.acquire()
        except BaseException:
            self._users -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self.lock.release()
        self._users -= 1
