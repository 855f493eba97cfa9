"""What every bus driver needs: topics that match patterns, and a bounded mailbox that a subscriber reads.

A subscriber that does not keep up loses the oldest messages. They are hints; whoever acts on the newest reads the
database and finds what the older ones said.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from maldon.ports.bus import Message

MAILBOX_SIZE = 1024
TOPIC_LENGTH = 200
BODY_BYTES = 1024 * 1024


def check(message: Message) -> None:
    """Refuse what not every bus can carry, so that a small cloud shows what a large one would."""
    if not 0 < len(message.topic) <= TOPIC_LENGTH or not message.topic.isascii():
        raise ValueError(f"a topic has 1 to {TOPIC_LENGTH} ASCII characters: {message.topic[:250]!r}")
    if len(message.body) > BODY_BYTES:
        raise ValueError(f"a message has at most {BODY_BYTES} bytes, not {len(message.body)}")


def matches(pattern: str, topic: str) -> bool:
    """Whether a subscription to `pattern` sees `topic`, as the port says."""
    if pattern == "#":
        return True
    return topic.startswith(pattern[:-1]) if pattern.endswith(".#") else topic == pattern


class Mailbox:
    """The messages of one subscription, the newest MAILBOX_SIZE of them. Iterating ends when it is closed and empty."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        self._messages: deque[Message] = deque(maxlen=MAILBOX_SIZE)
        self._changed = asyncio.Event()
        self._closed = False

    def offer(self, message: Message) -> None:
        """Keep the message, if one of the patterns wants it."""
        if any(matches(pattern, message.topic) for pattern in self.patterns):
            self._messages.append(message)
            self._changed.set()

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> "Mailbox":
        return self

    async def __anext__(self) -> Message:
        while not self._messages:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._messages.popleft()
