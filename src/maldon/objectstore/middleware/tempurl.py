"""Temporary addresses: whoever has one may do what its signature allows until it expires, without a token.

`temp_url_sig` is the HMAC, by a key kept in the account's or the container's metadata (Temp-URL-Key, Temp-URL-Key-2),
of method, `temp_url_expires` and path, one a line; in hexadecimal, or as `sha256:base64`. `temp_url_prefix` signs all
paths that begin so, `temp_url_ip_range` one range of addresses. A signature for GET, PUT or POST is good for HEAD. A
key of a container reaches that container alone. What would point elsewhere cannot be PUT this way.
"""

import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from maldon.kernel.errors import BadRequest
from maldon.kernel.settings import option
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.middleware.signatures import Key, digest_of, mounted, read_expiry, refused, signed_by
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.proxy.times import http_date
from maldon.objectstore.timestamp import TICKS

POINTERS = ("x-object-manifest", "x-symlink-target")
PREFIX = "temporary prefix"  # of the facts of a request that is allowed all that begins so
SIG, EXPIRES = "temp_url_sig", "temp_url_expires"
ALSO_HEAD = ("GET", "PUT", "POST")


@dataclass(frozen=True, slots=True)
class TempurlSettings:
    methods: tuple[str, ...] = option(("GET", "HEAD", "PUT", "POST", "DELETE"), "Methods that can be signed.")
    allowed_digests: tuple[str, ...] = option(("sha1", "sha256", "sha512"), "Digests of signatures that are believed.")


def keys_of(headers: Mapping[str, tuple[str, int]], kind: str) -> list[Key]:
    """The keys in an account's or a container's metadata."""
    values = (headers.get(f"x-{kind}-meta-temp-url-key{suffix}", ("", 0))[0] for suffix in ("", "-2"))
    return [Key(value, kind == "container") for value in values if value]


async def keys(store: Store, path: Path) -> list[Key]:
    """All keys that may have signed for a path."""
    account, container = await store.known.account(path), await store.known.container(path)
    found = keys_of(account.headers, "account") if account else []
    return found + (keys_of(container.headers, "container") if container else [])


def permit_within(path: Path, key: Key) -> Callable[[ObjectRequest, Mapping[str, str]], None]:
    """Who holds what this key signed may act in its account, or its container alone."""

    def check(request: ObjectRequest, _lists: Mapping[str, str]) -> None:
        where = request.path
        if where.account != path.account or (key.container and where.container != path.container):
            raise refused("")
        if not path.object and not where.object:  # a folder is shown by staticweb alone, which knows its bounds
            raise refused()

    return check


def make(store: Store, below: Handler) -> Handler:
    wanted = store.option(TempurlSettings)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if not request.query_string or (SIG not in request.query and EXPIRES not in request.query):
            return below(request)
        return _temporary(request) if request.method != "OPTIONS" else below(request)

    async def _temporary(request: ObjectRequest) -> Response:
        query, path = request.query, request.path
        until = read_expiry(query.get(EXPIRES, ""))
        found = digest_of(query.get(SIG, ""), wanted.allowed_digests)
        if until is None or until < time.time() or found is None or not path.container:
            raise refused()
        if not path.object and "temp_url_prefix" not in query:
            raise refused()
        if request.method not in wanted.methods:
            raise refused()
        key = signed_by(await keys(store, path), _texts(request, until), *found)
        if key is None or not _address_fits(request):
            raise refused()
        for name in POINTERS:
            if name in request.headers and request.method in {"PUT", "POST"}:
                raise BadRequest(f"The header '{name.title()}' is not allowed in this tempurl")
        request.headers.pop("x-open-expired", None)
        request.headers.pop("x-backend-inbound-x-timestamp", None)
        request.authorize = permit_within(path, key)
        request.query = {name: value for name, value in query.items() if name != "version-id"}
        if "temp_url_prefix" in query:
            request.facts[PREFIX] = _for_links(query)
        return _dressed(await below(request), request, until)

    def _texts(request: ObjectRequest, until: int) -> list[str]:
        """What may have been signed."""
        query = request.query
        where = f"/{request.version}{request.path}"
        if (prefix := query.get("temp_url_prefix")) is not None:
            if not request.path.object.startswith(prefix):
                raise refused()
            where = f"prefix:/{request.version}/{request.path.account}/{request.path.container}/{prefix}"
        before = f"ip={query['temp_url_ip_range']}\n" if "temp_url_ip_range" in query else ""
        methods = [request.method, *(ALSO_HEAD if request.method == "HEAD" else ())]
        return [f"{before}{method}\n{until}\n{path}" for path in mounted(request, where) for method in methods]

    return handle


def _for_links(query: Mapping[str, str]) -> str:
    """What the links of a page have to say so that they are allowed, too."""
    said = [f"{name}={quote(query[name])}" for name in ("temp_url_prefix", EXPIRES, SIG)]
    return "&".join([*said, *(["inline"] if "inline" in query else [])])


def _address_fits(request: ObjectRequest) -> bool:
    text = request.query.get("temp_url_ip_range")
    if text is None:
        return True
    try:
        return ipaddress.ip_address(request.client) in ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False


def _dressed(response: Response, request: ObjectRequest, until: int) -> Response:
    """Without what is private, and to be saved under a name."""
    headers = response.headers
    for name in [n for n in headers if n.startswith("x-object-meta-") and not n.startswith("x-object-meta-public-")]:
        del headers[name]
    if request.method in {"GET", "HEAD"} and response.ok:
        headers["expires"] = http_date(until * TICKS)
        headers["content-disposition"] = _disposition(request, headers.get("content-disposition", ""))
    return response


def _disposition(request: ObjectRequest, own: str) -> str:
    query = request.query
    name = query.get("filename") or request.path.object.rstrip("/").rsplit("/", 1)[-1]
    if "inline" in query:
        return f"inline; {_filename(name)}" if query.get("filename") else "inline"
    if own and not query.get("filename"):
        return own
    return f"attachment; {_filename(name)}"


def _filename(name: str) -> str:
    plain = "".join(c if c.isprintable() and c.isascii() and c not in '"\\' else quote(c) for c in name)
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _info(store: Store) -> dict[str, Any]:
    wanted = store.option(TempurlSettings)
    return {
        "methods": list(wanted.methods),
        "incoming_remove_headers": ["x-timestamp", "x-open-expired"],
        "incoming_allow_headers": [],
        "outgoing_remove_headers": ["x-object-meta-*"],
        "outgoing_allow_headers": ["x-object-meta-public-*"],
        "allowed_digests": sorted(wanted.allowed_digests),
    }


LAYER = Layer("tempurl", make, _info, settings=TempurlSettings, marks=lambda _store: Marks())
