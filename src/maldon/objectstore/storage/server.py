"""A storage node's disks, served to the proxies and daemons of other machines: the ASGI side of wire.py."""

import hmac
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import structlog

from maldon.kernel.errors import BadRequest, CloudError, Forbidden, NotFound
from maldon.objectstore.node import Busy, Incoming, Put, Reading, Shipment
from maldon.objectstore.nodes import Nodes
from maldon.objectstore.proxy.request import SMALL, Body
from maldon.objectstore.storage.side import Side
from maldon.objectstore.storage.wire import (
    ARGUMENTS,
    CALLS,
    KEY_HEADER,
    PREFIX,
    chained,
    encode,
    framed,
    out_of_frames,
    read_frame,
    refuse,
)
from maldon.web import metrics
from maldon.web.request import AT_HAND

log = structlog.get_logger("object.storage")


class StorageServer:
    """`nodes` has this node's disks; `key` is the cluster's; `side` answers what is no verb; `pace` bounds what each
    disk answers.
    """

    def __init__(self, nodes: Nodes, key: str, timeout_s: float, side: Side, pace: "DiskPace") -> None:
        self._nodes, self._key, self._timeout_s, self._side = nodes, key.encode(), timeout_s, side
        self._pace = pace

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "POST" and self._side.knows(scope["path"]):
            await _reply(send, *await self._side.answer(scope, receive))
            return
        begun = time.perf_counter()
        status = await self._serve(scope, receive, send)
        verb = scope["path"].removeprefix(PREFIX)
        metrics.observe("object-storage", "POST", verb if verb in CALLS else "", status, time.perf_counter() - begun)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> int:
        """The status of the answer that was given."""
        try:
            result, body = await self._answer(scope, receive)
        except CloudError as error:
            await _reply(send, error.status, encode(refuse(error)))
            return error.status
        except Exception as error:
            log.exception("bug", path=scope["path"])
            await _reply(send, 500, encode(refuse(CloudError("bug", internal=repr(error)))))
            return 500
        if isinstance(body, bytes):
            await _reply(send, 200, framed(result) + body)
        else:
            await _stream(send, framed(result), body)
        return 200

    async def _answer(self, scope: Any, receive: Any) -> tuple[Any, bytes | AsyncIterator[bytes]]:
        headers = dict(scope["headers"])
        if not hmac.compare_digest(headers.get(KEY_HEADER.encode(), b""), self._key):
            raise Forbidden("The cluster's key is missing or wrong.")
        verb = scope["path"].removeprefix(PREFIX)
        call = CALLS.get(verb)
        if call is None or scope["method"] != "POST":
            raise NotFound(f"There is no verb {verb[:50]!r}.")
        length = headers.get(b"content-length")
        at_hand = scope.get("extensions", {}).get(AT_HAND)
        pieces = aiter(Body(receive, None if length is None else int(length), self._timeout_s, at_hand))
        head, rest = await read_frame(pieces)
        try:
            arguments = list(ARGUMENTS[verb].decode(head))
        except msgspec.MsgspecError as error:
            raise BadRequest(f"The arguments cannot be read: {error}") from error
        self._pace.take(arguments[0].device)
        method = getattr(self._nodes.own, verb)
        if call.up:
            arguments.insert(3, await _uploaded(arguments[2], rest, pieces))
        result = await method(*arguments)
        if call.down and isinstance(result, Reading):
            return result.record, result.body
        return result, b""


class DiskPace:
    """How many requests of other nodes each disk answers in a second; 0 is any. What was not used in one second may be
    caught up on in the next.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        self._next: dict[str, float] = {}

    def take(self, disk: str) -> None:
        """Raises Busy."""
        if not self._per_s:
            return
        now = self._clock()
        turn = max(self._next.get(disk, 0.0), now - 1.0)
        if turn > now:
            raise Busy("The disk answers as many requests as it may.")
        self._next[disk] = turn + 1.0 / self._per_s


async def _uploaded(what: Put | Shipment, rest: bytes, pieces: AsyncIterator[bytes]) -> Incoming:
    """A small body at hand, a large one as it comes."""
    if isinstance(what, Put) and what.footed:
        return out_of_frames(chained(rest, pieces))
    if what.size is None or what.size > SMALL:
        return chained(rest, pieces)
    return b"".join([rest, *[piece async for piece in pieces]])


async def _reply(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Any, head: bytes, body: AsyncIterator[bytes]) -> None:
    """Chunked; an exception leaves the last chunk out, so that the reader knows."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": head, "more_body": True})
    async for piece in body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
