"""Containers kept the same as others elsewhere: what is set, and what another cluster may then do here.

A container's owner sets X-Container-Sync-To and X-Container-Sync-Key; where to is checked here, and pushing is the work
of daemons/sync_containers.py. The other cluster's requests come signed with the realm's key and the container's
(`X-Container-Sync-Auth: realm nonce signature`), or, from one that knows the container by its URL, with the container's
key as it is. Such a request may look at, write and delete objects of that one container, under the X-Timestamp it
brings: what is newer here stays. Its query and what would have it copy from elsewhere do not count, for nobody signed
them; a large object's manifest and a link are taken as they are.
"""

import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from maldon.kernel.errors import BadRequest, Forbidden, Unauthorized
from maldon.objectstore import timestamp
from maldon.objectstore.middleware.carrying import AS_IT_IS, SYNCED
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.middleware.signatures import mounted
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.sync.realms import Realms, signed
from maldon.objectstore.sync.settings import ContainerSyncSettings
from maldon.objectstore.sync.target import read_target

AUTH, TO, KEY, AT = (
    "x-container-sync-auth", "x-container-sync-to", "x-container-sync-key", "x-backend-inbound-x-timestamp",
)  # fmt: skip
METHODS = {"HEAD", "PUT", "DELETE"}
AHEAD_S = 86_400  # how far another cluster's clock may be before ours


def make(store: Store, below: Handler) -> Handler:
    wanted = store.option(ContainerSyncSettings)
    realms = Realms(wanted.realms)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        headers = request.headers
        if request.is_object and request.method in METHODS and AT in headers and (AUTH in headers or KEY in headers):
            return _synced(request)
        if request.is_container and headers.get(TO) and request.method in {"PUT", "POST"}:
            read_target(headers[TO], realms, wanted)
        return below(request)

    async def _synced(request: ObjectRequest) -> Response:
        book = await store.known.container(request.path)
        key = book.headers.get(KEY, ("", 0))[0] if book is not None else ""
        if not _may(request, key):
            if AUTH in request.headers:
                raise _refused()
            return await below(request)  # perhaps it has a token
        request.timestamp = _time(request.headers.pop(AT))
        request.authorize = _permit_in(request.path)
        request.headers.pop("x-copy-from", None)
        request.query = dict(AS_IT_IS) if request.method == "HEAD" else {}
        request.facts[SYNCED] = True
        return await below(request)

    def _may(request: ObjectRequest, key: str) -> bool:
        """Whether it comes from somebody who knows the container's key, and the realm's."""
        said = request.headers.get(AUTH)
        if said is None:
            given = request.headers[KEY].encode("utf-8", "surrogateescape")
            return bool(key) and wanted.allow_full_urls and hmac.compare_digest(key.encode(), given)
        name, nonce, sig = (*said.split(), "", "", "")[:3]
        realm = realms.named(name)
        if realm is None or not key:
            return False
        return signed(realm, key, request.method, _paths(request), request.headers[AT], (nonce, sig))

    return handle


def _paths(request: ObjectRequest) -> list[str]:
    """Its path as it may have been signed: with and without what clients find the store below."""
    return [quote(path) for path in mounted(request, request.where)]


def _time(text: str) -> int:
    try:
        at = timestamp.parse(text)
    except ValueError:
        raise BadRequest("Invalid X-Timestamp header") from None
    if at > (time.time() + AHEAD_S) * timestamp.TICKS:
        raise BadRequest("X-Timestamp is too far in the future; see to the clock of the sending cluster.")
    return at


def _permit_in(path: Path) -> Callable[[ObjectRequest, Mapping[str, str]], None]:
    def check(request: ObjectRequest, _lists: Mapping[str, str]) -> None:
        if request.path[:2] != path[:2]:
            raise Forbidden("")

    return check


def _refused() -> Unauthorized:
    error = Unauthorized("X-Container-Sync-Auth header not valid; contact cluster operator for support.")
    error.headers = (("WWW-Authenticate", 'SwiftContainerSync realm="unknown"'), ("Content-Type", "text/plain"))
    return error


def _info(store: Store) -> dict[str, Any]:
    wanted = store.option(ContainerSyncSettings)
    here = tuple(wanted.current.upper().strip("/").split("/"))
    realms = Realms(wanted.realms).all()
    return {
        "realms": {
            name: {
                "clusters": {
                    cluster: {"current": True} if here == (name, cluster) else {} for cluster in realm.clusters
                }
            }
            for name, realm in realms.items()
        }
    }


LAYER = Layer("container_sync", make, _info, settings=ContainerSyncSettings, marks=lambda _store: Marks(asked=(AT,)))
