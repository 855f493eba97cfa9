"""Objects: GET, HEAD, PUT, POST, DELETE.

A GET of a small object is one look-up of what is known of its container, one of the ring, one reading. A PUT is written
by all replicas at once and answered when a quorum has it on stable storage, their containers told or the debt noted.
"""

import mimetypes
import posixpath
from collections.abc import AsyncIterator, Callable
from functools import lru_cache, partial

from maldon.kernel.errors import BadRequest, CloudError, NotFound, PreconditionFailed, TooLarge
from maldon.objectstore.coding.looking import look
from maldon.objectstore.coding.reading import begun, open_plain
from maldon.objectstore.coding.reading import read as read_coded
from maldon.objectstore.coding.whole import told_as_whole
from maldon.objectstore.coding.writing import write as write_coded
from maldon.objectstore.node import Book, Footer, Incoming, Put, Reading, Record, Spot, Superseded
from maldon.objectstore.path import Path
from maldon.objectstore.proxy import conditions
from maldon.objectstore.proxy.expiry import OPEN_EXPIRED, expired, wanted_end
from maldon.objectstore.proxy.lessons import Lessons
from maldon.objectstore.proxy.metadata import as_given, as_kept, check_metadata
from maldon.objectstore.proxy.names import check_names
from maldon.objectstore.proxy.placing import Node, Place
from maldon.objectstore.proxy.quorum import Living, ask, ask_all, heard, say
from maldon.objectstore.proxy.reading import SYSMETA, Readable, answer
from maldon.objectstore.proxy.removing import remove
from maldon.objectstore.proxy.repeated import made
from maldon.objectstore.proxy.reply import HTML, Response
from maldon.objectstore.proxy.request import SMALL, TRUE, Body, ObjectRequest
from maldon.objectstore.proxy.spread import alike, spread
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.proxy.times import http_date
from maldon.objectstore.telling import row_of
from maldon.objectstore.timestamp import text

KEPT = {
    "content-encoding", "content-disposition", "cache-control", "content-language", "expires", "x-robots-tag",
    "x-object-manifest", "x-static-large-object",
}  # fmt: skip
META = "x-object-meta-"  # which may have nothing to say
KEPT_PREFIXES = (META, "x-object-sysmeta-", "x-object-transient-sysmeta-")
PLAIN = frozenset({"range", "x-newest", *conditions.NAMES})
"""Headers that make a GET more than a plain reading."""


class LengthRequired(CloudError):
    status, code = 411, "length-required"


async def get(store: Store, request: ObjectRequest) -> Response:
    """GET and HEAD."""
    place = await _place(store, request, "x-container-read")
    if place.code is not None:
        return await _get_coded(store, request, place)
    headers = request.headers
    if not PLAIN.isdisjoint(headers):
        record = await find_record(store, request, place)
        return answer(request, _readable(store, request, place, record))
    if request.method == "HEAD":
        return Response(200, _whole(await find_record(store, request, place)))
    if len(place.primaries) == 1:  # by far the most frequent way, so it goes without anything in between
        device = place.primaries[0]
        reading = await store.placing.nodes.at(device.address).read_object(place.spot(device), request.path)
    else:
        reading = await ask(
            store.placing, place, lambda node, spot, _: node.read_object(spot, request.path), Living(_dates_read)
        )
    if reading is None or reading.record.deleted:
        raise NotFound("")
    return Response(200, _whole(_alive(store, reading.record, request)), reading.body)


async def _get_coded(store: Store, request: ObjectRequest, place: Place) -> Response:
    """GET and HEAD of what is in fragments."""
    headers = request.headers
    if request.method == "GET" and PLAIN.isdisjoint(headers):
        opened = await open_plain(store.placing, place, request.path)
        if opened is not None:
            response = Response(200, {}, opened.body)
            try:
                response.headers = _whole(_alive(store, told_as_whole(opened.record), request))
            except NotFound:
                await response.close()
                raise
            return response
    version = await look(store.placing, place, request.path, newest=headers.get("x-newest", "").lower() in TRUE)
    if version is None:
        raise NotFound("")
    record = _alive(store, told_as_whole(version.record), request)
    read = partial(read_coded, store.placing, place, request.path, version)
    at = max(record.timestamp, record.posted_at)
    response = answer(request, Readable(headers_of(record), record.size, record.etag, at, read))
    response.body = await begun(response.body)
    return response


def _whole(record: Record) -> dict[str, str]:
    """The headers of an answer that has all of it."""
    shown = headers_of(record)
    shown["accept-ranges"] = "bytes"
    shown["content-length"] = str(record.size)
    return shown


def _dates(record: Record) -> tuple[int, int]:
    return (0, record.timestamp) if record.deleted else (record.timestamp, 0)


def _dates_read(reading: Reading) -> tuple[int, int]:
    return _dates(reading.record)


