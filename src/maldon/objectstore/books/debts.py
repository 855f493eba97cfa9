"""What a book owes to the one above it: a container tells its account of itself, a shard its root.

What was told last is kept with the book; as long as it differs from what is, there is a debt. So a told that was lost,
or a crash in between, only means that it is told again.
"""

import msgspec

from maldon.objectstore.books import heading
from maldon.objectstore.books.database import Database
from maldon.objectstore.books.ranges import JOINING_HEADER, bounds_of, root_of
from maldon.objectstore.node import Book, Home, Range, Row
from maldon.objectstore.path import Path
from maldon.objectstore.timestamp import TICKS, stamp

HOLD_S = 60  # a neighbour's names have arrived, or never will
Told = tuple[int, bool, int, int, int, list[str]]  # state, deleted, objects, bytes, policy, heirs


class Debt(msgspec.Struct, frozen=True):
    """`root` is the container a shard belongs to. `heirs` are what a shard that was itself sharded leaves to it. It is
    `held` back as long as a neighbour's names are on their way into the shard.
    """

    book: Book
    root: Path | None
    heirs: list[Range]
    told: bytes
    held: bool

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
    def own(self) -> Range:
        """What a root is told of the shard itself."""
        home = Home.HEIRS if self.heirs else Home.ROOT
        return Range(self.book.path.container, *bounds_of(self.book), home, self.book.objects, self.book.size, stamp())


def debt(db: Database) -> Debt | None:
    """What is to be told, if anything."""
    book = heading.read_book(db)
    if not book.path.container:
        return None
    root = root_of(book)
    heirs = moved(db) if root else []
    told = msgspec.msgpack.encode(
        (book.put_at, book.deleted, book.objects, book.size, book.policy, [one.shard for one in heirs])
    )
    if told == db.execute("SELECT told FROM heading").get:
        return None
    joining = book.headers.get(JOINING_HEADER)
    held = joining is not None and stamp() - joining[1] < HOLD_S * TICKS
    return Debt(book, root, heirs, told, held)


def moved(db: Database) -> list[Range]:
    """All ranges of a book, once none of their names is left in it."""
    living = db.ranges.living
    return living if all(one.home is Home.SHARD and not one.left for one in living) else []


def is_left_behind(db: Database, before: int) -> bool:
    """Whether it is a shard whose names all went elsewhere before a time, and whose root knows."""
    heirs = moved(db) if root_of(heading.read_book(db)) else []
    return bool(heirs) and max(one.measured_at for one in heirs) < before and debt(db) is None


def settle(db: Database, debt: Debt) -> None:
    """It was told. Within a transaction."""
    db.execute("UPDATE heading SET told = ?", (debt.told,))
