"""uvicorn's HTTP/1.1 where it is stricter than the clients of these APIs.

A path with bytes beyond ASCII is percent-encoded before it is parsed: what it means is for the service to say, and the
object store says it with a sentence. A method that HTTP does not know is 405. What follows a
request that cannot be part of it (a body that nobody announced) closes the connection after the answer, instead of
cutting the answer off.

And where it is cheaper: the head of an answer waits for its body, so that both leave by one system call. It waits until
the end of the loop's turn at most.
"""

import asyncio
import re
from urllib.parse import quote_from_bytes

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LINE = re.compile(rb"([!-~]+ )(\S*)( HTTP/1\.[01]\r)")
_METHODS = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ", b"PATCH ", b"OPTIONS ", b"COPY ")
_NO_SUCH_METHOD = b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_SAFE = "".join(map(chr, range(0x21, 0x7F)))


class _Together:
    """A transport that writes the head of an answer together with what comes next."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading
        self.get_extra_info, self.is_closing = transport.get_extra_info, transport.is_closing

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def _flush(self) -> None:
        if self._head and not self.is_closing():
            self._transport.write(self._head)
        self._head = b""

    def close(self) -> None:
        self._flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """One connection."""

    _method_unknown = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Together(transport, self.loop))  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            end = data.find(b"\r") + 1
            line = None if data.startswith(_METHODS) and data[:end].isascii() else _LINE.fullmatch(data, 0, end)
            self._method_unknown = line is not None and not data.startswith(_METHODS)
            if line is not None:
                data = line[1] + quote_from_bytes(line[2], _SAFE).encode() + line[3] + data[end:]
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._method_unknown:
            self.transport.write(_NO_SUCH_METHOD)
            self.transport.close()
        else:
            super().send_400_response(msg)