async def find_record(store: Store, request: ObjectRequest, place: Place) -> Record:
    """What is held of the object. Raises NotFound."""
    record = await _held(store, request, place)
    if record is None:
        raise NotFound("")
    return _alive(store, record, request)


async def _held(store: Store, request: ObjectRequest, place: Place) -> Record | None:
    """The same, be it expired or a tombstone."""
    path, newest = request.path, request.headers.get("x-newest", "").lower() in TRUE
    if place.code is not None:
        version = await look(store.placing, place, path, newest=newest)
        return None if version is None else told_as_whole(version.record)
    if len(place.primaries) == 1:
        device = place.primaries[0]
        return await store.placing.nodes.at(device.address).head_object(place.spot(device), path)
    if newest:
        records = await ask_all(store.placing, place, lambda node, spot, _: node.head_object(spot, path), beyond=True)
        return max(records, key=lambda one: (one.timestamp, one.deleted, one.posted_at), default=None)
    return await ask(store.placing, place, lambda node, spot, _: node.head_object(spot, path), Living(_dates))


def _alive(store: Store, record: Record, request: ObjectRequest) -> Record:
    if record.deleted or (expired(record.headers) and not _opens_expired(store, request)):
        raise NotFound("")
    return record


def _opens_expired(store: Store, request: ObjectRequest) -> bool:
    return store.settings.allow_open_expired and request.headers.get("x-open-expired", "").lower() in TRUE


def headers_of(record: Record) -> dict[str, str]:
    """What an answer says of an object, its length aside."""
    at = max(record.timestamp, record.posted_at)
    return {**as_given(record.headers), "etag": record.etag, "last-modified": http_date(at), "x-timestamp": text(at)}


def _readable(store: Store, request: ObjectRequest, place: Place, record: Record) -> Readable:
    read = partial(_pieces, store, request.path, place, record)
    return Readable(headers_of(record), record.size, record.etag, max(record.timestamp, record.posted_at), read)


async def _pieces(
    store: Store, path: Path, place: Place, record: Record, start: int, stop: int
) -> AsyncIterator[bytes]:
    """The bytes of that very version, from one to another."""
    reading = await ask(
        store.placing, place, lambda node, spot, _: node.read_object(spot, path, start, stop),
        lambda found: found.record.timestamp == record.timestamp,
    )  # fmt: skip
    if reading is None or reading.record.timestamp != record.timestamp:
        raise NotFound("", internal=f"{path} was replaced while it was being read")
    if isinstance(reading.body, bytes):
        yield reading.body
        return
    async for piece in reading.body:
        yield piece


async def put(store: Store, request: ObjectRequest) -> Response:
    """PUT: 201 when a quorum has it."""
    headers, path = request.headers, request.path
    container = store.known.books(request)[1] or await store.known.container(path)
    store.permit(request, container, "x-container-write")
    if container is None:
        raise NotFound("")
    kept = _kept(store, request)
    place = store.placing.object(path, container.policy)
    if "if-none-match" in headers:
        await _must_be_new(store, request, place)
    body: Incoming
    length, footer = request.body.length, request.body.footer
    if length is not None and length <= SMALL:
        body = await request.body.whole()
        if footer is not None:
            kept |= footer()
    else:
        request.body.limit = store.settings.max_file_size
        body = aiter(request.body) if footer is None else _footed(request.body, footer)
    claimed = headers.get("etag", "").strip('"').lower()
    written = Put(request.timestamp, kept, claimed, length, footed=footer is not None and not isinstance(body, bytes))
    try:
        record = await write(store, path, place, written, body)
    except Superseded:
        return Response(202, {"content-type": HTML})
    shown = {"etag": record.etag, "last-modified": http_date(record.timestamp), "content-type": HTML}
    return Response(201, shown)


async def _footed(body: Body, footer: Callable[[], dict[str, str]]) -> AsyncIterator[bytes | Footer]:
    async for piece in body:
        yield piece
    yield Footer(footer())


async def write(store: Store, path: Path, place: Place, written: Put, body: Incoming) -> Record:
    """Write it to all replicas; what one of them holds now."""
    if place.code is not None:
        return await write_coded(store.placing, place, place.code, path, written, body)
    if len(place.primaries) == 1:
        device, told = place.primaries[0], store.placing.teachings(path, place)[0]
        return await store.placing.nodes.at(device.address).put_object(place.spot(device), path, written, body, told)
    lessons = Lessons(store.placing, path, place)

    def is_it(held: Record) -> bool:
        return held.timestamp == written.timestamp and not held.deleted

    async def one(node: Node, spot: Spot, n: int, part: Incoming) -> Record:
        writing = node.put_object(spot, path, written, part, lessons.of(n))
        record, told = await made(writing, node, spot, path, is_it)
        if told:
            lessons.done(n)
        assert record is not None
        return record

    if isinstance(body, bytes):
        records = await say(store.placing, place, lambda node, spot, n: one(node, spot, n, body))
    else:
        records = await spread(store.placing, place, alike(body, len(place.primaries)), one)
    await lessons.make_up(row_of(path, records[0], place.policy))
    return records[0]


