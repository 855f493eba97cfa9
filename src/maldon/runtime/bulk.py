"""The rest of a long body, read straight into a buffer.

A body whose length is known needs no parser once its head is there. `Bulk` takes a connection over from `protocol` for
as many bytes as are still to come, and gives it back: the kernel writes them where the application takes them from. It
is told when a piece is full, when the body ends, and when so little comes that it may want to know. What comes after an
answer, or after a refusal, is read and thrown away.
"""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maldon.runtime.protocol import Protocol

LEAST = 1 << 18  # bytes that are worth it
PIECE = 1 << 20  # bytes that wait for the application, at most
PATIENCE_S = 0.25  # after which it is told of a piece that is not full


class Bulk(asyncio.BufferedProtocol):
    """A connection while `left` bytes of a body come in. What has come already is among what the application gets."""

    def __init__(self, protocol: "Protocol", left: int) -> None:
        self._protocol, self._cycle, self._left = protocol, protocol.cycle, left
        come = self._cycle.body
        self._buffer = memoryview(bytearray(min(len(come) + left, PIECE)))
        self._buffer[: len(come)] = come
        self._cycle.message_event.clear()
        self._told = protocol.loop.time()
        self._show(len(come))
        self._pass_on(self)

    def _pass_on(self, to: asyncio.BaseProtocol) -> None:
        """Whoever reads next: how, is looked at when reading begins."""
        flow, transport = self._protocol.flow, self._protocol.transport
        if not flow.read_paused:
            transport.pause_reading()
        transport.set_protocol(to)
        if not flow.read_paused:
            transport.resume_reading()

    def _show(self, filled: int) -> None:
        """So much of the buffer is there to be taken: whoever takes it puts something else in its place."""
        self._filled = filled
        self._cycle.body = self._shown = self._buffer[:filled]  # type: ignore[assignment] # bytes are made of it

    @property
    def _unwanted(self) -> bool:
        cycle = self._cycle
        return cycle.disconnected or cycle.response_complete

    def get_buffer(self, _sizehint: int) -> memoryview:
        if self._unwanted or self._cycle.body is not self._shown:
            self._filled = 0
        return self._buffer[self._filled : self._filled + self._left]

    def buffer_updated(self, nbytes: int) -> None:
        self._left -= nbytes
        if self._unwanted:
            self._protocol.is_not_idle()
        else:
            self._show(self._filled + nbytes)
            full, now = self._filled == len(self._buffer), self._protocol.loop.time()
            if full:
                self._protocol.flow.pause_reading()
            if full or not self._left or now - self._told > PATIENCE_S:
                self._told = now
                self._cycle.message_event.set()
        if not self._left:
            self._pass_on(self._protocol)
            self._protocol.begin_anew()

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
