"""Many callers, one doing: whoever comes while it is under way waits for the next, with everybody else who came.

The first of those who wait does it for all. If he is cancelled, the second does it again; so the doing must be one that
can be repeated. Its result, or what it raises, is everybody's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Turn(Generic[T, R]):
    __slots__ = ("done", "error", "items", "result")

    def __init__(self) -> None:
        self.items: list[T] = []
        self.done = False
        self.result: R | None = None
        self.error: Exception | None = None


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
        async with self:
            if not turn.done:
                self._next = _Turn()
                try:
                    turn.result = await self._do(turn.items)
                except Exception as error:  # noqa: BLE001 - raised to everybody who waits
                    turn.error = error
                turn.done = True
        if turn.error is not None:
            raise turn.error
        return turn.result  # type: ignore[return-value]

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
