"""Versions as they first were: a container with X-Versions-Location keeps what is overwritten in another container.

Old versions are named <length of the name in hex><name>/<timestamp>. With X-Versions-Location a DELETE brings the last
one back; with X-History-Location it keeps what is deleted too, and a mark that it was. Both answer for the asker: who
may write an object may push its old version aside.
"""

from collections.abc import Awaitable
from typing import Any
from urllib.parse import quote, unquote

from maldon.kernel.errors import BadRequest, CloudError, PreconditionFailed
from maldon.objectstore import timestamp
from maldon.objectstore.middleware.carrying import AS_IT_IS, write_as
from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.listings import Listing
from maldon.objectstore.proxy.reply import HTML, Response
from maldon.objectstore.proxy.request import ObjectRequest, checked
from maldon.objectstore.proxy.store import Store

STACK, HISTORY = "x-versions-location", "x-history-location"
DELETED = "application/x-deleted;swift_versions_deleted=1"


def make(store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.is_container and request.method in {"PUT", "POST"}:
            _check(request)
        elif request.is_object and request.method in {"PUT", "DELETE"} and not request.trusted:
            return _object(request)
        return below(request)

    async def _object(request: ObjectRequest) -> Response:
        book = store.known.remembered(request.path) or await store.known.container(request.path)
        headers = book.headers if book is not None else {}
        for name in (STACK, HISTORY):
            if kept := headers.get(name, ("", 0))[0]:
                store.permit(request, book, "x-container-write")
                there = unquote(kept).split("/", 1)[0]
                if request.method == "PUT":
                    await _push(request, there)
                    return await below(request)
                return await (_pop(request, there) if name == STACK else _bury(request, there))
        return await below(request)

    async def _push(request: ObjectRequest, container: str) -> bool:
        """Put the present version aside; whether there was one. Raises PreconditionFailed when it cannot be kept."""
        got = await answered(below, request.derive("GET", request.path, query=AS_IT_IS, trusted=True))
        if got.status == 404:
            await got.close()
            return False
        if not got.ok:
            await got.close()
            raise PreconditionFailed("The present version cannot be read to be kept.", internal=f"{got.status}")
        await _write(request, _aside(request.path, container, timestamp.parse(got.headers["x-timestamp"])), got)
        return True

    async def _write(request: ObjectRequest, to: Path, got: Response) -> None:
        try:
            await write_as(below, request, to, got)
        except CloudError as error:
            raise PreconditionFailed(
                "The version cannot be kept: see its container.", internal=f"{to}: {error}"
            ) from error

    async def _pop(request: ObjectRequest, container: str) -> Response:
        """DELETE: the last version kept takes the place of this one."""
        path, rows = request.path, (await _kept(request, container))[::-1]
        if rows and rows[0]["content_type"].startswith("application/x-deleted"):
            mark = Path(path.account, container, rows.pop(0)["name"])
            await answered(below, request.derive("DELETE", mark, trusted=True))
            if (await answered(below, request.derive("HEAD", path, trusted=True))).ok:
                return await below(request)
            if not rows or rows[0]["content_type"].startswith("application/x-deleted"):
                return Response(204, {"content-type": HTML})
        for row in rows:
            source = Path(path.account, container, row["name"])
            got = await answered(below, request.derive("GET", source, query=AS_IT_IS, trusted=True))
            if not got.ok:
                await got.close()
                continue
            await _write(request, path, got)
            await answered(below, request.derive("DELETE", source, trusted=True))
            return Response(204, {"content-type": HTML})
        return await below(request)

    async def _bury(request: ObjectRequest, container: str) -> Response:
        """DELETE: the version is kept, and that it was deleted."""
        await _push(request, container)
        mark = _aside(request.path, container, request.timestamp)
        headers = {"content-type": DELETED, "content-length": "0"}
        await below(request.derive("PUT", mark, headers=headers, trusted=True))
        return await below(request)

    async def _kept(request: ObjectRequest, container: str) -> list[dict[str, Any]]:
        """The rows of the versions that are kept, the oldest first."""
        path, marker = Path(request.path.account, container), ""
        found: list[dict[str, Any]] = []
        prefix = f"{len(request.path.object.encode()):03x}{request.path.object}/"
        while True:
            query = {"prefix": prefix, "marker": marker}
            listed = await answered(below, request.derive("GET", path, query=query, trusted=True))
            rows = listed.rows if isinstance(listed, Listing) else []
            if not rows:
                return found
            found += rows
            marker = rows[-1]["name"]

    return handle


def _aside(path: Path, container: str, at: int) -> Path:
    name = f"{len(path.object.encode()):03x}{path.object}/{timestamp.text(at)}"
    return Path(path.account, container, name)


def _check(request: ObjectRequest) -> None:
    """Of the two one, and no slash in it. Raises BadRequest, PreconditionFailed."""
    headers = request.headers
    given = [name for name in (STACK, HISTORY) if headers.get(name)]
    if len(given) > 1:
        raise BadRequest("Only one of X-History-Location or X-Versions-Location may be specified")
    for name in given:
        text = unquote(headers[name], errors="surrogateescape").lstrip("/")
        if not text.rstrip("/") or "/" in text.rstrip("/"):
            raise PreconditionFailed(f"{name.title()} must be a container's name")
        headers[name] = quote(checked(Path(request.path.account, text.rstrip("/"))).container)
        headers[STACK if name == HISTORY else HISTORY] = ""  # the one ends the other


def _info(_store: Store) -> dict[str, Any]:
    return {"allowed_flags": [STACK, HISTORY]}


LAYER = Layer("versioned_writes", make, _info, marks=lambda _store: Marks(container=(STACK, HISTORY)))
