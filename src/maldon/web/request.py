"""What a handler is given and what it gives back.

A request's body is bounded, its JSON is decoded and checked in one pass by a msgspec Struct, and what is wrong becomes
one 400 sentence that names the field. A reply is a status, bytes and headers; a long one is a stream.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

import msgspec

from maldon.kernel.errors import BadRequest, NotFound, TooLarge, UnsupportedMedia

T = TypeVar("T")
BODY_LIMIT = 1 << 20
QUERY_LIMIT = 8192
AT_HAND = "maldon.at_hand"
"""An extension in a request's scope: a function that gives the whole body, or None if it has not come, or was read."""
_JSON = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class CutOff(BadRequest, OSError):
    """The client went away, or stood still, in the middle of a body."""

    code = "cut-off"


class Request:
    """One HTTP request as a handler sees it.

    `path` holds the variables of the route; `query` every query parameter in order of appearance; `base` is the root of
    the service as the client reached it ("http://host:port/compute"), without a slash at the end. It can be handled
    again unless it is `spent`: its body was taken as a stream.
    """

    __slots__ = ("_body", "_headers", "_query", "_receive", "_scope", "method", "path", "spent", "version")

    def __init__(
        self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], path: Mapping[str, str]
    ) -> None:
        self._scope, self._receive = scope, receive
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        if len(self._headers) != len(scope["headers"]):
            self._headers = _joined(scope["headers"])
        self._query: list[tuple[str, str]] | None = None
        self._body: bytes | None = None
        self.spent = False
        self.method: str = scope["method"]
        self.path = path
        self.version = (0, 0)

    @property
    def base(self) -> str:
        hop = _first_hop(self.header("Forwarded"))
        scheme = hop.get("proto") or self.header("X-Forwarded-Proto") or self._scope["scheme"]
        host = hop.get("host") or self.header("X-Forwarded-Host") or self.header("Host") or self._listener()
        name = "https" if scheme.lower() == "https" else "http"  # both are headers: anybody's words
        return f"{name}://{quote(host, safe=':[]')}{self._scope['root_path']}"

    def _listener(self) -> str:
        address, port = self._scope["server"]
        return f"{address}:{port}"

    @property
    def plain_path(self) -> str:
        """The path below `base`, decoded."""
        return str(self._scope["path"])

    @property
    def url(self) -> str:
        """The path below `base` as it stands in an address, without the query."""
        return quote(self.plain_path, safe="/:@!$&'()*+,;=~")  # what it holds may end up in a header of the answer

    @property
    def query_string(self) -> str:
        return str(self._scope["query_string"], "latin-1")

    def header(self, name: str, default: str = "") -> str:
        """A request header; names are compared without case. One that came more than once is joined by commas."""
        value = self._headers.get(name.lower().encode())
        return default if value is None else value.decode("latin-1")

    @property
    def query(self) -> list[tuple[str, str]]:
        if self._query is None:
            text = self.query_string
            if len(text) > QUERY_LIMIT:
                raise BadRequest(f"The query is longer than {QUERY_LIMIT} characters.")
            self._query = parse_qsl(text, keep_blank_values=True) if text else []
            if any("\x00" in k or "\x00" in v or "\ufffd" in k or "\ufffd" in v for k, v in self._query):
                raise BadRequest("The query holds bytes that are no UTF-8 text.")
        return self._query

    def param(self, name: str, default: str | None = None) -> str | None:
        """The first value of a query parameter."""
        return next((v for k, v in self.query if k == name), default)

    def params(self, name: str) -> list[str]:
        """Every value of a query parameter."""
        return [v for k, v in self.query if k == name]

    async def body(self, limit: int = BODY_LIMIT) -> bytes:
        """The whole body, as often as it is asked for. Raises TooLarge beyond `limit` bytes."""
        if (self.content_length or 0) > limit:
            raise TooLarge(f"The body is larger than {limit} bytes.")
        if self._body is None:
            chunks, size = [], 0
            async for chunk in self._pieces():
                size += len(chunk)
                if size > limit:
                    raise TooLarge(f"The body is larger than {limit} bytes.")
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def load(self, kind: type[T], limit: int = BODY_LIMIT) -> T:
        """The JSON body as a `kind`. Raises BadRequest naming the field, UnsupportedMedia for another media type."""
        media = self.header("Content-Type").split(";")[0].strip().lower()
        if media and media != "application/json":
            raise UnsupportedMedia(f"The body must be application/json, not {media[:100]}.")
        return decode(await self.body(limit), kind)

    @property
    def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece, for uploads; once only. A body that was cut raises CutOff where it ends."""
        self.spent = True
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while (event := await self._receive())["type"] == "http.request":
            if chunk := event.get("body"):
                yield chunk
            if not event.get("more_body"):
                return
        raise CutOff("The connection was closed before the body was complete.")

    def while_wanted(self, stream: AsyncIterator[bytes]) -> "WhileWanted":
        """The same stream, ended early when the client has gone: writing to nobody is not noticed otherwise."""
        return WhileWanted(stream, self._receive)

    @property
    def content_length(self) -> int | None:
        """What the client says. Raises BadRequest for what is no number."""
        text = self.header("Content-Length")
        if text and not (text.isascii() and text.isdigit() and len(text) < 20):
            raise BadRequest("Content-Length must be a whole number of bytes.")
        return int(text) if text else None


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = joined[name] + b"," + value if name in joined else value
    return joined


def _first_hop(forwarded: str) -> dict[str, str]:
    """The parameters that the proxy nearest to the client gave, RFC 7239."""
    pairs = (pair.partition("=") for pair in forwarded.partition(",")[0].split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


class WhileWanted:
    """A stream beside a task that waits for the client to hang up; `close` it in the end, come what may."""

    def __init__(self, stream: AsyncIterator[bytes], receive: Callable[[], Awaitable[Any]]) -> None:
        self._stream, self._receive = stream, receive
        self._hung_up: asyncio.Future[Any] | None = None

    def __aiter__(self) -> "WhileWanted":
        return self

    async def __anext__(self) -> bytes:
        if self._hung_up is None:
            self._hung_up = asyncio.ensure_future(_hang_up(self._receive))
        if self._hung_up.done():
            raise StopAsyncIteration
        return await anext(self._stream)

    async def close(self) -> None:
        if self._hung_up is not None:
            self._hung_up.cancel()
        if close := getattr(self._stream, "aclose", None):
            await close()


async def _hang_up(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def decode(body: bytes, kind: type[T]) -> T:
    """JSON bytes as a `kind`. Raises BadRequest with a sentence that names the field."""
    if b"\\u0000" in body:
        raise BadRequest("Invalid input: text must not hold the character U+0000.")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value: T = decoder.decode(body)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        field = where.rstrip("`").removeprefix("$").lstrip(".")
        place = f" for field/attribute {field}" if field else ""
        raise BadRequest(f"Invalid input{place}. {what}.") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is no valid JSON: {str(error)[:200]}.") from error
    return value


class Reply:
    """What goes back. `body` is bytes, or `stream` yields them; headers are (name, value) pairs."""

    __slots__ = ("body", "content_type", "headers", "status", "stream")

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        content_type: str = "application/json",
    ) -> None:
        self.status, self.body, self.headers, self.content_type = status, body, headers, content_type
        self.stream: AsyncIterator[bytes] | None = None


def json(value: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Reply:
    """A JSON reply of anything msgspec can write."""
    return Reply(status, _JSON.encode(value), headers)


def part(value: Any) -> msgspec.Raw:
    """A part of a long JSON reply, written at once: so what it is made of is gone before the next part is made."""
    return msgspec.Raw(_JSON.encode(value))


def empty(status: int = 204, headers: Sequence[tuple[str, str]] = ()) -> Reply:
    """A reply without a body."""
    return Reply(status, b"", headers, "")


def streamed(
    stream: AsyncIterator[bytes], length: int, content_type: str, headers: Sequence[tuple[str, str]], status: int = 200
) -> Reply:
    """A reply of `length` bytes that are made while they are sent."""
    reply = Reply(status, b"", (*headers, ("Content-Length", str(length))), content_type)
    reply.stream = stream
    return reply


def truth(text: str, name: str) -> bool:
    """A boolean query value as the clients write it. Raises BadRequest."""
    match text.strip().lower():
        case "true" | "1" | "yes" | "on" | "t" | "y":
            return True
        case "false" | "0" | "no" | "off" | "f" | "n":
            return False
    raise BadRequest(f"{name} wants true or false, not {text[:50]!r}.")


def whole(text: str, name: str, least: int = 0, most: int = 2**31 - 1) -> int:
    """A whole number in a query. Raises BadRequest."""
    if not text.isascii() or not text.lstrip("-").isdigit() or len(text) > 20 or not least <= int(text) <= most:
        raise BadRequest(f"{name} wants a whole number from {least} to {most}, not {text[:50]!r}.")
    return int(text)


def no_such_path(path: str) -> NotFound:
    return NotFound(f"The resource could not be found: there is nothing at {path[:200]}.")
