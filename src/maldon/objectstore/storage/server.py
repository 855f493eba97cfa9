"""A storage node's disks, served to the proxies and daemons of other machines: the ASGI side of wire.py."""

import asyncio
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
    MANY,
    MOST_ARGUMENTS,
    PREFIX,
    chained,
    encode,
    framed,
    out_of_frames,
    read_frame,
    read_many,
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
        _count(scope["path"].removeprefix(PREFIX), status, begun)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> int:
        """The status of the answer that was given."""
        try:
            result, body = await self._answer(scope, receive)
        except Exception as error:  # noqa: BLE001 - told, and logged if it is ours
            status, refused = _refusal(error, scope["path"])
            await _reply(send, status, refused)
            return status
        if isinstance(body, bytes):
            await _reply(send, 200, result + body)
        else:
            await _stream(send, result, body)
        return 200

    async def _answer(self, scope: Any, receive: Any) -> tuple[bytes, bytes | AsyncIterator[bytes]]:
        """What begins the answer, and the bytes that follow."""
        headers = dict(scope["headers"])
        if not hmac.compare_digest(headers.get(KEY_HEADER.encode(), b""), self._key):
            raise Forbidden("The cluster's key is missing or wrong.")
        verb = scope["path"].removeprefix(PREFIX)
        if scope["method"] != "POST" or (verb not in CALLS and verb != MANY):
            raise NotFound(f"There is no verb {verb[:50]!r}.")
        length = headers.get(b"content-length")
        at_hand = scope.get("extensions", {}).get(AT_HAND)
        body = Body(receive, None if length is None else int(length), self._timeout_s, at_hand)
        if verb == MANY:
            return await self._many(await body.whole(MOST_ARGUMENTS)), b""
        pieces = aiter(body)
        head, rest = await read_frame(pieces)
        arguments = self._arguments(verb, head)
        if CALLS[verb].up:
            arguments.insert(3, await _uploaded(arguments[2], rest, pieces))
        result = await self._perform(verb, arguments)
        if CALLS[verb].down and isinstance(result, Reading):
            return framed(result.record), result.body
        return framed(result), b""

    def _arguments(self, verb: str, head: bytes) -> list[Any]:
        """Without the bytes of an object. Raises BadRequest, Busy."""
        try:
            arguments = list(ARGUMENTS[verb].decode(head))
        except msgspec.MsgspecError as error:
            raise BadRequest(f"The arguments cannot be read: {error}") from error
        self._pace.take(arguments[0].device)
        return arguments

    async def _perform(self, verb: str, arguments: list[Any]) -> Any:
        return await getattr(self._nodes.own, verb)(*arguments)

    async def _many(self, data: bytes) -> bytes:
        try:
            calls = read_many(data)
        except msgspec.MsgspecError as error:
            raise BadRequest(f"The calls cannot be read: {error}") from error
        return encode(await asyncio.gather(*(self._one_of_many(*call) for call in calls)))

    async def _one_of_many(self, verb: str, head: bytes, body: bytes) -> tuple[int, bytes]:
        if verb not in CALLS or CALLS[verb].down:
            return _refusal(NotFound(f"There is no verb {verb[:50]!r}."), verb)
        begun = time.perf_counter()
        try:
            arguments = self._arguments(verb, head)
            if CALLS[verb].up:
                arguments.insert(3, body)
            answer = 200, encode(await self._perform(verb, arguments))
        except Exception as error:  # noqa: BLE001 - told, and logged if it is ours
            answer = _refusal(error, verb)
        _count(verb, answer[0], begun)
        return answer


def _count(verb: str, status: int, begun: float) -> None:
    if verb != MANY:  # whose calls are counted one by one
        metrics.observe("object-storage", "POST", verb if verb in CALLS else "", status, time.perf_counter() - begun)


def _refusal(error: Exception, what: str) -> tuple[int, bytes]:
    if not isinstance(error, CloudError):
        log.error("bug", path=what, exc_info=error)
        error = CloudError("bug", internal=repr(error))
    return error.status, encode(refuse(error))


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
