"""What a book owes to the one above it: a container tells its account of itself, a shard its root.

What was told last is kept with the book; as long as it differs from what is, there is a debt. So a told that was lost,
or a crash in between, only means that it is told again.
"""

import msgspec

from maldon.objectstore.books import heading
from maldon.objectstore.books.database import Database
from maldon.objectstore.books.ranges import ROOT_HEADER, bounds_of
from maldon.objectstore.node import Book, Home, Range, Row
from maldon.objectstore.path import Path
from maldon.objectstore.timestamp import stamp

Told = tuple[int, bool, int, int, int, list[str]]  # state, deleted, objects, bytes, policy, heirs


class Debt(msgspec.Struct, frozen=True):
    """`root` is the container a shard belongs to. `heirs` are what a shard that was itself sharded leaves to it."""

    book: Book
    root: Path | None
    heirs: list[Range]
    told: bytes

    @property
    def row(self) -> Row:
        """What an account is told."""
        book = self.book
        at = max(book.put_at, book.deleted_at) if book.deleted else book.put_at
        return Row(
            book.path.container, at, book.size, deleted=book.deleted, policy=book.policy, count=book.objects,
            measured_at=stamp(),
        )  # fmt: skip

    @property
    def ranges(self) -> list[Range]:
        """What a root is told."""
        home = Home.HEIRS if self.heirs else Home.ROOT
        own = Range(self.book.path.container, *bounds_of(self.book), home, self.book.objects, self.book.size, stamp())
        return [own, *self.heirs]


def debt(db: Database) -> Debt | None:
    """What is to be told, if anything."""
    book = heading.read_book(db)
    if not book.path.container:
        return None
    said = book.headers.get(ROOT_HEADER)
    root = Path(*said[0].split("/", 1)) if said else None
    heirs = moved(db) if root else []
    told = msgspec.msgpack.encode(
        (book.put_at, book.deleted, book.objects, book.size, book.policy, [one.shard for one in heirs])
    )
    return None if told == db.execute("SELECT told FROM heading").get else Debt(book, root, heirs, told)


def moved(db: Database) -> list[Range]:
    """All ranges of a book, once none of their names is left in it."""
    living = db.ranges.living
    return living if all(one.home is Home.SHARD and not one.left for one in living) else []


def settle(db: Database, debt: Debt) -> None:
    """It was told. Within a transaction."""
    db.execute("UPDATE heading SET told = ?", (debt.told,))
