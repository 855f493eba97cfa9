"""The message bus port: hints between processes.

A message may be lost, doubled or late, and nothing but speed may depend on it: whoever is woken reads the database, and
every loop also runs on a timer. Notifications for the outside world go the same way, from the outbox, at least once.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class Message(msgspec.Struct, frozen=True):
    """A topic (dotted words, at most 200 characters) and a body of at most 1 MiB."""

    topic: str
    body: bytes = b""


class Bus(Protocol):
    """Publish and subscribe. A subscription sees what is published after it was entered."""

    async def publish(self, message: Message) -> None:
        """Hand the message over; returns once the bus has it. Raises OSError when it cannot be reached."""

    def subscribe(self, *patterns: str) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """Messages whose topic equals a pattern; a pattern ending in ".#" takes every topic below it, "#" takes all.

        The iterator outlives a broken connection: it goes on when the bus is back, without what was lost meanwhile.
        """

    async def close(self) -> None: ...
