"""uvicorn's HTTP/1.1 where it is stricter than the clients of these APIs, and where it trusts them too far.

A path with bytes beyond ASCII is percent-encoded before it is parsed: what it means is for the service to say, and the
object store says it with a sentence. A method that HTTP does not know is 405. What follows a request that cannot be
part of it (a body that nobody announced) closes the connection after the answer, instead of cutting the answer off; a
body whose chunks are wrong is answered 400 at once, one in a coding that is not chunks 501, and its request ends as if
the client had gone. The head of a request has a most of bytes (431) and of seconds (408). Whoever is refused before all
was sent is listened to a little longer, so that the answer arrives.

And where it is cheaper: an answer is written as `exchange` has it, and a connection that waits for its next request
has one timer for all of them.
"""

import asyncio
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote_from_bytes, unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from maldon.runtime.bulk import LEAST, Bulk
from maldon.runtime.exchange import Exchange
from maldon.web.request import AT_HAND

_LINE = re.compile(rb"([!-~]+ )(\S*)( HTTP/1\.[01]\r)")
_METHODS = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ", b"PATCH ", b"OPTIONS ", b"COPY ")
_SAFE = "".join(map(chr, range(0x21, 0x7F)))
MOST_HEAD_BYTES = 256 << 10
MOST_URL_BYTES = 65535  # that httptools takes apart
LINGER_S = 5.0


def _said(status: str, sentence: str = "") -> bytes:
    about = "content-type: text/plain\r\n" if sentence else ""
    return (
        f"HTTP/1.1 {status}\r\n{about}content-length: {len(sentence)}\r\nconnection: close\r\n\r\n{sentence}".encode()
    )


_NO_SUCH_METHOD = _said("405 Method Not Allowed")
_TOO_LARGE = _said(
    "431 Request Header Fields Too Large", f"The request line and the headers are more than {MOST_HEAD_BYTES} bytes.\n"
)
_TOO_LONG = _said("414 URI Too Long", f"The address is more than {MOST_URL_BYTES} bytes.\n")
_TOO_SLOW = _said("408 Request Timeout", "The server timed out while waiting for the rest of your request.\n")
_NOT_OFFERED = _said(
    "501 Not Implemented", "Unsupported Transfer-Coding header value specified in Transfer-Encoding header\n"
)
_BAD_BODY = _said("400 Bad Request", "The body is not framed as the headers say: its chunks are not valid.\n")


class Protocol(HttpToolsProtocol):
    """One connection. `head_s` is how long the head of a request may take."""

    def __init__(self, *, head_s: float = 60.0, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._head_s = head_s
        self._head_bytes = 0
        self._late: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        self._method_unknown = self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(self._head_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def data_received(self, data: bytes) -> None:
        cycle = self.cycle
        if self._refused:
            return
        if cycle is not None and cycle.more_body:
            super().data_received(data)
            return
        end = data.find(b"\r") + 1
        line = None if data.startswith(_METHODS) and data[:end].isascii() else _LINE.fullmatch(data, 0, end)
        self._method_unknown = line is not None and not data.startswith(_METHODS)
        if line is not None:
            data = line[1] + quote_from_bytes(line[2], _SAFE).encode() + line[3] + data[end:]
        super().data_received(data)
        if self.cycle is cycle:
            self._wait_for_head(len(data))
            return
        if self._late is not None or self._head_bytes:
            self._in_time()
        if self.cycle.more_body and not self.pipeline and (left := self._still_to_come()) >= LEAST:
            Bulk(self, left)

    def _still_to_come(self) -> int:
        """Bytes of a body whose length is known; else 0."""
        cycle = self.cycle
        if cycle.response_complete or self._refused or self.transport.is_closing():
            return 0
        headers = dict(cycle.scope["headers"])
        length = headers.get(b"content-length", b"")
        return int(length) - len(cycle.body) if length.isdigit() and b"transfer-encoding" not in headers else 0

    def begin_anew(self) -> None:
        """A body was read past the parser: what follows is another request."""
        if self.parser is not None:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.on_message_complete()

    def on_headers_complete(self) -> None:
        scope, parser, before = self.scope, self.parser, self.cycle
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["method"], scope["http_version"] = parser.get_method().decode("ascii"), parser.get_http_version()
        scope["path"], scope["raw_path"] = unquote(path) if "%" in path else path, url.path
        scope["query_string"] = url.query or b""
        keep_alive = scope["http_version"] != "1.0" and parser.should_keep_alive()
        self.cycle = Exchange(
            scope=scope,
            transport=self.transport if keep_alive else _Closing(self),  # type: ignore[arg-type] # as much as is asked for
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        scope["extensions"] = {AT_HAND: self.cycle.at_hand}  # type: ignore[dict-item] # no dict, as no extension of ours is
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_response_complete(self) -> None:
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._close_after(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None  # the timer runs on and sees it

    def is_not_idle(self) -> None:
        """A client that was answered already is still sending: the time it has for its next request begins anew."""
        if self._idle_since is not None:
            self._idle_since = self.loop.time()

    def _close_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        idle = 0.0 if self._idle_since is None else self.loop.time() - self._idle_since
        if idle < self.timeout_keep_alive:
            self._close_after(self.timeout_keep_alive - idle)
        elif not self.transport.is_closing():
            self.transport.close()

    def on_message_complete(self) -> None:
        self.cycle.more_body = False  # also after the answer, or what follows would be taken for more of the body
        self.cycle.message_event.set()

    def _answers(self) -> bool:
        return bool(self.cycle is not None and not self.cycle.response_complete)

    def _wait_for_head(self, more: int) -> None:
        """For the rest of it."""
        self._head_bytes += more
        if self._head_bytes > MOST_HEAD_BYTES:
            self.refuse(b"" if self._answers() else _TOO_LARGE)
        elif self._late is None and not self._answers():
            self._late = self.loop.call_later(self._head_s, self._head_is_late)

    def _head_is_late(self) -> None:
        self.refuse(_TOO_SLOW if self._head_bytes else b"")

    def _in_time(self) -> None:
        self._head_bytes = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def refuse(self, answer: bytes = b"") -> None:
        """Say it, and close once the client has, or has had time to read."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(answer)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_S, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        cycle = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_complete:
            self.refuse(b"" if cycle.response_started or self.pipeline else self._why_bad(cycle.scope["headers"]))
        elif self._answers():
            cycle.keep_alive = False
        elif self._method_unknown:
            self.refuse(_NO_SUCH_METHOD)
        elif len(getattr(self, "url", b"")) > MOST_URL_BYTES:
            self.refuse(_TOO_LONG)
        else:
            super().send_400_response(msg)

    @staticmethod
    def _why_bad(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """A body in a coding that nobody offered was not to be read at all."""
        codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
        return _BAD_BODY if set(codings) <= {b"chunked"} else _NOT_OFFERED


class _Closing:
    """The transport of an answer that ends its connection: what the client still sends does not cut it off."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        transport = protocol.transport
        self.write, self.writelines, self.is_closing = transport.write, transport.writelines, transport.is_closing

    def close(self) -> None:
        if self._protocol.cycle.more_body:
            self._protocol.refuse()
        else:
            self._protocol.transport.close()
