"""Nodes that keep books, joined in one process: for tests of what happens between them."""

from array import array
from dataclasses import dataclass, field
from pathlib import Path as File

from maldon.kernel.errors import Unavailable
from maldon.objectstore.books.item import kind_of
from maldon.objectstore.books.node import Books
from maldon.objectstore.books.rows import changed_rows
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.books.shelf import Shelf
from maldon.objectstore.node import Row, Spot
from maldon.objectstore.path import Path, PathHash
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.ring import Ring
from maldon.objectstore.settings import ObjectSettings

HASHED = PathHash(b"before", b"after")


@dataclass
class Net:
    """The nodes by address as one of them sees them. `cut` are those that cannot be reached."""

    here: str
    books: dict[str, Books]
    cut: set[str] = field(default_factory=set)

    def at(self, address: str) -> Books:
        if address in self.cut:
            raise Unavailable("cut off")
        return self.books[address]


@dataclass
class OneRing:
    """The ring of accounts and containers."""

    ring: Ring

    def account(self) -> Ring:
        return self.ring

    container = account


class Cluster:
    """So many nodes of one disk each, that hold every book on all of them."""

    def __init__(self, root: File, nodes: int = 1, **settings: float) -> None:
        self.cut: set[str] = set()
        self.books: dict[str, Books] = {}
        addresses = [f"n{n}" for n in range(nodes)]
        devices = [RingDevice(n, 1, n, address, "d", 1.0) for n, address in enumerate(addresses)]
        self.ring = Ring(2, devices, [array("H", [n] * 4) for n in range(nodes)], HASHED)
        self.placings = {}
        for address in addresses:
            (root / address).mkdir()
            shelf = Shelf(root / address, BookSettings(**settings), HASHED)
            net = Net(address, self.books, self.cut)
            placing = Placing(OneRing(self.ring), net, ObjectSettings(error_limit=10_000))
            self.placings[address] = placing
            self.books[address] = Books({"d": shelf}, placing)

    def spot(self, path: Path) -> Spot:
        return Spot("d", self.ring.partition(path))

    def shelf(self, address: str = "n0") -> Shelf:
        return self.books[address].shelves["d"]

    def rows(self, path: Path, address: str = "n0") -> list[Row]:
        """What one disk has of a book by itself, the living and the gone, by name."""
        db = self.shelf(address)._find((self.ring.partition(path), path))
        if db is None:
            return []
        return sorted(changed_rows(db, 0, 100_000, kind_of(path))[1], key=lambda row: row.name)

    def close(self) -> None:
        for books in self.books.values():
            books.close()
