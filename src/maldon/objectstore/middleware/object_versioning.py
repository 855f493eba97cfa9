r"""Versions: a container with X-Versions-Enabled keeps every version of its objects under an id, deletions among them.

Versions are objects of a hidden container beside it, \\0versions\\0<name>, named \\0<object>\\0<what sorts the newest
first>; the object itself is a static link to its newest version. A version's id is its timestamp; `null` is an object
from before versions were on, which is put aside, under its own time, when it is first overwritten. Names with a NUL
are nobody's: the front door refuses them, so clients reach versions by `version-id` and `versions` alone.
"""

from collections.abc import Awaitable, Mapping
from urllib.parse import quote

from maldon.kernel.errors import BadRequest, Conflict, NotAcceptable, NotFound, PreconditionFailed
from maldon.objectstore import timestamp
from maldon.objectstore.middleware.carrying import AS_IT_IS, write_as
from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered
from maldon.objectstore.middleware.rows import override
from maldon.objectstore.middleware.slo_manifest import SLO_ETAG, SLO_SIZE
from maldon.objectstore.middleware.symlink import EMPTY, HARDENED, KEPT, KEPT_BYTES, KEPT_ETAG
from maldon.objectstore.middleware.version_listing import list_versions
from maldon.objectstore.node import Book
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.expiry import wanted_end
from maldon.objectstore.proxy.listings import JSON, Item, Listing, chosen_format
from maldon.objectstore.proxy.object import content_type
from maldon.objectstore.proxy.reply import HTML, Response
from maldon.objectstore.proxy.request import TRUE, ObjectRequest
from maldon.objectstore.proxy.store import Store

CLIENT = "x-versions-enabled"
ENABLED, CONTAINER = "x-container-sysmeta-versions-enabled", "x-container-sysmeta-versions-cont"
VERSION = "x-object-sysmeta-version-id"
SHOWN = "x-object-version-id"
DELETED = "application/x-deleted;swift_versions_deleted=1"
LAST = 9_999_999_999 * timestamp.TICKS


def hidden(container: str) -> str:
    """The container that holds another's versions."""
    return f"\x00versions\x00{container}"


def version_path(path: Path, at: int) -> Path:
    """Where the version of that time is."""
    return Path(path.account, hidden(path.container), f"\x00{path.object}\x00{LAST - at:016d}")


def make(store: Store, below: Handler) -> Handler:
    work = _Versions(store, below)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.trusted:
            return below(request)
        if request.is_object:
            return work.object(request)
        if request.is_container:
            return work.container(request)
        return work.account(request) if request.path.account and request.method == "GET" else below(request)

    return handle


