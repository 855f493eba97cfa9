"""Static large objects: a manifest lists the segments, and reading it reads them, one after another.

PUT with `multipart-manifest=put` checks every segment against the manifest and keeps it; its ETag is that of the
segments' ETags, kept beside the size of the whole, so that a HEAD reads no manifest. GET and HEAD answer as one object,
conditions and ranges included, `part-number` for one segment; `multipart-manifest=get` shows the manifest, with
`format=raw` as it was PUT. DELETE with `multipart-manifest=delete` removes the segments too. Manifests may name others.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from maldon.kernel.errors import BadRequest, CloudError, NotFound, TooLarge
from maldon.kernel.settings import option
from maldon.objectstore.middleware import slo_manifest
from maldon.objectstore.middleware.bulk_delete import Deletion, delete_all
from maldon.objectstore.middleware.carrying import COPIED, SYNCED
from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered, refused
from maldon.objectstore.middleware.rows import override, show, without
from maldon.objectstore.middleware.segments import DEEPEST, DEPTH, begun, read_segments
from maldon.objectstore.middleware.slo_manifest import SLO_ETAG as ETAG
from maldon.objectstore.middleware.slo_manifest import SLO_SIZE as SIZE
from maldon.objectstore.middleware.slo_manifest import Kept, Wanted
from maldon.objectstore.proxy.listings import Listing
from maldon.objectstore.proxy.reading import Readable, answer, unmet
from maldon.objectstore.proxy.reply import HTML, Response, explained, title
from maldon.objectstore.proxy.request import TRUE, Given, ObjectRequest
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.proxy.times import iso, read_http_date
from maldon.objectstore.timestamp import TICKS, parse

HEADER = "x-static-large-object"
NOTE = "slo_etag"
STILL_TOLD = {HEADER, "etag", "x-object-version-id", "last-modified"}  # where there is no such part
AT_ONCE = 10
BEAT_S = 2.0


@dataclass(frozen=True, slots=True)
class SloSettings:
    max_manifest_segments: int = option(1000, "Segments one manifest may list.")
    max_manifest_size: int = option(8 << 20, "Bytes of the largest manifest.")


class UnprocessableTag(CloudError):
    status, code = 422, "wrong-digest"


@dataclass(frozen=True, slots=True)
class _Slo:
    """The layer's verbs."""

    store: Store
    below: Handler
    limits: SloSettings

    def handle(self, request: ObjectRequest) -> Awaitable[Response]:
        if not request.is_object:
            return self.listed(request) if request.is_container and request.method == "GET" else self.below(request)
        asked = request.query.get("multipart-manifest", "") if request.query_string else ""
        match request.method, asked:
            case "PUT", "put":
                return self.put(request)
            case "GET" | "HEAD", _:
                return self.get(request, asked)
            case "DELETE", "delete":
                return self.delete(request)
            case "PUT", _ if request.facts.get(SYNCED) and request.headers.get(HEADER, "").lower() in TRUE:
                return self.put_synced(request)
            case "PUT" | "POST", _ if not request.facts.get(COPIED):
                request.headers.pop(HEADER, None)
        return self.below(request)

    async def listed(self, request: ObjectRequest) -> Response:
        """A container's rows, with the ETag of the whole as a field."""
        response = await self.below(request)
        if isinstance(response, Listing):
            show(response, NOTE, _noted)
        return response

    async def get(self, request: ObjectRequest, asked: str) -> Response:
        response = await answered(self.below, request)
        if response.headers.get(HEADER, "").lower() not in TRUE or response.status == 404:
            return response
        if asked == "get":
            return await self.show_manifest(request, response)
        if response.status != 200:  # conditions and ranges are of the whole
            await response.close()
            response = await self.below(_again(request, request.method))
        return await self.whole(request, response)

    async def manifest(self, response: Response) -> list[Kept]:
        content = await response.whole(self.limits.max_manifest_size * 2)
        return msgspec.json.decode(content, type=list[Kept])

    async def show_manifest(self, request: ObjectRequest, response: Response) -> Response:
        raw = request.query.get("format") == "raw"
        if not raw and response.ok:
            response.headers["content-type"] = "application/json; charset=utf-8"
        if raw and response.ok and request.method == "GET" and "range" not in request.headers:
            response.body = slo_manifest.as_put(await self.manifest(response))
            response.headers["content-length"] = str(len(response.body))
            response.headers["etag"] = hashlib.md5(response.body, usedforsecurity=False).hexdigest()
        return response

    async def whole(self, request: ObjectRequest, response: Response) -> Response:
        """The answer of what the segments make together."""
        headers = response.headers
        part = _part_number(request)
        kept = None
        if request.method == "GET" or ETAG not in headers or part is not None:
            if request.method == "HEAD":
                response = await self.below(_again(request, "GET"))
            kept = await self.manifest(response)
        account = request.path.account
        etag, size = slo_manifest.whole(kept, account) if kept is not None else (headers[ETAG], int(headers[SIZE]))
        headers["x-manifest-etag"], headers["etag"] = headers["etag"], f'"{etag}"'
        segments = [one.segment(account) for one in kept or ()]

        def read(start: int, stop: int) -> AsyncIterator[bytes]:
            return read_segments(self.handle, request, segments, start, stop)

        readable = Readable(headers, size, etag, parse(headers["x-timestamp"]), read)
        if part is not None:
            return await _part(request, readable, [one.size for one in segments], part)
        made = answer(request, readable)
        return await begun(made) if request.method == "GET" else made

    async def put(self, request: ObjectRequest) -> Response:
        if (request.body.length or 0) > self.limits.max_manifest_size:
            raise TooLarge(f"Manifest File > {self.limits.max_manifest_size} bytes")
        content = await request.body.whole(self.limits.max_manifest_size)
        if not content:
            raise BadRequest("Manifest must be valid JSON.\n")
        most = self.limits.max_manifest_segments
        wanted = slo_manifest.parse(content, request.path.account, most)
        if any(one.data is None and one.path == request.path for one in wanted):
            raise BadRequest(f"Manifest object name {request.path.object!r} cannot be included in the manifest")
        if request.query.get("heartbeat", "").lower() in TRUE:
            return self.beating(request, wanted)
        return await self.keep(request, wanted)

    def beating(self, request: ObjectRequest, wanted: list[Wanted]) -> Response:
        """202 at once, blanks while segments are looked at, and what came of it as the body's end."""
        as_json = "json" in request.headers.get("accept", "")

        async def body() -> AsyncIterator[bytes]:
            work = asyncio.create_task(self.answered_keep(request, wanted), name="slo manifest")
            try:
                while not (await asyncio.wait({work}, timeout=BEAT_S))[0]:
                    yield b" "
                yield b"\r\n\r\n" + _outcome(work.result(), as_json=as_json)
            finally:
                work.cancel()

        kind = "application/json" if as_json else "text/plain"
        return Response(202, {"content-type": kind}, body())

    async def answered_keep(self, request: ObjectRequest, wanted: list[Wanted]) -> Response:
        try:
            return await self.keep(request, wanted)
        except CloudError as error:
            return refused(error)

    async def keep(self, request: ObjectRequest, wanted: list[Wanted]) -> Response:
        """Check the segments, and write the manifest."""
        kept = await self.looked_at(request, wanted)
        etag, size = slo_manifest.whole(kept, request.path.account)
        if size > slo_manifest.MOST_BYTES:
            raise BadRequest(f"The segments are {size} bytes together; {slo_manifest.MOST_BYTES} is the most.\n")
        claimed = request.headers.pop("etag", "").strip('"').lower()
        if claimed and claimed != etag:
            raise UnprocessableTag("")
        made = await self.written(request, msgspec.json.encode(kept), etag, size)
        if made.ok:
            made.headers["etag"] = f'"{etag}"'
        return made

    async def put_synced(self, request: ObjectRequest) -> Response:
        """A manifest as another cluster keeps it: its segments come by themselves, before or after."""
        content = await request.body.whole(self.limits.max_manifest_size * 2)
        etag, size = slo_manifest.whole(slo_manifest.read_kept(content), request.path.account)
        return await self.written(request, content, etag, size)

    async def written(self, request: ObjectRequest, content: bytes, etag: str, size: int) -> Response:
        """A manifest stored, with what the whole is."""
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if not request.headers.get("content-type"):
            request.headers["content-type"] = "application/octet-stream"
        request.headers |= {
            HEADER: "True", ETAG: etag, SIZE: str(size), "content-length": str(len(content)),
            **override(md5, {NOTE: etag}, size),
        }  # fmt: skip
        request.body = Given(content)
        return await self.below(request)

    async def looked_at(self, request: ObjectRequest, wanted: list[Wanted]) -> list[Kept]:
        """Every segment as it is. Raises BadRequest with a line for each that is not as wanted."""
        slots = asyncio.Semaphore(AT_ONCE)
        distinct = {one.path for one in wanted if one.data is None}

        async def head(one: Wanted) -> Response:
            async with slots:
                asked = request.derive(
                    "HEAD", one.path, headers={"x-newest": "true"} if len(distinct) < AT_ONCE else {}
                )
                asked.facts[DEPTH] = request.facts.get(DEPTH, 0) + 1
                return await answered(self.handle, asked)

        first = {one.path: one for one in wanted if one.data is None}
        heads = dict(zip(first, await asyncio.gather(*map(head, first.values())), strict=True))
        wrong: list[str] = []
        kept = [_kept(one, heads.get(one.path), wrong) for one in wanted]
        if wrong:
            raise BadRequest("Errors:\n" + "\n".join(wrong)[:8000] + "\n")
        return [one for one in kept if one is not None]

    async def delete(self, request: ObjectRequest) -> Response:
        """The manifest and all its segments, those of manifests among them too."""
        doomed = [Deletion(path) async for path in self.all_paths(request, request.path, 0)]
        if (version := request.query.get("version-id")) is not None:
            doomed[-1] = Deletion(request.path, query={"version-id": version})
        return await delete_all(self.below, request, doomed)

    async def all_paths(self, request: ObjectRequest, path: Any, depth: int) -> AsyncIterator[Any]:
        """Segments before their manifest, so that what is left of a deletion can be deleted again."""
        got = await answered(self.below, request.derive("GET", path) if depth else _again(request, "GET"))
        if got.status == 404 and depth == 0:
            raise NotFound("")
        if got.headers.get(HEADER, "").lower() in TRUE and got.ok and depth < DEEPEST:
            for one in await self.manifest(got):
                if not one.data:
                    async for inner in self.all_paths(request, one.segment(path.account).path, depth + 1):
                        yield inner
        elif depth == 0 and got.ok:
            await got.close()
            raise BadRequest("Not an SLO manifest")
        await got.close()
        yield path


