"""Symbolic links: an empty object with X-Symlink-Target stands for another, GET and HEAD follow it.

A link to a link is followed, `symloop_max` of them; more, or a circle, is 409. With X-Symlink-Target-Etag the link is
static: it is only made while the target is that version, and reading it is 409 once it is another. `symlink=get` reads
the link itself; PUT, POST and DELETE are always of the link, and a POST says where the target is by 307.
"""

from collections.abc import Awaitable
from typing import Any
from urllib.parse import quote, unquote

from maldon.kernel.errors import BadRequest, Conflict, Forbidden, PreconditionFailed, Unauthorized
from maldon.objectstore.middleware.carrying import SYNCED
from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered
from maldon.objectstore.middleware.rows import override, show, without
from maldon.objectstore.middleware.slo_manifest import SLO_ETAG, SLO_SIZE
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.listings import Listing
from maldon.objectstore.proxy.reply import HTML, Response
from maldon.objectstore.proxy.request import ObjectRequest, checked
from maldon.objectstore.proxy.store import Store

LOOP_MAX = 2
EMPTY = "d41d8cd98f00b204e9800998ecf8427e"
TARGET, ACCOUNT, ETAG, BYTES = (f"x-symlink-target{part}" for part in ("", "-account", "-etag", "-bytes"))
KEPT, KEPT_ACCOUNT, KEPT_ETAG, KEPT_BYTES = (
    f"x-object-sysmeta-symlink-target{part}" for part in ("", "-account", "-etag", "-bytes")
)
SHOWN = {KEPT: TARGET, KEPT_ACCOUNT: ACCOUNT, KEPT_ETAG: ETAG, KEPT_BYTES: BYTES}
HARDENED = "x-object-sysmeta-symloop-extend"
ALONG = ("range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "x-newest")


def make(_store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.is_object:
            match request.method:
                case "GET" | "HEAD":
                    return _get(request)
                case "PUT" if TARGET in request.headers or ETAG in request.headers:
                    return _put(request)
                case "PUT" if KEPT in request.headers and ACCOUNT in request.headers:
                    request.headers[KEPT_ACCOUNT] = request.headers.pop(ACCOUNT)  # a copy of a link
                case "POST":
                    return _post(request)
        elif request.is_container and request.method == "GET":
            return _listed(request)
        return below(request)

    async def _get(request: ObjectRequest) -> Response:
        response = await answered(below, request)
        if KEPT not in response.headers:
            return response
        if request.query_string and request.query.get("symlink") == "get":
            headers = response.headers
            headers |= {SHOWN[name]: headers[name] for name in SHOWN if name in headers}
            return response
        return await _follow(request, response)

    async def _follow(request: ObjectRequest, response: Response) -> Response:
        seen, followed = {request.path}, 0
        while (named := response.headers.get(KEPT)) is not None:
            etag = response.headers.get(KEPT_ETAG)
            followed += HARDENED not in response.headers
            path = _path(named, response.headers.get(KEPT_ACCOUNT) or request.path.account)
            await response.close()
            if followed > LOOP_MAX or path in seen:
                raise Conflict(f"Too many levels of symbolic links, maximum allowed is {LOOP_MAX}")
            seen.add(path)
            kept = {name: request.headers[name] for name in ALONG if name in request.headers}
            hidden = path.container.startswith("\x00")  # only a layer links there, and it has asked
            there = request.derive(request.method, path, headers=kept, query=dict(request.query), trusted=hidden)
            response = await answered(below, there)
            if etag and "etag" in response.headers and not _same(response, etag):
                await response.close()
                said = response.headers["etag"].strip('"')
                error = Conflict(f"Object Etag {said!r} does not match X-Symlink-Target-Etag header {etag!r}")
                error.headers = (("Content-Location", quote(f"/v1{path}")),)
                raise error
            response.headers["content-location"] = quote(f"/v1{path}")
        return response

    async def _put(request: ObjectRequest) -> Response:
        headers = request.headers
        path = _wanted(request)
        if request.body.length:
            raise BadRequest("Symlink requests require a zero byte body")
        facts = {"symlink_target": f"{path.container}/{path.object}"}
        kept = {KEPT: quote(f"{path.container}/{path.object}")}
        if path.account != request.path.account:
            kept[KEPT_ACCOUNT] = facts["symlink_target_account"] = path.account
        size = headers.pop(BYTES, "")
        etag = headers.pop(ETAG, "").strip('"').lower()
        if etag and request.facts.get(SYNCED):  # its target comes by itself, before or after
            kept |= {KEPT_ETAG: etag, KEPT_BYTES: size if size.isascii() and size.isdigit() else "0"}
            facts |= {"symlink_target_etag": etag, "symlink_target_bytes": kept[KEPT_BYTES]}
        elif etag:
            target = await _target(request, path, etag)
            kept |= {KEPT_ETAG: etag, KEPT_BYTES: target.headers.get("content-length", "0")}
            if SLO_ETAG in target.headers:
                kept[KEPT_BYTES], facts["slo_etag"] = target.headers[SLO_SIZE], target.headers[SLO_ETAG]
            facts |= {"symlink_target_etag": etag, "symlink_target_bytes": kept[KEPT_BYTES]}
            headers.setdefault("content-type", target.headers.get("content-type", ""))
        if not headers.get("content-type"):
            headers["content-type"] = "application/symlink"
        headers |= kept | override(EMPTY, facts)
        return await below(request)

    async def _target(request: ObjectRequest, path: Path, etag: str) -> Response:
        """The target of a static link, which must be that version. Raises Conflict."""
        found = await answered(below, request.derive("HEAD", path))
        if found.status == 401:
            raise Unauthorized("")
        if found.status == 403:
            raise Forbidden("")
        if not found.ok:
            raise Conflict("X-Symlink-Target does not exist")
        if not _same(found, etag):
            said = found.headers["etag"].strip('"')
            raise Conflict(f"Object Etag {said!r} does not match X-Symlink-Target-Etag header {etag!r}")
        return found

    async def _post(request: ObjectRequest) -> Response:
        if TARGET in request.headers:
            raise BadRequest("A PUT request is required to set a symlink target")
        response = await below(request)
        named = response.headers.get(KEPT)
        if named is None or not response.ok:
            return response
        path = _path(named, response.headers.get(KEPT_ACCOUNT) or request.path.account)
        headers = {"location": quote(f"/v1{path}"), "content-type": HTML}
        headers |= {ETAG: response.headers[KEPT_ETAG]} if KEPT_ETAG in response.headers else {}
        return Response(307, headers, b"The requested POST was applied to a symlink. POST directly to the target.")

    async def _listed(request: ObjectRequest) -> Response:
        response = await below(request)
        if isinstance(response, Listing):
            account = request.path.account

            def change(row: dict[str, Any], facts: dict[str, str]) -> None:
                owner, target = facts.get("symlink_target_account", account), facts["symlink_target"]
                row["symlink_path"] = quote(f"/v1/{owner}/{target}")
                if "symlink_target_etag" in facts:
                    row["symlink_etag"] = facts["symlink_target_etag"]
                if "symlink_target_bytes" in facts:
                    row["symlink_bytes"] = int(facts["symlink_target_bytes"])
                without(row, *(name for name in facts if name.startswith("symlink_")))

            show(response, "symlink_target", change)
        return response

    return handle


def _same(response: Response, etag: str) -> bool:
    """Whether it is that version, or a static link to it."""
    return etag in {response.headers.get("etag", "").strip('"'), response.headers.get(KEPT_ETAG)}


def _path(named: str, account: str) -> Path:
    container, _, name = unquote(named).partition("/")
    return Path(account, container, name)


def _wanted(request: ObjectRequest) -> Path:
    """What a PUT wants to link to. Raises PreconditionFailed, BadRequest."""
    headers = request.headers
    named = unquote(headers.pop(TARGET, ""), errors="surrogateescape").lstrip("/")
    account = unquote(headers.pop(ACCOUNT, ""), errors="surrogateescape") or request.path.account
    container, slash, name = named.partition("/")
    if not slash or not container or not name:
        error = PreconditionFailed("X-Symlink-Target header must be of the form <container name>/<object name>")
        error.headers = (("Content-Type", "text/plain; charset=UTF-8"),)
        raise error
    if "/" in account:
        raise PreconditionFailed("Account name cannot contain slashes")
    path = checked(Path(account, container, name))
    if path == request.path:
        raise BadRequest("Symlink cannot target itself")
    return path


def _info(_store: Store) -> dict[str, Any]:
    return {"symloop_max": LOOP_MAX, "static_links": True}


LAYER = Layer("symlink", make, _info, marks=lambda _store: Marks(asked=(TARGET, ETAG, KEPT), object=(KEPT,)))