class _Versions:
    """The layer's verbs."""

    def __init__(self, store: Store, below: Handler) -> None:
        self.store, self.below = store, below

    def account(self, request: ObjectRequest) -> Awaitable[Response]:
        """Its listing, without what is hidden."""
        query = dict(request.query)
        name = "end_marker" if query.get("reverse", "").lower() in TRUE else "marker"
        query[name] = max(query.get(name, ""), "\x00\U0010ffff")
        request.query = query
        return self.below(request)

    async def container(self, request: ObjectRequest) -> Response:
        match request.method:
            case "PUT" | "POST" if CLIENT in request.headers:
                return await self.switch(request)
            case "GET" if "versions" in request.query:
                return await self.versions(request)
            case "DELETE":
                return await self.drop(request)
        response = await self.below(request)
        if request.method in {"GET", "HEAD"} and isinstance(response, Listing):
            await self.told(request, response)
        return response

    async def told(self, request: ObjectRequest, listing: Listing) -> None:
        """A container that has versions says so, and counts their bytes."""
        kept = listing.book.headers.get(ENABLED, ("", 0))[0]
        if not kept:
            return
        listing.headers[CLIENT] = "True" if kept == "true" else "False"
        used = listing.book.size + await versions_size(self.store, listing.book)
        listing.headers["x-container-bytes-used"] = str(used)
        if request.method == "GET":
            for row in listing.rows:
                _as_object(row)

    async def switch(self, request: ObjectRequest) -> Response:
        """PUT or POST with X-Versions-Enabled."""
        on = request.headers.pop(CLIENT).lower() in TRUE
        book = await self.store.known.container(request.path)
        legacy = [name for name in ("x-versions-location", "x-history-location")
                  if request.headers.get(name) or (book and book.headers.get(name, ("", 0))[0])]  # fmt: skip
        if on and legacy:
            raise BadRequest(f"Cannot enable object versioning on a container that has {legacy[0].title()}.")
        self.store.permit(request, book)
        if on and (book is None or CONTAINER not in book.headers):
            known = self.store.policies.get(book.policy) if book is not None else None
            policy = known.name if known is not None else request.headers.get("x-storage-policy", "")
            headers = {"content-length": "0", **({"x-storage-policy": policy} if policy else {})}
            aside = Path(request.path.account, hidden(request.path.container))
            await self.below(request.derive("PUT", aside, headers=headers, trusted=True))
            request.headers[CONTAINER] = quote(hidden(request.path.container))
        if on or (book is not None and ENABLED in book.headers):
            request.headers[ENABLED] = "true" if on else "false"
        return await self.below(request)

    async def versions(self, request: ObjectRequest) -> Response:
        """GET with `versions`: all of them, the newest of each name first."""
        book = await self.store.known.container(request.path)
        self.store.permit(request, book, "x-container-read")
        if book is None:
            raise NotFound("")
        if not self.has_versions(book):
            query = {name: value for name, value in request.query.items() if name != "versions"}
            request.query = query
        aside = Path(request.path.account, hidden(request.path.container)) if self.has_versions(book) else None
        said = request.query.get("format") or request.headers.get("accept", "*/*") != "*/*"
        if said and chosen_format(request) != JSON:
            raise NotAcceptable("Versions are listed as JSON only.")
        request.query = {**request.query, "format": "json"}
        return await list_versions(self.below, request, aside, self.store.settings.container_listing_limit)

    async def drop(self, request: ObjectRequest) -> Response:
        """DELETE of a container: not while there are versions."""
        book = await self.store.known.container(request.path)
        if not self.has_versions(book):
            return await self.below(request)
        self.store.permit(request, book)
        path = Path(request.path.account, hidden(request.path.container))
        aside = await self.store.known.newest(path)
        if aside is not None and not aside.deleted and aside.objects:
            raise Conflict("Delete all versions before deleting container.")
        response = await self.below(request)
        await answered(self.below, request.derive("DELETE", path, trusted=True))
        return response

    @staticmethod
    def has_versions(book: Book | None) -> bool:
        return book is not None and CONTAINER in book.headers

    @staticmethod
    def is_on(book: Book | None) -> bool:
        return book is not None and book.headers.get(ENABLED, ("", 0))[0] == "true"

    async def object(self, request: ObjectRequest) -> Response:
        book = self.store.known.remembered(request.path) or await self.store.known.container(request.path)
        wanted = request.query.get("version-id") if request.query_string else None
        if not self.has_versions(book):
            if wanted not in {None, "null"}:
                raise BadRequest("version-aware operations require that the container is versioned")
            return await self.below(request)
        if wanted is not None:
            return await self.of_version(request, book, wanted)
        match request.method:
            case "PUT" if self.is_on(book):
                return await self.put(request, book)
            case "DELETE" if self.is_on(book):
                return await self.delete(request, book)
            case "GET" | "HEAD":
                return _shown(await self.below(request), request)
            case "POST":
                return await self.post(request, book)
        return await self.below(request)

    async def put(self, request: ObjectRequest, book: Book | None) -> Response:
        """The new version goes aside, the object becomes a link to it."""
        self.store.permit(request, book, "x-container-write")
        if "if-none-match" in request.headers and await self.current(request):
            raise PreconditionFailed("")
        await self.keep_null(request)
        at, path = request.timestamp, request.path
        there = version_path(path, at)
        put = request.derive("PUT", there, headers=dict(request.headers), body=request.body, trusted=True)
        put.headers.pop("if-none-match", None)
        put.headers[VERSION] = timestamp.text(at)
        for name in ("x-delete-at", "x-delete-after"):  # ends what the object is now, not the version
            put.headers.pop(name, None)
        if not put.headers.get("content-type") and "x-symlink-target" not in put.headers:
            put.headers["content-type"] = content_type(request)
        put.timestamp = at
        put.query = {name: value for name, value in request.query.items() if name == "multipart-manifest"}
        put.facts.update(request.facts)
        made = await self.below(put)
        if not made.ok:
            return made
        end = wanted_end(request.headers)
        await self.link(request, there, at, {} if end is None else {"x-delete-at": end})
        made.headers[SHOWN] = timestamp.text(at)
        return made

    async def link(self, request: ObjectRequest, there: Path, at: int, more: Mapping[str, str]) -> Response:
        """The object is that version now. Raises NotFound when there is none."""
        head = await answered(self.below, request.derive("HEAD", there, query={"symlink": "get"}, trusted=True))
        if not head.ok or head.headers.get("content-type") == DELETED:
            raise NotFound("")
        etag, size = head.headers["etag"].strip('"'), head.headers["content-length"]
        target = f"{there.container}/{there.object}"
        kept = {KEPT: quote(target), KEPT_ETAG: etag, KEPT_BYTES: size, HARDENED: "true", VERSION: timestamp.text(at)}
        facts = {"symlink_target": target, "symlink_target_etag": etag, "symlink_target_bytes": size}
        if SLO_ETAG in head.headers:
            facts |= {"symlink_target_bytes": head.headers[SLO_SIZE], "slo_etag": head.headers[SLO_ETAG]}
        headers = {"content-type": head.headers["content-type"], "content-length": "0", **kept, **more}
        return await self.below(
            request.derive("PUT", request.path, headers=headers | override(EMPTY, facts), trusted=True)
        )

    async def keep_null(self, request: ObjectRequest) -> None:
        """An object from before versions were on is put aside, under its own time."""
        path = request.path
        head = await answered(self.below, request.derive("HEAD", path, query={"symlink": "get"}, trusted=True))
        if not head.ok or VERSION in head.headers:
            return
        got = await self.below(request.derive("GET", path, query=AS_IT_IS, trusted=True))
        at = timestamp.parse(got.headers["x-timestamp"])
        await write_as(self.below, request, version_path(path, at), got, {VERSION: timestamp.text(at)}, at)

    async def delete(self, request: ObjectRequest, book: Book | None) -> Response:
        """The object is gone, its versions are not; that it was deleted is a version too."""
        self.store.permit(request, book, "x-container-write")
        await self.keep_null(request)
        at = request.timestamp
        headers = {"content-type": DELETED, "content-length": "0", VERSION: timestamp.text(at)}
        mark = request.derive("PUT", version_path(request.path, at), headers=headers, trusted=True)
        mark.timestamp = at
        await self.below(mark)
        gone = await answered(self.below, request.derive("DELETE", request.path, trusted=True))
        headers = {"content-type": HTML, SHOWN: timestamp.text(at)}
        if gone.status == 404:
            return Response(404, headers)
        return Response(204, headers)

    async def post(self, request: ObjectRequest, book: Book | None) -> Response:
        """Metadata is that of the version the object is."""
        self.store.permit(request, book, "x-container-write")
        head = await answered(self.below, request.derive("HEAD", request.path, query={"symlink": "get"}, trusted=True))
        version = head.headers.get(VERSION)
        if not head.ok or version in {None, "null"}:
            return await self.below(request)
        there = version_path(request.path, timestamp.parse(version or ""))
        headers = dict(request.headers)
        ends: dict[str, str] = {
            name: headers.pop(name) for name in ("x-delete-at", "x-delete-after") if name in headers
        }
        if ends:  # what the object is now, not the version
            await self.below(request.derive("POST", request.path, headers=ends, trusted=True))
        response = await self.below(request.derive("POST", there, headers=headers, trusted=True))
        response.headers[SHOWN] = version or ""
        return response

    async def of_version(self, request: ObjectRequest, book: Book | None, wanted: str) -> Response:
        """What is asked of one version."""
        self.store.permit(request, book)  # versions are their owners' alone
        there = self.find(request, wanted)
        match request.method:
            case "GET" | "HEAD":
                asked = request.derive(request.method, there, headers=dict(request.headers), trusted=True)
                asked.query = {n: v for n, v in request.query.items() if n != "version-id"}
                response = await answered(self.below, asked)
                if wanted == "null" and VERSION in response.headers:  # it has an id by now
                    await response.close()
                    raise NotFound("")
                response.headers[SHOWN] = wanted
                if response.headers.get("content-type") == DELETED:
                    await response.close()
                    return Response(404, {"content-type": DELETED, SHOWN: wanted})
                return response
            case "DELETE":
                return await self.delete_version(request, there, wanted)
            case "PUT":
                return await self.restore(request, there, wanted)
        raise BadRequest("POST to a specific version is not allowed.")

    @staticmethod
    def find(request: ObjectRequest, wanted: str) -> Path:
        """Where a version is. Raises BadRequest."""
        if wanted == "null":
            return request.path
        try:
            return version_path(request.path, timestamp.parse(wanted))
        except ValueError:
            raise BadRequest("Invalid version parameter") from None

    async def current(self, request: ObjectRequest) -> str:
        """The id of the version that the object is; "" when there is no object."""
        head = await answered(self.below, request.derive("HEAD", request.path, query={"symlink": "get"}, trusted=True))
        return head.headers.get(VERSION, "null") if head.ok else ""

    async def delete_version(self, request: ObjectRequest, there: Path, wanted: str) -> Response:
        current = await self.current(request)
        if wanted == current and there != request.path:
            await answered(self.below, request.derive("DELETE", request.path, trusted=True))
            current = ""
        response = await answered(self.below, request.derive("DELETE", there, trusted=True))
        response.headers[SHOWN] = wanted
        response.headers["x-object-current-version-id"] = current or "null"
        return response

    async def restore(self, request: ObjectRequest, there: Path, wanted: str) -> Response:
        """PUT with `version-id`: the object is that version again."""
        if request.body.length:
            raise BadRequest("Request body must be empty to restore a version.")
        if wanted == "null":
            raise BadRequest("Only a version that has an id can be restored.")
        await self.keep_null(request)
        made = await self.link(request, there, timestamp.parse(wanted), {})
        made.headers[SHOWN] = wanted
        return made


def _as_object(row: Item) -> None:
    """A row of a link to a version, with the size and ETag of the object that it is to clients."""
    if "%00versions%00" in row.get("symlink_path", ""):
        _, cut, notes = row["hash"].partition("; ")
        row["hash"], row["bytes"] = row.pop("symlink_etag") + cut + notes, row.pop("symlink_bytes")
        row["version_symlink"] = True


def _shown(response: Response, request: ObjectRequest) -> Response:
    """Which version an answer is of."""
    version = response.headers.get(VERSION)
    if response.ok:
        response.headers[SHOWN] = version or "null"
    if version is not None:
        response.headers["content-location"] = f"{quote(f'/v1{request.path}')}?version-id={version}"
    return response


async def versions_size(store: Store, book: Book) -> int:
    """Bytes of a container's versions."""
    if CONTAINER not in book.headers:
        return 0
    aside = await store.known.newest(Path(book.path.account, hidden(book.path.container)))
    return aside.size if aside is not None and not aside.deleted else 0


LAYER = Layer("object_versioning", make, lambda _store: {}, marks=lambda _store: Marks(container=(CONTAINER,)))