def _kept(one: Wanted, head: Response | None, wrong: list[str]) -> Kept | None:
    """A segment as it goes into the manifest; or a line more in `wrong`."""
    if one.data is not None:
        return Kept(data=base64.b64encode(one.data).decode())
    assert head is not None
    name = f"/{one.path.container}/{one.path.object}"

    size, etag = int(head.headers.get("content-length", "0")), head.headers.get("etag", "").strip('"')
    span = one.span(size)
    if why := _mismatch(one, head, (size, etag), span):
        wrong.append(f"{quote(one.named)}, {why}")
        return None
    assert span is not None
    chosen = "" if span == (0, size) else f"{span[0]}-{span[1] - 1}"
    at = (read_http_date(head.headers.get("last-modified", "")) or 0) * TICKS
    nested = head.headers.get(HEADER, "").lower() in TRUE
    kind = head.headers.get("content-type", "application/octet-stream")
    return Kept(name, etag, size, kind, iso(at), chosen, nested)


def _again(request: ObjectRequest, method: str) -> ObjectRequest:
    """The same thing asked for as a whole, whatever the conditions."""
    same = {name: value for name, value in request.query.items() if name in {"version-id", "symlink"}}
    return request.derive(method, query=same)


def _noted(row: dict[str, Any], facts: dict[str, str]) -> None:
    row["slo_etag"] = f'"{facts[NOTE]}"'
    without(row, NOTE)


