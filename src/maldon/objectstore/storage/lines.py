"""Small calls to another node: HTTP/1.1 over kept connections, and no more of it than two nodes of ours need.

One request at a time on each connection, head and body by one write; the answer has a length and is read whole. A
connection whose call was given up is closed, for its answer would be taken for another's. What is long goes another way
(`remote.py`).
"""

import asyncio
from collections import deque

import httptools

IDLE_S = 60.0  # less than the other side keeps a connection
MOST = 256  # calls at a time to one node


class _Line(asyncio.Protocol):
    """One connection. Its answer is a status and a body."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._pieces: list[bytes] = []
        self.idle_since = 0.0

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def ask(self, request: bytes, seconds: float) -> tuple[int, bytes]:
        """Raises OSError, TimeoutError when nothing more comes for so long."""
        assert self._transport is not None
        self._answer = self._loop.create_future()
        late = self._loop.call_later(seconds, self._end, TimeoutError(f"no answer in {seconds} s"))
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            late.cancel()
            if not self._answer.done() or self._answer.cancelled() or self._answer.exception() is not None:
                self.close()
            self._answer = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _end(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # What comes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # that of a stream

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end(exc if isinstance(exc, OSError) else ConnectionResetError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(ConnectionError(f"no answer that can be read: {error!r}"))
            self.close()

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        body, self._pieces = b"".join(self._pieces), []
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), body))


class Lines:
    """The connections to one address."""

    def __init__(self, address: str, headers: dict[str, str], connect_s: float, answer_s: float) -> None:
        self._host, _, port = address.rpartition(":")
        self._port, self._connect_s, self._answer_s = int(port), connect_s, answer_s
        lines = [f"Host: {address}", *(f"{name}: {value}" for name, value in headers.items()), "Content-Length: "]
        self._head = (" HTTP/1.1\r\n" + "\r\n".join(lines)).encode()
        self._room = asyncio.Semaphore(MOST)
        self._idle: deque[_Line] = deque()

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError, TimeoutError."""
        request = b"".join((b"POST ", path.encode(), self._head, b"%d\r\n\r\n" % len(body), body))
        async with self._room:
            line = self._kept() or await self._made()
            answer = await line.ask(request, self._answer_s)
            if not line.closed:
                line.idle_since = asyncio.get_running_loop().time()
                self._idle.append(line)
            return answer

    def _kept(self) -> _Line | None:
        """The one that was used last; those that are too old are let go."""
        now = asyncio.get_running_loop().time()
        while self._idle and (self._idle[0].closed or now - self._idle[0].idle_since > IDLE_S):
            self._idle.popleft().close()
        while self._idle:
            line = self._idle.pop()
            if not line.closed:
                return line
        return None

    async def _made(self) -> _Line:
        async with asyncio.timeout(self._connect_s):
            _, line = await asyncio.get_running_loop().create_connection(_Line, self._host.strip("[]"), self._port)
        return line

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
