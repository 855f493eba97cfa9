"""One request and its answer on the wire: uvicorn's, made cheaper where every answer pays.

The head of an answer leaves with the first of its body, by one system call. Its lines are checked together, the names
once for all; framing headers (content-length, transfer-encoding, connection) are looked for in lower case, and other
names stay as they are written, for clients of Swift look for X-Object-Meta-Colour in so many letters. A body that has
come with its head is to be had at once, by the scope's extension AT_HAND.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_NO_NAME = re.compile(rb'[\x00-\x20\x7f()<>@,;:\\\[\]={}"]')
_NO_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BODILESS = (204, 304)


class Exchange(RequestResponseCycle):
    """See the module. What an application sends in the wrong order raises RuntimeError."""

    _head = b""  # of the answer, until something of its body is there
    _bodiless = False

    def at_hand(self) -> bytes | None:
        """The extension AT_HAND."""
        if self.more_body or self.disconnected or self.response_complete or not self.message_event.is_set():
            return None
        body, self.body = bytes(self.body), bytearray()
        self.flow.resume_reading()
        self.message_event.clear()
        return body

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.response_started:
            self._head = self._headed(message["status"], message["headers"])
            self.response_started, self.waiting_for_100_continue = True, False
        elif kind == "http.response.body" and self.response_started and not self.response_complete:
            self._body(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} does not come at this point of an answer.")

    def _headed(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        every = [*self.default_headers, *headers]
        framing = dict(every)
        lines = [_named(name) + value for name, value in every]
        if _NO_VALUE.search(b"".join(lines)):
            raise RuntimeError("A header's value cannot be sent.")
        if (length := framing.get(b"content-length")) is not None:
            self.expected_content_length, self.chunked_encoding = int(length), False
        self._bodiless = self.scope["method"] == "HEAD" or status in _BODILESS
        if length is None and not self._bodiless:
            self.chunked_encoding = True
            if b"transfer-encoding" not in framing:
                lines.append(b"transfer-encoding: chunked")
        if b"close" in framing.get(b"connection", b"").lower():
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close")
        return STATUS_LINE[status] + b"\r\n".join([*lines, b"", b""])

    def _body(self, body: bytes, *, more: bool) -> None:
        head, self._head = self._head, b""
        if self._bodiless:  # a length is that of what a GET, or another GET, would bring
            body, self.expected_content_length = b"", 0
        elif self.chunked_encoding:
            body = b"".join((b"%x\r\n" % len(body), body, b"\r\n")) if body else b""
            if not more:
                body += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("The body is not as long as its Content-Length.")
        self._write(head, body)
        if not more:
            self.response_complete = True
            self.scope.pop("extensions", None)  # it leads back to us, and nobody should have to look for such rings
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _write(self, head: bytes, body: bytes) -> None:
        if len(body) > HIGH_WATER_LIMIT:
            self.transport.writelines((head, body))
        elif head or body:
            self.transport.write(b"".join((head, body)))


@lru_cache(maxsize=4096)
def _named(name: bytes) -> bytes:
    """The beginning of a header's line."""
    if _NO_NAME.search(name):
        raise RuntimeError("A header's name cannot be sent.")
    return name + b": "