def _mismatch(one: Wanted, head: Response, found: tuple[int, str], span: tuple[int, int] | None) -> str:
    """Why a segment is not the one that is wanted; "" when it is."""
    size, etag = found
    if not head.ok:
        return f"{head.status} {title(head.status)}"
    if one.size is not None and one.size != size:
        return "Size Mismatch"
    if one.etag is not None and one.etag != etag:
        return "Etag Mismatch"
    if span is None:
        return "Unsatisfiable Range" if one.range else "Too Small; each segment must be at least 1 byte."
    return ""


def _part_number(request: ObjectRequest) -> int | None:
    text = request.query.get("part-number")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text[:9]) < 1:
        raise BadRequest("Part number must be an integer greater than 0")
    if "range" in request.headers:
        raise BadRequest("Range requests are not supported with part number queries")
    return int(text[:9])


async def _part(request: ObjectRequest, readable: Readable, sizes: list[int], part: int) -> Response:
    """One segment, as the range of the whole that it is."""
    if (refusal := unmet(request, readable)) is not None:
        return refusal
    count = {"x-parts-count": str(len(sizes))}
    if part > len(sizes):
        about = {name: v for name, v in readable.headers.items() if name in STILL_TOLD}
        about |= {**count, "content-range": f"bytes */{readable.size}", "content-type": HTML}
        body = b"" if request.method == "HEAD" else b"The requested part number is not satisfiable"
        return Response(416, about | {"content-length": str(len(body))}, body)
    first = sum(sizes[: part - 1])
    stop = first + sizes[part - 1]
    headers = {**readable.headers, **count, "accept-ranges": "bytes", "content-length": str(stop - first)}
    headers["content-range"] = f"bytes {first}-{stop - 1}/{readable.size}"
    if request.method == "HEAD":
        return Response(206, headers)
    return await begun(Response(206, headers, readable.read(first, stop)))


