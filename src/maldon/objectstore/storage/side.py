"""What a storage node's port answers beside the verbs, to daemons of an operator and to commands: plain HTTP.

    GET /recon/<what>                              what the node says of itself; no key wanted (see recon/answers)
    GET /held/<device>/<policy>/<account>[/…]      what a disk holds of that thing; policy counts for objects alone
    GET /rings/<name>                              the ring's file
    PUT /rings/<name>                              a ring of a later round: it is in force at once

All but the first want the cluster's key. A ring that is not newer than the one that is there is refused, so that of two
operators who change a ring at the same time one is told.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path as File
from typing import Any
from urllib.parse import unquote

import apsw

from maldon.kernel.errors import BadRequest, CloudError, Conflict, Forbidden, MethodNotAllowed, NotFound
from maldon.objectstore.device.opening import MARK
from maldon.objectstore.node import NoSpace
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.request import Body
from maldon.objectstore.recon.answers import Recon, encode
from maldon.objectstore.recon.held import held_book, held_objects
from maldon.objectstore.ring.file import BadRing, accept
from maldon.objectstore.rings import Rings
from maldon.objectstore.storage.wire import KEY_HEADER

MOST_RING = 64 << 20
BODY_S = 60.0


class Side:
    """`folder` holds the node's disks, `key` is the cluster's."""

    def __init__(self, folder: File, rings: Rings, recon: Recon, key: str) -> None:
        self._folder, self._rings, self._recon, self._key = folder, rings, recon, key.encode()
        self._doors: dict[str, Callable[[Any, Any, str], Awaitable[bytes]]] = {
            "recon": self._ask_recon, "held": self._ask_held, "rings": self._ring,
        }  # fmt: skip

    async def answer(self, scope: Any, receive: Any) -> tuple[int, bytes]:
        """Status and JSON, or a ring's bytes."""
        _, door, rest = scope["raw_path"].decode("latin-1").split("/", 2)
        try:
            return 200, await self._doors[door](scope, receive, unquote(rest))
        except CloudError as error:
            return error.status, encode({"error": error.public})

    def knows(self, path: str) -> bool:
        """Whether this is one of the paths here."""
        return path.partition("/")[2].partition("/")[0] in self._doors and path.count("/") > 1

    async def _ask_recon(self, scope: Any, _receive: Any, rest: str) -> bytes:
        _only(scope, {"GET"})
        found = await self._recon.answer(rest)
        if found is None:
            raise NotFound(f"Nothing is known of {rest[:50]!r}.")
        return found

    async def _ask_held(self, scope: Any, _receive: Any, rest: str) -> bytes:
        self._check(scope)
        _only(scope, {"GET"})
        device, _, more = rest.partition("/")
        policy, _, names = more.partition("/")
        sound = names and "\0" not in rest and device not in {"", ".", ".."} and policy.isdecimal() and len(policy) < 6
        path = Path(*names.split("/", 2)) if sound else None
        if path is None or not path.account:
            raise BadRequest("The path wants /held/<device>/<policy>/<account>[/<container>[/<object>]].")
        root = self._folder / device
        if not (root / MARK).exists():
            raise NotFound(f"There is no disk {device[:50]!r} here.")
        try:
            return encode(await asyncio.to_thread(self._held, root, int(policy), path))
        except (OSError, apsw.Error) as error:
            raise NoSpace("The disk cannot be read.", internal=repr(error)) from error

    def _held(self, root: File, policy: int, path: Path) -> Any:
        """Versions of an object, or a book."""
        if path.object:
            hashed = self._rings.account().hashed  # one for all rings
            return held_objects(root, policy, hashed(path))
        return held_book(root, self._rings, path)

    async def _ring(self, scope: Any, receive: Any, name: str) -> bytes:
        self._check(scope)
        _only(scope, {"GET", "PUT"})
        file = self._rings.files.get(name)
        if file is None:
            raise NotFound(f"This node knows no ring {name[:50]!r}: its storage policies are others.")
        if scope["method"] == "GET":
            try:
                return await asyncio.to_thread(file.path.read_bytes)
            except OSError:
                raise NotFound(f"This node has no ring {name}.") from None
        content = await Body(receive, None, BODY_S).whole(MOST_RING)
        try:
            version = await asyncio.to_thread(accept, file.path, content)
        except BadRing as error:
            raise Conflict(str(error)) from error
        file.look()
        return encode({"version": version})

    def _check(self, scope: Any) -> None:
        given = dict(scope["headers"]).get(KEY_HEADER.encode(), b"")
        if not hmac.compare_digest(given, self._key):
            raise Forbidden("The cluster's key is missing or wrong.")


def _only(scope: Any, methods: set[str]) -> None:
    if scope["method"] not in methods:
        raise MethodNotAllowed(f"Only {' and '.join(sorted(methods))}.")