@lru_cache(maxsize=4096)
def _is_kept(name: str) -> bool:
    """Whether a header is metadata of an object: the same few names are asked for again and again."""
    return name in KEPT or name.startswith(KEPT_PREFIXES)


def _kept(store: Store, request: ObjectRequest) -> dict[str, str]:
    """The metadata to be kept of a PUT. Raises BadRequest, TooLarge, LengthRequired."""
    headers, limits = request.headers, store.settings
    length = request.body.length
    if length is not None and length > limits.max_file_size:
        raise TooLarge("Your request is too large.")
    if length == 0 and "content-length" not in headers and not request.trusted:
        raise LengthRequired("Missing Content-Length header.")
    check_names(request.path, limits)
    check_metadata(headers, "object", limits)
    kept = {name: value for name, value in headers.items() if _is_kept(name)}
    kept["content-type"] = content_type(request)
    if (end := wanted_end(headers)) is not None:
        kept["x-delete-at"] = end
    return as_kept({name: value for name, value in kept.items() if value or name.startswith(META)})


@lru_cache(maxsize=1024)
def _guessed(suffix: str) -> str:
    return mimetypes.guess_type(f"name{suffix}")[0] or "application/octet-stream"


def content_type(request: ObjectRequest) -> str:
    """What the client says, or what the name suggests."""
    given = request.headers.get("content-type", "")
    if not given or request.headers.get("x-detect-content-type", "").lower() in TRUE:
        return _guessed(posixpath.splitext(request.path.object)[1])
    return given


async def _must_be_new(store: Store, request: ObjectRequest, place: Place) -> None:
    if conditions.tags(request.headers["if-none-match"]) != {"*"}:
        raise BadRequest("If-None-Match only supports *")
    try:
        await find_record(store, request, place)
    except NotFound:
        return
    raise PreconditionFailed("")


async def post(store: Store, request: ObjectRequest) -> Response:
    """POST: its metadata is replaced, its bytes stay."""
    place = await _place(store, request, "x-container-write")
    headers, path = request.headers, request.path
    check_metadata(headers, "object", store.settings)
    kept = {name: value for name, value in headers.items() if _is_kept(name) and (value or name.startswith(META))}
    kept.pop("x-static-large-object", None)
    if headers.get("content-type"):
        kept["content-type"] = content_type(request)
    if (end := wanted_end(headers)) is not None:
        kept["x-delete-at"] = end
    if _opens_expired(store, request):
        kept[OPEN_EXPIRED] = "true"
    told, kept = store.placing.teachings(path, place), as_kept(kept)
    at = request.timestamp

    async def one(node: Node, spot: Spot, n: int) -> Record | None:
        posting = node.post_object(spot, path, at, kept, told[n])
        return (await made(posting, node, spot, path, lambda held: held.posted_at == at))[0]

    records = await say(store.placing, place, one)
    heard(place, sum(record is not None and not record.deleted for record in records))
    before = _before(store, records, request)
    known = {name: value for name, value in before.headers.items() if name.startswith(SYSMETA)}
    return Response(202, {"content-type": HTML, **known})


async def delete(store: Store, request: ObjectRequest) -> Response:
    """DELETE: a tombstone on all replicas."""
    place = await _place(store, request, "x-container-write")
    if (end := request.headers.get("x-if-delete-at")) is not None:
        await _must_end_then(store, request, place, end)
    records = await remove(store.placing, place, request.path, request.timestamp)
    _before(store, records, request)
    return Response(204, {"content-type": HTML})


async def _must_end_then(store: Store, request: ObjectRequest, place: Place, end: str) -> None:
    """Raise PreconditionFailed unless it is to end at that moment: what the expirer takes away must be what it saw."""
    if not end.isdecimal():
        raise BadRequest("Bad X-If-Delete-At header value")
    record = await _held(store, request, place)
    if record is None or record.headers.get("x-delete-at") != end:
        raise PreconditionFailed("X-If-Delete-At and X-Delete-At do not match")


def _before(store: Store, records: list[Record | None], request: ObjectRequest) -> Record:
    """What there was, as one of the replicas knew it. Raises NotFound."""
    for record in records:
        if record is not None and not record.deleted:
            return _alive(store, told_as_whole(record), request)
    raise NotFound("")


async def _place(store: Store, request: ObjectRequest, acl: str) -> Place:
    """Where the object is, once the asker may. Raises NotFound where there is no container."""
    container: Book | None = store.known.books(request)[1] or await store.known.container(request.path)
    store.permit(request, container, acl)
    if container is None:
        raise NotFound("")
    return store.placing.object(request.path, container.policy)
