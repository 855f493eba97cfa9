"""The verbs of a storage node, as a proxy or a daemon speaks them: to its own disks in-process, to others by HTTP.

A node decides nothing about the cluster. It keeps records under timestamps, newest wins, and says what it holds. Every
write is on stable storage when its verb returns. Quorums, handoffs, conditions, ranges of large objects and access
belong to the proxy.

`headers` are a record's metadata as stored: lower-case names, among them content-type, x-object-meta-*,
x-object-sysmeta-*, x-delete-at. `etag` is the MD5 of the bytes as stored.
"""

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from maldon.kernel.errors import BadRequest, CloudError, Conflict, Unavailable
from maldon.objectstore.path import Path

WHOLE = -1  # of `Record.fragment`: the record is the whole object


class Spot(NamedTuple):
    """A place on a node: a disk, a partition, for objects the storage policy's index."""

    device: str
    partition: int
    policy: int = 0


class Record(msgspec.Struct, frozen=True, array_like=True):
    """What a disk holds of an object: one version, or the tombstone of a deleted one.

    `timestamp` is that of the bytes, `posted_at` that of the metadata. `durable` is False for a fragment whose quorum
    is not known yet: it is no version until it is committed.
    """

    timestamp: int
    size: int
    etag: str
    headers: dict[str, str]
    posted_at: int
    deleted: bool = False
    fragment: int = WHOLE
    durable: bool = True


class Held(NamedTuple):
    """A version on a disk, without its name, headers and bytes."""

    hash: bytes
    timestamp: int
    posted_at: int
    fragment: int
    durable: bool
    deleted: bool
    size: int


class Row(msgspec.Struct, frozen=True, array_like=True):
    """What a container says of an object; the same shape tells an account of a container (size: its bytes, `count`).

    The later `timestamp` decides the content type, the later `measured_at` size and etag: it is when an object's bytes
    were written, or a container was counted, so that a POST and an overtaken PUT merge as they do on the disks. 0 is
    `timestamp`.
    """

    name: str
    timestamp: int
    size: int = 0
    content_type: str = ""
    etag: str = ""
    deleted: bool = False
    policy: int = 0
    count: int = 0
    measured_at: int = 0


UNCOUNTED = 1
"""`measured_at` of a row that tells of a container without having counted it: what was counted before stays."""


class Home(enum.IntEnum):
    """Where the names of a Range are: still in the root, there for a moment but closed, in the shard, in its heirs."""

    ROOT, CLOSED, SHARD, HEIRS = range(4)


class Range(msgspec.Struct, frozen=True, array_like=True):
    """A part of a sharded container: the names above `lower`, up to and with `upper` ("" is no bound).

    `shard` is the container that keeps them, in a hidden account. `objects` and `size` are what that one counted at
    `measured_at`. `left` and `left_size` are rows of these names that this replica of the root has yet to move. A shard
    that `joins` was there before, with names of its own: what is left of its neighbour moves into it.
    """

    shard: str
    lower: str
    upper: str
    home: Home = Home.ROOT
    objects: int = 0
    size: int = 0
    measured_at: int = 0
    left: int = 0
    left_size: int = 0
    joins: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """An object to be written. `etag` is what the client says the bytes are, "" when it says nothing; `posted_at` is
    given by a replicator that brings a version with the metadata of a later POST. What is `footed` has a Footer as the
    last piece of its body, and is not written without.
    """

    timestamp: int
    headers: Mapping[str, str]
    etag: str = ""
    size: int | None = None
    fragment: int = WHOLE
    durable: bool = True
    posted_at: int = 0
    footed: bool = False


class Footer(msgspec.Struct, frozen=True):
    """Metadata that is only known when all bytes are (the digest of what they were before a layer changed them): more
    `headers` of the Put, written with it as if they had been there before.
    """

    headers: dict[str, str]


Incoming = bytes | AsyncIterator[bytes | Footer]
"""A body on its way in."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A record and its bytes from `start` on: a small body whole, a large one as it is read."""

    record: Record
    body: bytes | AsyncIterator[bytes]


class Teaching(NamedTuple):
    """Which replica of the container is to be told of a write: its node's address, and where on it. A debt of the
    device, kept with the record, until it was told: before the answer on another node, a moment later on the same one,
    and what failed by the updater. `shard` is the book that is told when it is not the object's own container.
    """

    address: str
    spot: Spot
    shard: Path | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """An account or a container: its metadata and totals. `headers` maps a name to (value, timestamp).

    `shares` are an account's totals by storage policy: containers, objects, bytes. A container is `sharded` when names
    of it are kept in other books.
    """

    path: Path
    created_at: int
    put_at: int
    deleted_at: int
    headers: Mapping[str, tuple[str, int]]
    objects: int = 0
    size: int = 0
    containers: int = 0
    policy: int = 0
    shares: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    sharded: bool = False

    @property
    def deleted(self) -> bool:
        """A container that was told of an object while it was being deleted is not."""
        return self.deleted_at > self.put_at and not (self.path.container and self.objects)


class Preamble(msgspec.Struct, frozen=True, array_like=True):
    """What replicas of a book tell each other beside rows; `headers` are with those that were taken away."""

    created_at: int
    put_at: int
    deleted_at: int
    headers: dict[str, tuple[str, int]]
    policy: int
    ranges: list[Range]


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """How a replica of a book stands: `made` names the file, `seq` its last change, the digests sum up its rows and its
    preamble. `got` is the last change of the asker's file that was merged into this one.
    """

    made: str
    seq: int
    living: int
    gone: int
    preamble: int
    got: int = 0


