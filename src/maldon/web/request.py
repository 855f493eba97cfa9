"""What a handler is given and what it gives back.

A request's body is bounded, its JSON is decoded and checked in one pass by a msgspec Struct, and what is wrong becomes
one 400 sentence that names the field. A reply is a status, bytes and headers; a long one is a stream.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

import falcon.asgi
import msgspec

from maldon.kernel.errors import BadRequest, NotFound, TooLarge, UnsupportedMedia

T = TypeVar("T")
BODY_LIMIT = 1 << 20
QUERY_LIMIT = 8192
_JSON = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class CutOff(BadRequest, OSError):
    """The client went away, or stood still, in the middle of a body."""

    code = "cut-off"


class Request:
    """One HTTP request as a handler sees it.

    `path` holds the variables of the route; `query` every query parameter in order of appearance; `base` is the root of
    the service as the client reached it ("http://host:port/compute"), without a slash at the end.
    """

    __slots__ = ("_falcon", "_query", "path", "version")

    def __init__(self, request: falcon.asgi.Request, path: Mapping[str, str]) -> None:
        self._falcon = request
        self._query: list[tuple[str, str]] | None = None
        self.path = path
        self.version = (0, 0)

    @property
    def method(self) -> str:
        return str(self._falcon.method)

    @property
    def base(self) -> str:
        f = self._falcon
        scheme = "https" if f.forwarded_scheme == "https" else "http"  # both are headers: anybody's words
        return f"{scheme}://{quote(f.forwarded_host, safe=':[]')}{f.root_path}"

    @property
    def plain_path(self) -> str:
        """The path below `base`, decoded."""
        return str(self._falcon.path)

    @property
    def url(self) -> str:
        """The path below `base` as it stands in an address, without the query."""
        return quote(self._falcon.path, safe="/:@!$&'()*+,;=~")  # what it holds may end up in a header of the answer

    @property
    def query_string(self) -> str:
        return str(self._falcon.query_string)

    def header(self, name: str, default: str = "") -> str:
        """A request header; names are compared without case."""
        return self._falcon.get_header(name, default=default) or ""

    @property
    def query(self) -> list[tuple[str, str]]:
        if self._query is None:
            text = self._falcon.query_string
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
        """The whole body. Raises TooLarge beyond `limit` bytes."""
        if (self._falcon.content_length or 0) > limit:
            raise TooLarge(f"The body is larger than {limit} bytes.")
        chunks, size = [], 0
        async for chunk in self.stream:
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"The body is larger than {limit} bytes.")
            chunks.append(chunk)
        return b"".join(chunks)

    async def load(self, kind: type[T], limit: int = BODY_LIMIT) -> T:
        """The JSON body as a `kind`. Raises BadRequest naming the field, UnsupportedMedia for another media type."""
        media = self.header("Content-Type").split(";")[0].strip().lower()
        if media and media != "application/json":
            raise UnsupportedMedia(f"The body must be application/json, not {media[:100]}.")
        return decode(await self.body(limit), kind)

    @property
    def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece, for uploads; once only. A body that was cut raises CutOff where it ends."""
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        # Not falcon's stream: it ends quietly where the client went away, as if a chunked body had been whole.
        event: Any = self._falcon._first_event  # noqa: SLF001
        while event["type"] == "http.request":
            if chunk := event.get("body"):
                yield chunk
            if not event.get("more_body"):
                return
            event = await self._falcon._receive()  # noqa: SLF001
        raise CutOff("The connection was closed before the body was complete.")

    def while_wanted(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same stream, ended early when the client has gone: writing to nobody is not noticed otherwise."""
        return _WhileWanted(stream, self._falcon._receive)  # noqa: SLF001

    @property
    def content_length(self) -> int | None:
        length: int | None = self._falcon.content_length
        return length


class _WhileWanted:
    """A stream beside a task that waits for the client to hang up; falcon calls `close` in the end, come what may."""

    def __init__(self, stream: AsyncIterator[bytes], receive: Callable[[], Awaitable[Any]]) -> None:
        self._stream, self._receive = stream, receive
        self._hung_up: asyncio.Future[Any] | None = None

    def __aiter__(self) -> "_WhileWanted":
        return self

    async def __anext__(self) -> bytes:
        if self._hung_up is None:
            self._hung_up = asyncio.ensure_future(self._receive())
        if self._hung_up.done():
            raise StopAsyncIteration
        return await anext(self._stream)

    async def close(self) -> None:
        if self._hung_up is not None:
            self._hung_up.cancel()
        if close := getattr(self._stream, "aclose", None):
            await close()


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
