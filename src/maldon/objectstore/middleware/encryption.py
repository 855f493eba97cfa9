"""Bytes and metadata encrypted at rest; clients notice nothing.

Encrypted are an object's bytes, the values of its metadata, the ETag clients see, and that in listings (by the
container's key). Names, sizes, types and times are not. The ETag is known when all bytes are: it is written with them,
as a footer. Conditions and ranges are answered over the plain bytes, which can be read from any offset. What was
written in the clear, or before encryption was switched off, is read as well as the rest.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable
from typing import Self

from maldon.kernel.errors import NotFound
from maldon.objectstore.middleware.keys import EncryptionSettings, Keys, NoKey, Stream
from maldon.objectstore.middleware.layer import Handler, Layer, answered
from maldon.objectstore.node import WrongDigest
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.conditions import conditional
from maldon.objectstore.proxy.listings import Listing
from maldon.objectstore.proxy.reading import Readable, answer
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import Given, ObjectRequest
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.telling import OVERRIDE
from maldon.objectstore.timestamp import parse

BODY, ETAG = "x-object-sysmeta-crypto-body", "x-object-sysmeta-crypto-etag"
META, CRYPTED = "x-object-meta-", "x-object-transient-sysmeta-crypto-meta-"
ROW = f"{OVERRIDE}etag"
MARK = "crypto="
UNKNOWN = "<unknown>"
_ONE_RANGE = re.compile(r"bytes=\d*-\d*$")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-")


def make(store: Store, below: Handler) -> Handler:
    keys = Keys(store.option(EncryptionSettings))
    if not keys:
        return below

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.is_object:
            match request.method:
                case "PUT" if keys.active:
                    return _put(request)
                case "POST" if keys.active:
                    _seal_metadata(request)
                case "GET" | "HEAD":
                    return _get(request)
        elif request.is_container and request.method == "GET":
            return _listed(request)
        return below(request)

    async def _put(request: ObjectRequest) -> Response:
        claimed = request.headers.pop("etag", "").strip('"').lower()
        _seal_metadata(request)
        md5, body = hashlib.md5(usedforsecurity=False), request.body
        request.headers[BODY], stream = keys.new(request.path)

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in body:
                md5.update(piece)
                yield stream.update(piece)
            if claimed and claimed != md5.hexdigest():
                raise WrongDigest("")

        request.body = Given(pieces(), body.length)
        request.body.footer = lambda: _sealed_etag(request, md5.hexdigest())
        made = await below(request)
        if made.status == 201:
            made.headers["etag"] = md5.hexdigest()
        return made

    def _sealed_etag(request: ObjectRequest, etag: str) -> dict[str, str]:
        """The ETag that clients see, for the object and for its row."""
        container = Path(request.path.account, request.path.container)
        shown = request.headers.get(ROW, etag)
        return {ETAG: keys.seal(request.path, etag), ROW: MARK + keys.seal(container, shown)}

    def _seal_metadata(request: ObjectRequest) -> None:
        headers = request.headers
        for name in [name for name, value in headers.items() if name.startswith(META) and value]:
            headers[CRYPTED + name[len(META) :]] = keys.seal(request.path, headers.pop(name))

    def _get(request: ObjectRequest) -> Awaitable[Response]:
        chosen = request.headers.get("range", "bytes=0-")
        if "if-range" in request.headers or conditional(request.headers) or not _ONE_RANGE.match(chosen):
            return _get_if(request)
        return _get_plain(request)

    async def _get_plain(request: ObjectRequest) -> Response:
        """Where a range begins and ends is the same in the encrypted bytes."""
        response = await below(request)
        kept = response.headers.get(BODY)
        _open(request, response.headers)
        if kept is not None and response.status in {200, 206} and request.method == "GET":
            found = _CONTENT_RANGE.match(response.headers.get("content-range", ""))
            response.body = _decrypted(response.body, keys.stream(request.path, kept, int(found[1]) if found else 0))
        return response

    async def _get_if(request: ObjectRequest) -> Response:
        """With conditions, which speak of the plain bytes, or several ranges."""
        newest = {"x-newest": request.headers["x-newest"]} if "x-newest" in request.headers else {}
        head = request.derive("HEAD", headers=dict(newest), query=request.query)
        response = await answered(below, head)
        headers = response.headers
        if not response.ok or BODY not in headers:
            response = await below(request)
            _open(request, response.headers)
            return response
        kept = headers[BODY]
        _open(request, headers)

        async def read(start: int, stop: int) -> AsyncIterator[bytes]:
            chosen = {"range": f"bytes={start}-{stop - 1}"} if stop > start else {}
            got = await below(request.derive("GET", headers={**newest, **chosen}))
            try:
                if got.headers.get(BODY) != kept:
                    raise NotFound("", internal=f"{request.path} was replaced while it was being read")
                stream = keys.stream(request.path, kept, start)
                async for piece in _pieces(got.body):
                    yield stream.update(piece)
            finally:
                await got.close()

        at = parse(headers["x-timestamp"])
        return answer(request, Readable(headers, int(headers["content-length"]), headers["etag"], at, read))

    def _open(request: ObjectRequest, headers: dict[str, str]) -> None:
        """Headers as they were before they were sealed."""
        headers.pop(BODY, None)
        for name in [name for name in headers if name.startswith(CRYPTED)]:
            headers[META + name[len(CRYPTED) :]] = keys.open(request.path, headers.pop(name))
        if sealed := headers.pop(ETAG, ""):
            headers["etag"] = keys.open(request.path, sealed)
        if (row := headers.get(ROW, "")).startswith(MARK):
            headers[ROW] = _shown(request, row)

    def _shown(request: ObjectRequest, row: str) -> str:
        container = Path(request.path.account, request.path.container)
        return keys.open(container, row[len(MARK) :])

    async def _listed(request: ObjectRequest) -> Response:
        response = await below(request)
        if isinstance(response, Listing) and MARK.encode() in response.json:
            for row in response.rows:
                if row.get("hash", "").startswith(MARK):
                    row["hash"] = _shown_or_unknown(request, row["hash"])
        return response

    def _shown_or_unknown(request: ObjectRequest, row: str) -> str:
        """One row without its key does not take the whole listing away."""
        try:
            return _shown(request, row)
        except NoKey:
            return UNKNOWN

    return handle


def _decrypted(body: bytes | AsyncIterator[bytes], stream: Stream) -> bytes | AsyncIterator[bytes]:
    return stream.update(body) if isinstance(body, bytes) else _Decrypted(body, stream)


class _Decrypted:
    """Bytes as they are read. What is below is closed with it, begun or not."""

    def __init__(self, body: AsyncIterator[bytes], stream: Stream) -> None:
        self._body, self._stream = body, stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return self._stream.update(await anext(self._body))

    async def aclose(self) -> None:
        if close := getattr(self._body, "aclose", None):
            await close()


async def _pieces(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    async for piece in body:
        yield piece


LAYER = Layer("encryption", make, settings=EncryptionSettings)