class Shipment(msgspec.Struct, frozen=True, array_like=True):
    """A whole book on its way: whose, up to which of its changes, how many bytes."""

    made: str
    seq: int
    size: int


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows of a listing, in byte order of their UTF-8 names.

    With a delimiter, names that go on after it are one row, the subdirectory; with `leaves` they are left out, except
    those that end in it: what `?path=` asks. A subdirectory that is `marker` or `seen` was listed before.
    """

    limit: int = 10_000
    marker: str = ""
    end_marker: str = ""
    prefix: str = ""
    delimiter: str = ""
    reverse: bool = False
    leaves: bool = False
    seen: str = ""


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """One element of `Listing.json`: an object, a container (which has a count), or a subdirectory."""

    name: str = ""
    bytes: int = 0
    hash: str = ""
    content_type: str = ""
    last_modified: str = ""
    count: int = 0
    subdir: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing as the API has it: a JSON array of `count` Items, made by the disk's own machinery."""

    book: Book
    count: int
    json: bytes

    def items(self) -> list[Item]:
        return _ITEMS.decode(self.json)


_ITEMS = msgspec.json.Decoder(list[Item])


class Superseded(Conflict):
    """The node holds something at least as new; `held` is its timestamp."""

    code = "superseded"

    def __init__(self, held: int) -> None:
        super().__init__("There is a newer version of this already.")
        self.held = held


class NoSpace(CloudError):
    """The disk is full, absent or not mounted."""

    status, code = 507, "no-space"


class Busy(Unavailable):
    """The disk answers as many requests as it may: another one may do, or the same later."""

    status, code = 529, "busy"


class WrongDigest(BadRequest):
    """The bytes are not those the client has the MD5 of."""

    status, code = 422, "wrong-digest"


class ObjectNode(Protocol):
    """Objects on a node's disks. Raises NoSpace for a disk that cannot take or give."""

    async def put_object(
        self, spot: Spot, path: Path, put: Put, body: Incoming, teach: Sequence[Teaching] = ()
    ) -> Record:
        """Write it. Raises Superseded, WrongDigest; a body that raises leaves nothing behind."""

    async def read_object(
        self, spot: Spot, path: Path, start: int = 0, stop: int | None = None, version: tuple[int, int] | None = None
    ) -> Reading | None:
        """The newest durable version (a tombstone too, with an empty body); None when nothing is known of it. `version`
        is a fragment and its timestamp: that one, durable or not, and no other.
        """

    async def read_versions(self, spot: Spot, path: Path) -> list[Record]:
        """Every version that is held, whether durable or not: fragments, a tombstone, the whole."""

    async def head_object(self, spot: Spot, path: Path) -> Record | None:
        """The same without the bytes."""

    async def post_object(self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str],
                          teach: Sequence[Teaching] = ()) -> Record | None:  # fmt: skip
        """Replace what POST may replace of the metadata; the record before, None where there is none. Superseded."""

    async def delete_object(
        self, spot: Spot, path: Path, timestamp: int, teach: Sequence[Teaching] = ()
    ) -> Record | None:
        """Leave a tombstone; the record before. Raises Superseded."""

    async def commit_object(self, spot: Spot, path: Path, timestamp: int, teach: Sequence[Teaching] = ()) -> bool:
        """Make the fragments of that timestamp durable; whether there are any. Containers hear of the object now."""

    async def compare_partitions(self, spot: Spot, power: int, digests: Mapping[int, int]) -> list[int]:
        """Which partitions of a disk are not what those digests say; `spot.partition` says nothing."""

    async def want_objects(self, spot: Spot, held: Sequence[Held], fragment: int | None = None) -> list[bytes]:
        """The hashes of those versions of another disk that are newer than what is known of them here, or of which
        that fragment is not here.
        """


class BookNode(Protocol):
    """Accounts and containers on a node's disks: small databases, placed by their rings."""

    async def identify_books(self, spot: Spot) -> str:
        """Which disk this is: another word than before means that books may be missing from it."""

    async def put_book(
        self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str], policy: int | None = None
    ) -> bool:
        """Make it, or merge its headers ("" takes one away); whether it is new. Raises Conflict for another policy."""

    async def post_book(self, spot: Spot, path: Path, timestamp: int, headers: Mapping[str, str]) -> bool:
        """Merge headers; False when there is no such book."""

    async def head_book(self, spot: Spot, path: Path) -> Book | None:
        """What it says of itself, deleted ones included; None when nothing is known."""

    async def list_json(self, spot: Spot, path: Path, query: Query) -> Listing | None:
        """Its rows as the API says them; None when nothing is known."""

    async def delete_book(self, spot: Spot, path: Path, timestamp: int) -> Book | None:
        """Mark it deleted; the book before. Raises Conflict when a container is not empty."""

    async def update_book(self, spot: Spot, path: Path, rows: Sequence[Row]) -> bool:
        """Merge rows, newest wins; False when there is no such book here (an account is made on demand)."""

    async def read_ranges(self, spot: Spot, path: Path) -> list[Range]:
        """How a container is sharded; empty when it is not."""

    async def update_ranges(self, spot: Spot, path: Path, ranges: Sequence[Range]) -> bool:
        """Merge what a shard or another replica says of them; False when there is no such book here."""

    async def compare_book(self, spot: Spot, path: Path, made: str) -> Standing | None:
        """How the replica here stands towards the file called `made`; None when nothing is known."""

    async def merge_book(
        self, spot: Spot, path: Path, made: str, upto: int, preamble: Preamble, rows: Sequence[Row]
    ) -> bool:
        """Merge another replica's changes up to number `upto`; False when there is no such book here."""

    async def take_book(self, spot: Spot, path: Path, shipment: Shipment, body: bytes | AsyncIterator[bytes]) -> bool:
        """Have a whole replica: it becomes the book where there is none, otherwise its rows are merged."""
