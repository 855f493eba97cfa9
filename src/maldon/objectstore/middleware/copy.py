"""Copies made by the store itself: COPY with Destination, and PUT with X-Copy-From.

Both become a GET of the source, with the asker's own rights, whose bytes are the body of a PUT. Metadata comes along
unless X-Fresh-Metadata says otherwise, and what the request brings goes before it. A manifest asked for with
`multipart-manifest=get`, or a link with `symlink=get`, is copied as such; otherwise what it stands for is.
"""

from collections.abc import Awaitable
from urllib.parse import quote, unquote

from maldon.kernel.errors import BadRequest, PreconditionFailed, TooLarge
from maldon.objectstore.middleware.carrying import COPIED, carried
from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import TRUE, Given, ObjectRequest, checked
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.telling import OVERRIDE

OF_THE_SOURCE = {"multipart-manifest", "symlink", "version-id", "part-number"}
CONDITIONS = {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range"}
SLO, SLO_META = "x-static-large-object", "x-object-sysmeta-slo-"


def make(store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if not request.is_object:
            return below(request)
        if request.method == "COPY":
            return _copy(request, _destination(request), request.path)
        if request.method == "PUT" and "x-copy-from" in request.headers:
            if request.body.length:
                raise BadRequest("Copy requests require a zero byte body")
            return _copy(request, request.path, _source(request))
        return below(request)

    async def _copy(request: ObjectRequest, to: Path, source: Path) -> Response:
        whole = "range" not in request.headers
        mine = CONDITIONS if request.method == "COPY" else CONDITIONS - {"if-none-match"}
        asked = {name: request.headers[name] for name in mine if name in request.headers}
        query = {name: v for name, v in request.query.items() if name in OF_THE_SOURCE}
        manifest = query.get("multipart-manifest") == "get"
        if manifest:
            query["format"] = "raw"
        got = await answered(below, request.derive("GET", source, headers={**asked, "x-newest": "true"}, query=query))
        if not got.ok:
            return got
        size = int(got.headers["content-length"]) if "content-length" in got.headers else None
        if size is not None and size > store.settings.max_file_size:
            await got.close()
            raise TooLarge("Your request is too large.")
        headers = _headers(request, got, whole=whole, manifest=manifest)
        put = request.derive("PUT", to, headers=headers, body=Given(got.body, size))
        put.facts[COPIED] = True
        if size is not None:
            put.headers["content-length"] = str(size)
        if manifest and got.headers.get(SLO, "").lower() in TRUE:
            put.query = {"multipart-manifest": "put"}
        try:
            made = await below(put)
        finally:
            await got.close()
        if made.ok:
            made.headers |= {name: value for name, value in headers.items() if name.startswith("x-object-meta-")}
        return _told(made, got, source)

    return handle


def _destination(request: ObjectRequest) -> Path:
    """Where a COPY goes. Raises PreconditionFailed."""
    if "destination" not in request.headers:
        raise PreconditionFailed("Destination header required")
    return _named(request, "Destination", request.headers.get("destination-account"))


def _source(request: ObjectRequest) -> Path:
    """Where the bytes of a PUT come from. Raises PreconditionFailed."""
    return _named(request, "X-Copy-From", request.headers.get("x-copy-from-account"))


def _named(request: ObjectRequest, header: str, account: str | None) -> Path:
    text = unquote(request.headers[header.lower()], errors="surrogateescape").lstrip("/")
    container, slash, name = text.partition("/")
    if not slash or not container or not name:
        raise PreconditionFailed(f"{header} header must be of the form <container name>/<object name>")
    chosen = unquote(account, errors="surrogateescape") if account else request.path.account
    if "/" in chosen:
        raise PreconditionFailed("Account name cannot contain slashes")
    return checked(Path(chosen, container, name))


def _headers(request: ObjectRequest, got: Response, *, whole: bool, manifest: bool) -> dict[str, str]:
    """Those of the PUT: the source's metadata under what the request brings."""
    fresh = request.headers.get("x-fresh-metadata", "").lower() in TRUE
    kept = {"content-type": got.headers.get("content-type", "")} if fresh else carried(got)
    if not manifest:
        kept.pop("x-object-manifest", None)
    # The copy of a large object is none, and that of its manifest is put as a manifest is.
    kept = {name: v for name, v in kept.items() if name != SLO and not name.startswith(SLO_META)}
    if not whole or SLO in got.headers:
        kept = {name: v for name, v in kept.items() if not name.startswith(OVERRIDE)}
    given = {
        name: value for name, value in request.headers.items()
        if name not in CONDITIONS and name not in {"content-length", "etag", "transfer-encoding"}
    }  # fmt: skip
    if not given.get("content-type"):
        given.pop("content-type", None)
    if "x-delete-after" in given or "x-delete-at" in given:
        kept.pop("x-delete-at", None)
    for name in ("x-copy-from", "x-copy-from-account", "destination", "destination-account", "x-fresh-metadata"):
        given.pop(name, None)
    if request.method == "PUT" and "if-none-match" in request.headers:
        given["if-none-match"] = request.headers["if-none-match"]
    return {**kept, **given}


def _told(made: Response, got: Response, source: Path) -> Response:
    """The answer to the PUT, and what was copied."""
    if made.ok:
        made.headers["x-copied-from"] = quote(f"{source.container}/{source.object}")
        made.headers["x-copied-from-account"] = quote(source.account)
        if "last-modified" in got.headers:
            made.headers["x-copied-from-last-modified"] = got.headers["last-modified"]
    return made


LAYER = Layer("copy", make, marks=lambda _store: Marks(asked=("x-copy-from",)))
