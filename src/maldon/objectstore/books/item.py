"""What a listing shows of a row, as the JSON that the API sends; it is kept with the row, ready to be sent.

Times are Swift's: "2013-11-19T20:08:13.283450", in UTC, always with six decimals.
"""

import enum
import functools
import time

import msgspec

from maldon.objectstore.node import Row
from maldon.objectstore.path import Path
from maldon.objectstore.timestamp import TICKS


class Kind(enum.Enum):
    """What a book lists: an account lists containers, a container objects. The value names its folder on a disk."""

    ACCOUNT = "accounts"
    CONTAINER = "containers"


def kind_of(path: Path) -> Kind:
    return Kind.CONTAINER if path.container else Kind.ACCOUNT


class ObjectItem(msgspec.Struct, frozen=True):
    """An object in a container's listing."""

    name: str
    hash: str
    bytes: int
    content_type: str
    last_modified: str


class ContainerItem(msgspec.Struct, frozen=True):
    """A container in an account's listing; of its storage policy a disk knows the index, and the proxy the name."""

    name: str
    count: int
    bytes: int
    last_modified: str
    storage_policy: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ObjectItem).decode


@functools.lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def last_modified(timestamp: int) -> str:
    """A timestamp as listings have it."""
    seconds, ticks = divmod(timestamp, TICKS)
    return f"{_second(seconds)}.{ticks:05d}0"


def shown(row: Row, kind: Kind) -> str:
    """The item of a row."""
    at = last_modified(row.timestamp)
    if kind is Kind.CONTAINER:
        return _encode(ObjectItem(row.name, row.etag, row.size, row.content_type, at)).decode()
    return _encode(ContainerItem(row.name, row.count, row.size, at, row.policy)).decode()


def subdir_item(name: str) -> str:
    return f'{{"subdir":{_encode(name).decode()}}}'


def described(item: str, kind: Kind) -> tuple[str, str]:
    """Content type and etag that an item tells; an account's rows have none."""
    if kind is Kind.ACCOUNT:
        return "", ""
    told = _decode(item)
    return told.content_type, told.hash
