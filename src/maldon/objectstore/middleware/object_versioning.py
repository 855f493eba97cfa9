r"""Versions: a container with X-Versions-Enabled keeps every version of its objects under an id, deletions among them.

Versions are objects of a hidden container beside it, \\0versions\\0<name>, named \\0<object>\\0<what sorts the newest
first>; the object itself is a static link to its newest version. A version's id is its timestamp. An object from before
versions were on has the id `null`, and is put aside when it is first overwritten. Names with a NUL are nobody's: the
front door refuses them, so clients reach versions by `version-id` and `versions` alone.
"""

from collections.abc import Awaitable
from urllib.parse import quote

from maldon.kernel.errors import BadRequest, Conflict, NotFound, PreconditionFailed
from maldon.objectstore import timestamp
from maldon.objectstore.middleware.carrying import AS_IT_IS, write_as
from maldon.objectstore.middleware.layer import Handler, Layer, answered
from maldon.objectstore.middleware.rows import override
from maldon.objectstore.middleware.symlink import EMPTY, HARDENED, KEPT, KEPT_BYTES, KEPT_ETAG
from maldon.objectstore.middleware.version_listing import NULL_NOTE, list_versions
from maldon.objectstore.node import Book
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.listings import Item, Listing
from maldon.objectstore.proxy.reply import HTML, Response
from maldon.objectstore.proxy.request import TRUE, ObjectRequest
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.telling import OVERRIDE

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
        aside = await self.store.known.newest(Path(request.path.account, hidden(request.path.container)))
        if aside is not None and not aside.deleted:
            listing.headers["x-container-bytes-used"] = str(listing.book.size + aside.size)
        if request.method == "GET":
            for row in listing.rows:
                _unlinked(row)

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
        request.query = {**request.query, "format": "json"}  # no other form has a place for ids
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
                return _shown(await self.below(request))
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
        if "content-type" not in put.headers:
            put.headers["x-detect-content-type"] = "true"
        put.timestamp = at
        put.query = {name: value for name, value in request.query.items() if name == "multipart-manifest"}
        put.facts.update(request.facts)
        made = await self.below(put)
        if not made.ok:
            return made
        await self.link(request, there, at)
        made.headers[SHOWN] = timestamp.text(at)
        return made

    async def link(self, request: ObjectRequest, there: Path, at: int) -> Response:
        """The object is that version now."""
        head = await self.below(request.derive("HEAD", there, query={"symlink": "get"}, trusted=True))
        etag, size = head.headers["etag"].strip('"'), head.headers["content-length"]
        target = f"{there.container}/{there.object}"
        kept = {KEPT: quote(target), KEPT_ETAG: etag, KEPT_BYTES: size, HARDENED: "true", VERSION: timestamp.text(at)}
        facts = {"symlink_target": target, "symlink_target_etag": etag, "symlink_target_bytes": size}
        headers = {
            "content-type": head.headers["content-type"],
            "content-length": "0",
            **kept,
            **override(EMPTY, facts),
        }
        return await self.below(request.derive("PUT", request.path, headers=headers, trusted=True))

    async def keep_null(self, request: ObjectRequest) -> None:
        """An object from before versions were on is put aside, under its own time."""
        path = request.path
        head = await answered(self.below, request.derive("HEAD", path, query={"symlink": "get"}, trusted=True))
        if not head.ok or VERSION in head.headers:
            return
        got = await self.below(request.derive("GET", path, query=AS_IT_IS, trusted=True))
        at = timestamp.parse(got.headers["x-timestamp"])
        noted = got.headers.get(f"{OVERRIDE}etag", got.headers["etag"].strip('"')) + NULL_NOTE
        more = {VERSION: "null", f"{OVERRIDE}etag": noted}
        await write_as(self.below, request, version_path(path, at), got, more, at)

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
        response = await self.below(request.derive("POST", there, headers=dict(request.headers), trusted=True))
        response.headers[SHOWN] = version or ""
        return response

    async def of_version(self, request: ObjectRequest, book: Book | None, wanted: str) -> Response:
        """What is asked of one version."""
        self.store.permit(
            request, book, "x-container-read" if request.method in {"GET", "HEAD"} else "x-container-write"
        )
        there = await self.find(request, wanted)
        match request.method:
            case "GET" | "HEAD":
                asked = request.derive(request.method, there, headers=dict(request.headers), trusted=True)
                asked.query = {n: v for n, v in request.query.items() if n != "version-id"}
                response = await answered(self.below, asked)
                response.headers[SHOWN] = wanted
                if response.headers.get("content-type") == DELETED:
                    await response.close()
                    return Response(404, {"content-type": HTML, SHOWN: wanted})
                return response
            case "DELETE":
                return await self.delete_version(request, there, wanted)
            case "PUT":
                return await self.restore(request, there, wanted)
        raise BadRequest("POST to a specific version is not allowed.")

    async def find(self, request: ObjectRequest, wanted: str) -> Path:
        """Where a version is. Raises BadRequest, NotFound."""
        path = request.path
        if wanted != "null":
            try:
                return version_path(path, timestamp.parse(wanted))
            except ValueError:
                raise BadRequest("Invalid version parameter") from None
        current = await answered(self.below, request.derive("HEAD", path, query={"symlink": "get"}, trusted=True))
        if current.ok and VERSION not in current.headers:
            return path
        aside = Path(path.account, hidden(path.container))
        query = {"prefix": f"\x00{path.object}\x00"}
        listed = await answered(self.below, request.derive("GET", aside, query=query, trusted=True))
        for row in reversed(listed.rows if isinstance(listed, Listing) else []):
            there = Path(aside.account, aside.container, row["name"])
            head = await answered(self.below, request.derive("HEAD", there, query={"symlink": "get"}, trusted=True))
            if head.headers.get(VERSION) == "null":
                return there
        raise NotFound("")

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
        head = await self.below(request.derive("HEAD", there, query={"symlink": "get"}, trusted=True))
        if head.headers.get("content-type") == DELETED:
            raise NotFound("")
        await self.keep_null(request)
        at = timestamp.parse(wanted) if wanted != "null" else timestamp.parse(head.headers["x-timestamp"])
        made = await self.link(request, there, at)
        made.headers[SHOWN] = wanted
        return made


def _unlinked(row: Item) -> None:
    """A row of a link to a version, as that of the object that it is to clients."""
    if "%00versions%00" in row.get("symlink_path", ""):
        row["hash"], row["bytes"] = row.pop("symlink_etag"), row.pop("symlink_bytes")
        del row["symlink_path"]


def _shown(response: Response) -> Response:
    """Which version an answer is of."""
    response.headers[SHOWN] = response.headers.get(VERSION, "null") if response.ok else ""
    if not response.ok:
        del response.headers[SHOWN]
    response.headers.pop("content-location", None)
    return response


LAYER = Layer("object_versioning", make, lambda _store: {})
