"""How a proxy speaks to a storage node on another machine: the verbs of node.py over HTTP.

    POST /v1/<verb>     4 bytes: length of what follows · the arguments in msgpack · the bytes of an object
    200                 4 bytes: length of what follows · the result in msgpack · the bytes of an object
    4xx, 5xx            a Refused in msgpack
    POST /v1/many       several small calls: of each the verb, the arguments, the bytes; 200: of each the status and
                        what follows it

Bytes of an object that has a Footer go up in frames: 4 bytes of length before each piece, 0 before the Footer.

Every request carries the cluster's key; without it the answer is 403. Bytes of an object come in pieces, and what is
cut off is never taken for the whole: the connection ends in the middle of a chunk.
"""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from maldon.kernel.errors import BadRequest, CloudError, Conflict, NotFound, Unavailable
from maldon.objectstore.node import (
    Book,
    Busy,
    Footer,
    Held,
    Listing,
    NoSpace,
    Preamble,
    Put,
    Query,
    Range,
    Record,
    Row,
    Shipment,
    Spot,
    Standing,
    Superseded,
    Teaching,
    WrongDigest,
)
from maldon.objectstore.path import Path

PREFIX = "/v1/"
KEY_HEADER = "x-maldon-cluster-key"
MOST_ARGUMENTS = 16 << 20  # bytes: a batch of rows is the largest


class Call(NamedTuple):
    """A verb: the types of its arguments and of its result; whether bytes go up or come down with it."""

    arguments: Any
    result: Any
    up: bool = False
    down: bool = False


CALLS: dict[str, Call] = {
    "put_object": Call(tuple[Spot, Path, Put, list[Teaching]], Record, up=True),
    "read_object": Call(tuple[Spot, Path, int, int | None, tuple[int, int] | None], Record | None, down=True),
    "read_versions": Call(tuple[Spot, Path], list[Record]),
    "head_object": Call(tuple[Spot, Path], Record | None),
    "post_object": Call(tuple[Spot, Path, int, dict[str, str], list[Teaching]], Record | None),
    "delete_object": Call(tuple[Spot, Path, int, list[Teaching]], Record | None),
    "commit_object": Call(tuple[Spot, Path, int, list[Teaching]], bool),
    "compare_partitions": Call(tuple[Spot, int, dict[int, int]], list[int]),
    "want_objects": Call(tuple[Spot, list[Held], int | None], list[bytes]),
    "identify_books": Call(tuple[Spot], str),
    "put_book": Call(tuple[Spot, Path, int, dict[str, str], int | None], bool),
    "post_book": Call(tuple[Spot, Path, int, dict[str, str]], bool),
    "head_book": Call(tuple[Spot, Path], Book | None),
    "list_json": Call(tuple[Spot, Path, Query], Listing | None),
    "delete_book": Call(tuple[Spot, Path, int], Book | None),
    "update_book": Call(tuple[Spot, Path, list[Row]], bool),
    "read_ranges": Call(tuple[Spot, Path], list[Range]),
    "update_ranges": Call(tuple[Spot, Path, list[Range]], bool),
    "compare_book": Call(tuple[Spot, Path, str], Standing | None),
    "merge_book": Call(tuple[Spot, Path, str, int, Preamble, list[Row]], bool),
    "take_book": Call(tuple[Spot, Path, Shipment], bool, up=True),
}
ARGUMENTS = {verb: msgspec.msgpack.Decoder(call.arguments) for verb, call in CALLS.items()}
RESULTS = {verb: msgspec.msgpack.Decoder(call.result) for verb, call in CALLS.items()}
MANY = "many"
read_many = msgspec.msgpack.Decoder(list[tuple[str, bytes, bytes]]).decode
read_answers = msgspec.msgpack.Decoder(list[tuple[int, bytes]]).decode
encode = msgspec.msgpack.Encoder().encode


class Refused(msgspec.Struct):
    """An error on its way. `held` is Superseded's."""

    code: str
    public: str
    held: int = 0


_FOOTER = msgspec.msgpack.Decoder(Footer)
REFUSALS = msgspec.msgpack.Decoder(Refused)
_KINDS: dict[str, type[CloudError]] = {
    kind.code: kind for kind in (Busy, NoSpace, WrongDigest, Conflict, BadRequest, NotFound, Unavailable)
}


def framed(value: Any) -> bytes:
    """A value with its length before it."""
    data = encode(value)
    return len(data).to_bytes(4, "big") + data


def refuse(error: CloudError) -> Refused:
    return Refused(error.code, error.public, error.held if isinstance(error, Superseded) else 0)


def revive(data: bytes, status: int) -> CloudError:
    """The error as it was raised there; what we have no word for is Unavailable."""
    try:
        refused = REFUSALS.decode(data)
    except msgspec.MsgspecError:  # the server's, not the node's
        return Unavailable("", internal=f"a storage node answered {status}: {data[:200]!r}")
    if refused.code == Superseded.code:
        return Superseded(refused.held)
    kind = _KINDS.get(refused.code)
    if kind is None:
        return Unavailable("", internal=f"a storage node answered {status} {refused.code}: {refused.public}")
    return kind(refused.public)


async def in_frames(body: AsyncIterator[bytes | Footer]) -> AsyncIterator[bytes]:
    """A body that ends in a Footer, as it goes over the wire."""
    async for piece in body:
        if isinstance(piece, Footer):
            yield bytes(4) + framed(piece)
        elif piece:
            yield b"".join((len(piece).to_bytes(4, "big"), piece))


async def out_of_frames(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes | Footer]:
    """The same body again, cut anywhere. Raises BadRequest when it ends before its Footer."""
    data, left = b"", 0
    async for piece in pieces:
        data = data + piece if data else piece
        while data:
            if left:
                yield data[:left]
                left, data = left - min(left, len(data)), data[left:]
            elif len(data) < 4:
                break
            elif left := int.from_bytes(data[:4], "big"):
                data = data[4:]
            else:
                yield _FOOTER.decode((await read_frame(chained(data[4:], pieces)))[0])
                return
    raise BadRequest("The body ends before its footer does.")


async def chained(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What was read already, and what follows."""
    if first:
        yield first
    async for piece in pieces:
        yield piece


async def read_frame(pieces: AsyncIterator[bytes]) -> tuple[bytes, bytes]:
    """The framed value at the head of a body, and what came with it of the bytes that follow. Raises BadRequest."""
    data = b""
    async for piece in pieces:
        data = data + piece if data else piece
        if len(data) >= 4:
            length = int.from_bytes(data[:4], "big")
            if length > MOST_ARGUMENTS:
                break
            if len(data) >= 4 + length:
                return data[4 : 4 + length], data[4 + length :]
    raise BadRequest("The message ends before its arguments do.")
