"""The bus of a cloud in one process: a message goes straight into the mailboxes of its subscribers.

It serves one event loop; publishing never waits.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from maldon.drivers.bus.mailbox import Mailbox, check
from maldon.ports.bus import Message


class MemoryBus:
    """See ports.bus. The URL is there because every driver takes one."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self._mailboxes: set[Mailbox] = set()
        self._closed = False

    async def publish(self, message: Message) -> None:
        check(message)
        if self._closed:
            raise ConnectionError("the bus is closed")
        for mailbox in self._mailboxes:
            mailbox.offer(message)

    @asynccontextmanager
    async def subscribe(self, *patterns: str) -> AsyncIterator[AsyncIterator[Message]]:
        mailbox = Mailbox(patterns)
        if self._closed:
            mailbox.close()
        self._mailboxes.add(mailbox)
        try:
            yield mailbox
        finally:
            self._mailboxes.discard(mailbox)

    async def close(self) -> None:
        """Subscriptions end when what they hold is read."""
        self._closed = True
        for mailbox in self._mailboxes:
            mailbox.close()