def _explained(made: Response) -> str:
    return "" if made.ok else explained(made.status)


def _outcome(made: Response, *, as_json: bool) -> bytes:
    """What a client that was answered 202 at once has to be told."""
    said = made.body.decode() if isinstance(made.body, bytes) else ""
    lines, errors = said.partition("Errors:\n")[::2]
    about = {
        "Response Status": f"{made.status} {title(made.status)}",
        "Response Body": lines.strip() if not lines.startswith("<html>") and lines else _explained(made),
    }
    about |= {
        n: made.headers[k] for k, n in (("etag", "Etag"), ("last-modified", "Last Modified")) if k in made.headers
    }
    listed = [line.partition(", ")[::2] for line in errors.splitlines() if line]
    if as_json:
        return msgspec.json.encode({**about, "Errors": listed})
    text = "".join(f"{name}: {value}\n" for name, value in about.items())
    return (text + "Errors:\n" + "".join(f"{name}, {why}\n" for name, why in listed)).encode()


def make(store: Store, below: Handler) -> Handler:
    return _Slo(store, below, store.option(SloSettings)).handle


def _info(store: Store) -> dict[str, Any]:
    limits = store.option(SloSettings)
    return {
        "max_manifest_segments": limits.max_manifest_segments,
        "max_manifest_size": limits.max_manifest_size,
        "min_segment_size": 1,
        "yield_frequency": 10,
        "allow_async_delete": False,
    }


LAYER = Layer("slo", make, _info, settings=SloSettings, marks=lambda _store: Marks(asked=(HEADER,), object=(HEADER,)))
