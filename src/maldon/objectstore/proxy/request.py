"""One request to the object store, as layers and the core see it.

Header names are lower-case text, values are text as it came (bytes that are no UTF-8 stay as surrogates, and are
refused where they would be kept). Names in the path are decoded from the raw path, byte for byte: `a%2Fb` is `a/b`, two
slashes stay two. The body is read once, whole or in pieces.

A layer that needs something else from the store makes a request of its own with `derive` and hands it to the layers
below it. `trusted` requests are not asked for a permission again.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from maldon.kernel.errors import BadRequest, CloudError, NotOffered, PreconditionFailed, TooLarge
from maldon.kernel.op import Actor
from maldon.objectstore import timestamp
from maldon.objectstore.node import Book
from maldon.objectstore.path import Path
from maldon.web.request import AT_HAND

Receive = Callable[[], Awaitable[Any]]
SMALL = 256 * 1024  # bytes of a body that is read whole before anything is done with it
LEAST = 1024  # bytes of a body that are more than nothing: who sends one now and then is as slow as who sends none
MOST_HEADERS = 256
VERSIONS = {"v1", "v1.0"}
TRUE = {"true", "1", "yes", "on", "t", "y"}
NOWHERE = Path("")


class CutOff(BadRequest):
    """The client went away in the middle of a body."""

    status, code = 499, "cut-off"


class TooSlow(CloudError):
    """The client sent nothing for too long."""

    status, code = 408, "too-slow"


class Body:
    """The bytes that come with a request. `length` is None where they are chunked; `limit` bounds them even so.
    `footer` is set by a layer that knows more metadata of them once all are read: it is asked then. `at_hand` gives
    them at once where all have come.
    """

    __slots__ = ("_at_hand", "_receive", "_timeout_s", "footer", "length", "limit")

    def __init__(
        self, receive: Receive, length: int | None, timeout_s: float, at_hand: Callable[[], bytes | None] | None = None
    ) -> None:
        self._receive, self._timeout_s, self._at_hand = receive, timeout_s, at_hand
        self.length = length
        self.limit: int | None = None
        self.footer: Callable[[], dict[str, str]] | None = None

    async def whole(self, limit: int = SMALL) -> bytes:
        """All of it. Raises TooLarge beyond `limit`, CutOff, TooSlow."""
        if self.length is not None and self.length > limit:
            raise TooLarge("Your request is too large.")
        if self.length == 0:
            return b""
        if self._at_hand is not None and (body := self._at_hand()) is not None:
            if len(body) > limit:
                raise TooLarge("Your request is too large.")
            return body
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._gather(limit)
        except TimeoutError:
            raise TooSlow("The server timed out while waiting for the rest of your request.") from None

    async def _gather(self, limit: int) -> bytes:
        pieces, size, more = [], 0, True
        while more:
            event = await self._receive()
            if event["type"] != "http.request":
                raise CutOff("The connection was closed before the body was complete.")
            piece, more = event.get("body", b""), event.get("more_body", False)
            size += len(piece)
            if size > limit:
                raise TooLarge("Your request is too large.")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """It, piece by piece. Raises TooLarge beyond `limit`, CutOff, TooSlow."""
        if self._at_hand is not None and (body := self._at_hand()) is not None:
            if self.limit is not None and len(body) > self.limit:
                raise TooLarge("Your request is too large.")
            if body:
                yield body
            return
        size, more, time_of = 0, self.length != 0, asyncio.get_running_loop().time
        waited, fresh = 0.0, 0
        while more:
            begun = time_of()
            try:
                async with asyncio.timeout(self._timeout_s - waited):
                    event = await self._receive()
            except TimeoutError:
                raise TooSlow("The server timed out while waiting for the rest of your request.") from None
            if event["type"] != "http.request":
                raise CutOff("The connection was closed before the body was complete.")
            piece, more = event.get("body", b""), event.get("more_body", False)
            size += len(piece)
            if self.limit is not None and size > self.limit:
                raise TooLarge("Your request is too large.")
            fresh += len(piece)
            waited += time_of() - begun
            if fresh >= LEAST:
                waited, fresh = 0.0, 0
            if piece:
                yield piece


class Given(Body):
    """A body that a layer made: bytes at hand, or an iterator over `length` of them."""

    __slots__ = ("_source",)

    def __init__(self, source: bytes | AsyncIterator[bytes], length: int | None = None) -> None:
        super().__init__(_nothing_comes, len(source) if isinstance(source, bytes) else length, 0)
        self._source = source

    async def _gather(self, limit: int) -> bytes:
        pieces, size = [], 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                raise TooLarge("Your request is too large.")
            pieces.append(piece)
        return b"".join(pieces)

    async def whole(self, limit: int = SMALL) -> bytes:
        if not isinstance(self._source, bytes):
            return await self._gather(limit)
        if len(self._source) > limit:
            raise TooLarge("Your request is too large.")
        return self._source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._source, bytes):
            if self._source:
                yield self._source
            return
        size = 0
        async for piece in self._source:
            size += len(piece)
            if self.limit is not None and size > self.limit:
                raise TooLarge("Your request is too large.")
            yield piece


async def _nothing_comes() -> Any:
    return {"type": "http.disconnect"}


class ObjectRequest:
    """See the module. `where` is the decoded path below the mount ("/v1/a/c/o", "/info"); `path` the names in it, empty
    where it is no path of the store. `authorize` is set by the layer that knows who asks; `owner` by it when that one
    may see what only owners see. `facts` is the layers' own, `books` what `Known.books` remembered.
    """

    __slots__ = (
        "_facts", "_query", "_timestamp", "actor", "authorize", "base", "body", "books", "client", "headers", "method",
        "owner", "path", "query_string", "trans_id", "trusted", "version", "where",
    )  # fmt: skip

    def __init__(self, method: str, where: str, headers: dict[str, str], query_string: str, body: Body) -> None:
        self.method, self.where, self.headers, self.query_string, self.body = method, where, headers, query_string, body
        self.version, self.path = split(where)
        self.base = self.trans_id = self.client = ""
        self.actor: Actor | None = None
        self.authorize: Callable[[ObjectRequest, Mapping[str, str]], None] | None = None
        self.owner = self.trusted = False
        self._query: dict[str, str] | None = None
        self._timestamp: int | None = None
        self._facts: dict[str, Any] | None = None
        self.books: tuple[Path, Book | None, Book | None] | None = None

    @property
    def facts(self) -> dict[str, Any]:
        if self._facts is None:
            self._facts = {}
        return self._facts

    @property
    def query(self) -> dict[str, str]:
        """The parameters; of a name given twice the last. Raises BadRequest for bytes that are no text."""
        if self._query is None:
            try:
                self.query_string.encode()
                pairs = (
                    parse_qsl(self.query_string, keep_blank_values=True, errors="strict") if self.query_string else ()
                )
            except ValueError:
                raise BadRequest("The query is not valid UTF-8.") from None
            self._query = dict(pairs)
        return self._query

    @query.setter
    def query(self, query: dict[str, str]) -> None:
        self._query = query
        self.query_string = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query.items())

    @property
    def is_marked(self) -> bool:
        """Whether parameters were given, or a layer noted something."""
        return bool(self.query_string or self._query or self._facts)

    @property
    def timestamp(self) -> int:
        """When this request writes: one stamp for all it writes, taken when first asked for."""
        if self._timestamp is None:
            self._timestamp = timestamp.stamp()
        return self._timestamp

    @timestamp.setter
    def timestamp(self, at: int) -> None:
        self._timestamp = at

    @property
    def is_object(self) -> bool:
        return self.path.object != ""

    @property
    def is_container(self) -> bool:
        return self.path.container != "" and self.path.object == ""

    @property
    def is_account(self) -> bool:
        return self.path.account != "" and self.path.container == ""

    @property
    def location(self) -> str:
        """Its address, percent-encoded, without the query."""
        return self.base + quote(self.where)

    def derive(
        self, method: str, path: Path | None = None, *, headers: dict[str, str] | None = None,
        body: bytes | Body = b"", query: dict[str, str] | None = None, trusted: bool = False,
    ) -> "ObjectRequest":  # fmt: skip
        """A request made for this one: same asker, same transaction id; the same time, if it does the same to the same
        thing; nothing else unless given.
        """
        where = self.where if path is None else f"/v1{path if trusted else checked(path)}"
        given = body if isinstance(body, Body) else Given(body)
        made = ObjectRequest(method, where, {} if headers is None else headers, "", given)
        if path is not None:
            made.path = path
        for name in ("referer", "x-open-expired"):  # by which access lists may let in; what else is to be seen
            if name in self.headers:
                made.headers.setdefault(name, self.headers[name])
        made.base, made.trans_id, made.client = self.base, self.trans_id, self.client
        made.actor, made.authorize, made.owner = self.actor, self.authorize, self.owner
        made.trusted = self.trusted or trusted
        if method == self.method and made.path == self.path:
            made._timestamp = self._timestamp
        if query:
            made.query = query
        return made


def checked(path: Path) -> Path:
    """A path that came in a header or a body. Raises PreconditionFailed for one that cannot be."""
    text = str(path)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise PreconditionFailed("Invalid UTF8 or contains NULL") from None
    if "\x00" in text:
        raise PreconditionFailed("Invalid UTF8 or contains NULL")
    return path


def split(where: str) -> tuple[str, Path]:
    """The version and the names of "/v1/account/container/object"; NOWHERE when it has another form."""
    parts = where.split("/", 4)
    if len(parts) < 3 or parts[1] not in VERSIONS or not parts[2]:
        return "", NOWHERE
    if len(parts) == 5 and parts[4]:
        return (parts[1], Path(parts[2], parts[3], parts[4])) if parts[3] else ("", NOWHERE)
    return parts[1], Path(parts[2], parts[3] if len(parts) > 3 else "")


def read_request(scope: Any, receive: Receive, timeout_s: float) -> ObjectRequest:
    """What an ASGI scope asks. Raises PreconditionFailed for a path that is no text."""
    raw_headers = scope["headers"]
    if len(raw_headers) > MOST_HEADERS:
        raise BadRequest(f"The request has {len(raw_headers)} headers; {MOST_HEADERS} is the most.")
    try:
        headers = {name.decode("latin-1"): value.decode() for name, value in raw_headers}
    except UnicodeDecodeError:
        headers = {}
    if len(headers) != len(raw_headers):  # one is given twice, or is no text
        headers = _joined(raw_headers)
    length = headers.get("content-length")
    chunked = "transfer-encoding" in headers
    if chunked and headers["transfer-encoding"].lower() != "chunked":
        raise NotOffered("Unsupported Transfer-Coding header value specified in Transfer-Encoding header")
    size = None if chunked else int(length) if length and length.isdecimal() else 0
    raw = scope["raw_path"]
    root = scope.get("root_path", "")
    if root and raw.startswith(root.encode()):
        raw = raw[len(root) :]
    request = ObjectRequest(
        scope["method"], _path(raw), headers, _text(scope["query_string"]),
        Body(receive, size, timeout_s, scope.get("extensions", {}).get(AT_HAND)),
    )  # fmt: skip
    request.base = f"{scope['scheme']}://{headers.get('host', 'localhost')}{root}"
    request.client = scope["client"][0] if scope.get("client") else ""
    return request


def _joined(raw_headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw_headers:
        key = name.decode("latin-1")
        headers[key] = f"{headers[key]},{_text(value)}" if key in headers else _text(value)
    return headers


def _text(value: bytes) -> str:
    return value.decode("ascii") if value.isascii() else value.decode("utf-8", "surrogateescape")


def _path(raw: bytes) -> str:
    try:
        text = (unquote_to_bytes(raw) if b"%" in raw else raw).decode()
    except UnicodeDecodeError:
        raise PreconditionFailed("Invalid UTF8 or contains NULL") from None
    if "\x00" in text:
        raise PreconditionFailed("Invalid UTF8 or contains NULL")
    return text


def new_trans_id(extra: str = "") -> str:
    """As Swift writes it: 21 hex digits, the time, and what the client wants to find it by."""
    made = f"tx{random.getrandbits(84):021x}-{int(time.time()):010x}"
    return f"{made}-{quote(extra[:32], errors='replace')}" if extra else made
