"""The disks of another node, through its `storage/server.py`: the same verbs as those of one's own disks.

What is small goes by `lines`, small writes for one disk together; bodies in pieces go by aiohttp. Connections are kept.
A node that does not answer in time, or not at all, is Unavailable; what it refuses is raised here as it was raised
there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import aiohttp

from maldon.kernel.errors import BadRequest, Unavailable
from maldon.objectstore.books.together import Together
from maldon.objectstore.node import (
    Book,
    Held,
    Incoming,
    Listing,
    Preamble,
    Put,
    Query,
    Range,
    Reading,
    Record,
    Row,
    Shipment,
    Spot,
    Standing,
    Teaching,
)
from maldon.objectstore.path import Path
from maldon.objectstore.settings import ObjectSettings
from maldon.objectstore.storage.lines import Lines
from maldon.objectstore.storage.wire import (
    KEY_HEADER,
    MANY,
    PREFIX,
    RESULTS,
    encode,
    framed,
    in_frames,
    read_answers,
    read_frame,
    revive,
)

PIECE = 1 << 18
SMALL, TOGETHER = 1 << 14, 1 << 22  # bytes that go with other calls; bytes of these in one message
Bytes = bytes | AsyncIterator[bytes]
Small = tuple[str, bytes, bytes]
"""A call: its verb, its arguments, the bytes of an object."""
Answers = dict[int, tuple[int, bytes]]
"""Status and result of calls, by their identity."""


class Remote:
    """A node at an address. `session` is the process's, shared by all nodes."""

    def __init__(self, address: str, session: aiohttp.ClientSession, key: str, settings: ObjectSettings) -> None:
        self._url, self._session, self._headers = f"http://{address}{PREFIX}", session, {KEY_HEADER: key}
        self._lines = Lines(address, self._headers, settings.connect_timeout_s, settings.node_timeout_s)
        self._lanes: dict[str, list[Together[Small, Answers]]] = {}

    def close(self) -> None:
        """Let go of the connections that are not the session's."""
        self._lines.close()

    async def put_object(
        self, spot: Spot, path: Path, put: Put, body: Incoming, teach: Sequence[Teaching] = ()
    ) -> Record:
        if isinstance(body, bytes) and len(body) <= SMALL:
            written: Record = await self._with_others("put_object", (spot, path, put, teach), body)
            return written
        sent = body if isinstance(body, bytes) or not put.footed else in_frames(body)
        record: Record = await self._call("put_object", (spot, path, put, teach), sent)  # type: ignore[arg-type]
        return record

    async def read_object(
        self, spot: Spot, path: Path, start: int = 0, stop: int | None = None, version: tuple[int, int] | None = None
    ) -> Reading | None:
        response = await self._post("read_object", framed((spot, path, start, stop, version)))
        try:
            pieces = response.content.iter_any()
            head, rest = await _in_time(read_frame(pieces))
            record = RESULTS["read_object"].decode(head)
        except (aiohttp.ClientError, TimeoutError, BadRequest) as error:
            response.close()
            raise Unavailable("", internal=f"{self._url}: {error!r}") from error
        except asyncio.CancelledError:
            response.close()  # whoever asked has an answer from another
            raise
        if record is None:
            response.release()
            return None
        return Reading(record, _Pieces(response, rest))

    async def read_versions(self, spot: Spot, path: Path) -> list[Record]:
        records: list[Record] = await self._call("read_versions", (spot, path))
        return records

    async def head_object(self, spot: Spot, path: Path) -> Record | None:
        record: Record | None = await self._call("head_object", (spot, path))
        return record

    async def post_object(
        self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str], teach: Sequence[Teaching] = ()
    ) -> Record | None:
        record: Record | None = await self._call("post_object", (spot, path, timestamp, headers, teach))
        return record

    async def delete_object(
        self, spot: Spot, path: Path, timestamp: int, teach: Sequence[Teaching] = ()
    ) -> Record | None:
        record: Record | None = await self._with_others("delete_object", (spot, path, timestamp, teach))
        return record

    async def commit_object(self, spot: Spot, path: Path, timestamp: int, teach: Sequence[Teaching] = ()) -> bool:
        return bool(await self._call("commit_object", (spot, path, timestamp, teach)))

    async def compare_partitions(self, spot: Spot, power: int, digests: Mapping[int, int]) -> list[int]:
        differing: list[int] = await self._call("compare_partitions", (spot, power, digests))
        return differing

    async def want_objects(self, spot: Spot, held: Sequence[Held], fragment: int | None = None) -> list[bytes]:
        wanted: list[bytes] = await self._call("want_objects", (spot, held, fragment))
        return wanted

    async def identify_books(self, spot: Spot) -> str:
        return str(await self._call("identify_books", (spot,)))

    async def put_book(
        self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str], policy: int | None = None
    ) -> bool:
        return bool(await self._call("put_book", (spot, path, timestamp, headers, policy)))

    async def post_book(self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str]) -> bool:
        return bool(await self._call("post_book", (spot, path, timestamp, headers)))

    async def head_book(self, spot: Spot, path: Path) -> Book | None:
        book: Book | None = await self._call("head_book", (spot, path))
        return book

    async def list_json(self, spot: Spot, path: Path, query: Query) -> Listing | None:
        found: Listing | None = await self._call("list_json", (spot, path, query))
        return found

    async def delete_book(self, spot: Spot, path: Path, timestamp: int) -> Book | None:
        book: Book | None = await self._call("delete_book", (spot, path, timestamp))
        return book

    async def update_book(self, spot: Spot, path: Path, rows: Sequence[Row]) -> bool:
        return bool(await self._call("update_book", (spot, path, rows)))

    async def read_ranges(self, spot: Spot, path: Path) -> list[Range]:
        ranges: list[Range] = await self._call("read_ranges", (spot, path))
        return ranges

    async def update_ranges(self, spot: Spot, path: Path, ranges: Sequence[Range]) -> bool:
        return bool(await self._call("update_ranges", (spot, path, ranges)))

    async def compare_book(self, spot: Spot, path: Path, made: str) -> Standing | None:
        standing: Standing | None = await self._call("compare_book", (spot, path, made))
        return standing

    async def merge_book(
        self, spot: Spot, path: Path, made: str, upto: int, preamble: Preamble, rows: Sequence[Row]
    ) -> bool:
        return bool(await self._call("merge_book", (spot, path, made, upto, preamble, rows)))

    async def take_book(self, spot: Spot, path: Path, shipment: Shipment, body: Bytes) -> bool:
        return bool(await self._call("take_book", (spot, path, shipment), body))

    async def _with_others(self, verb: str, arguments: tuple[Any, ...], body: bytes = b"") -> Any:
        """A call that takes a disk a sync: those for it that come while two are under way go together."""
        lanes = self._lanes.get(arguments[0].device)
        if lanes is None:
            lanes = self._lanes[arguments[0].device] = [Together(self._all_of), Together(self._all_of)]
        lanes.reverse()
        lane = lanes[0] if lanes[0].idle else lanes[1]
        call = verb, encode(arguments), body
        status, data = (await lane((call,)))[id(call)]
        if status != 200:
            raise revive(data, status)
        return RESULTS[verb].decode(data)

    async def _all_of(self, calls: list[Small]) -> Answers:
        answers: Answers = {}
        for some in _portions(calls):
            data = await self._post_small(MANY, encode(some))
            answers |= {id(call): answer for call, answer in zip(some, read_answers(data), strict=True)}
        return answers

    async def _call(self, verb: str, arguments: tuple[Any, ...], body: Bytes = b"") -> Any:
        if isinstance(body, bytes):
            data = await self._post_small(verb, framed(arguments) + body)
        else:
            data = await self._upload(verb, _Upload(framed(arguments), body))
        return RESULTS[verb].decode(memoryview(data)[4:])

    async def _post_small(self, verb: str, sent: bytes) -> bytes:
        try:
            status, data = await self._lines.post(PREFIX + verb, sent)
        except (OSError, TimeoutError) as error:
            raise Unavailable("", internal=f"{self._url}: {error!r}") from error
        if status != 200:
            raise revive(data, status)
        return data

    async def _upload(self, verb: str, upload: "_Upload") -> bytes:
        try:
            response = await self._post(verb, upload.pieces())
            async with response:
                return await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("", internal=f"{self._url}: {error!r}") from error
        except Unavailable:
            if upload.failed is not None:
                raise upload.failed from None  # not the node: whoever gave the bytes
            raise

    async def _post(self, verb: str, sent: Any) -> aiohttp.ClientResponse:
        """The response of a verb that was not refused."""
        try:
            response = await self._session.post(self._url + verb, data=sent, headers=self._headers)
            if response.status != 200:
                async with response:
                    raise revive(await response.read(), response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("", internal=f"{self._url}: {error!r}") from error
        return response


class _Upload:
    """Bytes on their way up, and why they ended early."""

    def __init__(self, head: bytes, body: AsyncIterator[bytes]) -> None:
        self._head, self._body = head, body
        self.failed: Exception | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self._head
        try:
            async for piece in self._body:
                yield piece
        except Exception as error:
            self.failed = error
            raise


class _Pieces:
    """Bytes on their way down; the connection goes back when all are read, and is closed when they are not."""

    def __init__(self, response: aiohttp.ClientResponse, first: bytes) -> None:
        self._response, self._first = response, first

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        try:
            piece = await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("", internal=f"a reading was cut off: {error!r}") from error
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        if not self._response.content.is_eof():
            self._response.close()
        self._response.release()


def _portions(calls: list[Small]) -> Iterator[list[Small]]:
    """No more in one than a message may have."""
    some: list[Small] = []
    size = 0
    for call in calls:
        size += len(call[1]) + len(call[2])
        if some and size > TOGETHER:
            yield some
            some, size = [], len(call[1]) + len(call[2])
        some.append(call)
    yield some


async def _in_time(reading: Any) -> tuple[bytes, bytes]:
    async with asyncio.timeout(10):
        found: tuple[bytes, bytes] = await reading
        return found


def open_session(connect_timeout_s: float, node_timeout_s: float) -> aiohttp.ClientSession:
    """What all Remotes of a process share."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s, sock_read=node_timeout_s)
    connector = aiohttp.TCPConnector(limit=0, limit_per_host=256, keepalive_timeout=60)
    return aiohttp.ClientSession(
        timeout=timeout, connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    )
