"""The bytes of a record in a segment: a header, metadata in msgpack, the body.

    magic    8  the segment's own number, random: nothing a client sends can pass for a record of ours
    crc      4  of the rest of the header and of the metadata
    meta     4  bytes of metadata
    body     4  bytes of body
    body crc 4
    written  8  when it was appended first (compaction keeps it)
    told     8  what lies before this offset of the segment is owed to nobody
    hash    16  of the path
    kind     1  Kind

All numbers are little-endian. A record that fails its check is searched past: `scan` finds the next one by its magic.
"""

import enum
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
from isal.isal_zlib import crc32

from maldon.objectstore.node import Record, Teaching
from maldon.objectstore.path import Path

_HEAD = struct.Struct("<QIIIIQQ16sB3x")
_CHECKED_FROM = 12  # after magic and crc
HEAD_BYTES = _HEAD.size
HEAD_READ = 4096  # bytes that a header and its metadata are nearly always in
META_MOST = 4 << 20
_WINDOW = 1 << 20


class Kind(enum.IntEnum):
    """What a record is: bytes and all, metadata of a file of its own, a mark of durability, a version let go."""

    SMALL = 0
    LARGE = 1
    MARK = 2
    FORGET = 3


class Meta(msgspec.Struct, frozen=True, array_like=True):
    """What a record says: of which object, what, whom to tell, and the file of a large body."""

    path: Path
    policy: int
    record: Record
    teach: list[Teaching] = []
    file: str = ""


class Head(NamedTuple):
    """A header, checked."""

    kind: int
    hash: bytes
    written: int
    told: int
    meta_bytes: int
    body_bytes: int
    body_crc: int

    @property
    def length(self) -> int:
        """Of the whole record."""
        return HEAD_BYTES + self.meta_bytes + self.body_bytes


class Damaged(Exception):
    """These bytes are no record of that segment, or not the ones that were written."""


encode_meta = msgspec.msgpack.Encoder().encode
decode_meta = msgspec.msgpack.Decoder(Meta).decode


def pack(magic: int, head: Head, meta: bytes, told: int) -> bytes:
    """Header and metadata, as they are written."""
    rest = (len(meta), head.body_bytes, head.body_crc, head.written, told, head.hash, head.kind)
    check = crc32(meta, crc32(memoryview(_HEAD.pack(magic, 0, *rest))[_CHECKED_FROM:]))
    return _HEAD.pack(magic, check, *rest) + meta


def unpack(magic: int, data: bytes | memoryview) -> tuple[Head, memoryview]:
    """The header and the metadata that `data` begins with. Raises Damaged."""
    view = memoryview(data)
    if len(view) < HEAD_BYTES:
        raise Damaged("cut short")
    found, check, meta_bytes, body_bytes, body_crc, written, told, hashed, kind = _HEAD.unpack_from(view)
    end = HEAD_BYTES + meta_bytes
    if found != magic or len(view) < end or crc32(view[_CHECKED_FROM:end]) != check:
        raise Damaged("not what was written")
    return Head(kind, hashed, written, told, meta_bytes, body_bytes, body_crc), view[HEAD_BYTES:end]


def scan(magic: int, read: Callable[[int, int], bytes], start: int, end: int) -> Iterator[tuple[int, Head, memoryview]]:
    """Every sound header from `start` on: its offset, itself, its metadata. What is damaged is passed over."""
    at = start
    while at + HEAD_BYTES <= end:
        found = _one(magic, read, at, end)
        if found is None:
            at = _next_magic(magic, read, at + 1, end)
            continue
        yield at, *found
        at += found[0].length


def _one(magic: int, read: Callable[[int, int], bytes], at: int, end: int) -> tuple[Head, memoryview] | None:
    data = read(HEAD_READ, at)
    if len(data) < HEAD_BYTES:
        return None
    meta_bytes = _HEAD.unpack_from(data)[2]
    if meta_bytes > META_MOST:
        return None
    if HEAD_BYTES + meta_bytes > len(data):
        data = read(HEAD_BYTES + meta_bytes, at)
    try:
        head, meta = unpack(magic, data)
    except Damaged:
        return None
    return (head, meta) if at + head.length <= end else None  # a torn body was never acknowledged


def _next_magic(magic: int, read: Callable[[int, int], bytes], at: int, end: int) -> int:
    mark = magic.to_bytes(8, "little")
    while at < end:
        found = read(_WINDOW, at).find(mark)
        if found >= 0:
            return at + found
        at += _WINDOW - len(mark) + 1
    return end
