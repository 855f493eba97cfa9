"""Dynamic large objects: X-Object-Manifest names a container and a prefix, whose objects in order are the content.

The segments are those of the listing at the time of the request. `multipart-manifest=get` reads the manifest itself.
The ETag of the whole is that of all their ETags; with more segments than a listing page has, it is not known, nor is
the length, and the answer goes out in chunks.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import unquote

from maldon.kernel.errors import BadRequest
from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered
from maldon.objectstore.middleware.segments import Segment, begun, read_segments
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.listings import Listing
from maldon.objectstore.proxy.reading import Readable, answer
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.timestamp import parse

HEADER = "x-object-manifest"
ABOUT_THE_MANIFEST = {"content-length", "content-range", "etag"}


def make(store: Store, below: Handler) -> Handler:
    most = store.settings.container_listing_limit

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if not request.is_object:
            return below(request)
        if request.method in {"GET", "HEAD"}:
            return _get(request)
        if request.method in {"PUT", "POST"} and HEADER in request.headers:
            request.headers[HEADER] = _checked(request.headers[HEADER])
        return below(request)

    async def _get(request: ObjectRequest) -> Response:
        response = await answered(below, request)
        if HEADER in response.headers and "," in request.headers.get("range", ""):
            request.headers.pop("range")  # several ranges of what may change while it is read: all of it
        named = response.headers.get(HEADER)
        if named is None or response.status == 404 or request.query.get("multipart-manifest") == "get":
            return response
        await response.close()
        if response.status != 200 or "range" in request.headers:  # conditions are of the whole
            response = await below(request.derive("HEAD"))
        container, _, prefix = unquote(named).partition("/")
        segments, complete = await _page(request, Path(request.path.account, container), prefix, "")
        headers = {name: v for name, v in response.headers.items() if name not in ABOUT_THE_MANIFEST}
        if complete:
            return await _answer(request, headers, segments)
        headers["accept-ranges"] = "bytes"
        body = _endless(request, Path(request.path.account, container), prefix, segments)
        return await begun(Response(200, headers, body))

    async def _page(request: ObjectRequest, path: Path, prefix: str, marker: str) -> tuple[list[Segment], bool]:
        """Segments after a marker, and whether they are all."""
        query = {"prefix": prefix, "marker": marker, "limit": str(most)}
        listed = await below(request.derive("GET", path, query=query))
        rows = listed.rows if isinstance(listed, Listing) else []
        found = [
            Segment(Path(path.account, path.container, row["name"]), row["hash"], 0, row["bytes"])
            for row in rows if "name" in row
        ]  # fmt: skip
        return found, len(found) < most

    async def _answer(request: ObjectRequest, headers: dict[str, str], segments: list[Segment]) -> Response:
        md5 = hashlib.md5("".join(one.etag for one in segments).encode(), usedforsecurity=False)
        headers["etag"] = f'"{md5.hexdigest()}"'
        size = sum(one.size for one in segments)

        def read(start: int, stop: int) -> AsyncIterator[bytes]:
            return read_segments(below, request, segments, start, stop)

        at = parse(headers["x-timestamp"])
        response = answer(request, Readable(headers, size, headers["etag"], at, read))
        return await begun(response) if request.method == "GET" else response

    async def _endless(
        request: ObjectRequest, path: Path, prefix: str, segments: list[Segment]
    ) -> AsyncIterator[bytes]:
        complete = False
        while segments:
            async for piece in read_segments(below, request, segments, 0, sum(one.size for one in segments)):
                yield piece
            if complete:
                return
            segments, complete = await _page(request, path, prefix, segments[-1].path.object)

    return handle


def _checked(text: str) -> str:
    """A manifest's container/prefix as it is kept. Raises BadRequest."""
    kept = text.strip().lstrip("/")
    named = unquote(kept, errors="surrogateescape")
    container, slash, prefix = named.partition("/")
    if text and (not slash or not container or not prefix or "?" in text or "&" in text or "\x00" in named):
        raise BadRequest("X-Object-Manifest must be in the format container/prefix")
    return kept


def _info(store: Store) -> dict[str, Any]:
    return {"max_segments": store.settings.container_listing_limit}


LAYER = Layer("dlo", make, _info, marks=lambda _store: Marks(asked=(HEADER,), object=(HEADER,)))
