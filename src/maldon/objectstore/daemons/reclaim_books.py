"""Forgets what was deleted long ago: tombstones, and the files of books that have been gone, or left, for as long.

Long means that every replica that was away for a while has heard of it meanwhile; a replica that comes back after that
brings back what was deleted.
"""

import time
from functools import partial

from maldon.objectstore.books.debts import debt, is_left_behind
from maldon.objectstore.books.heading import read_book
from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.node import Books
from maldon.objectstore.books.rows import forget_tombstones
from maldon.objectstore.books.sharding import last_change
from maldon.objectstore.books.shelf import Key, Shelf
from maldon.objectstore.books.syncing import remove
from maldon.objectstore.books.walk import sweep, walk
from maldon.objectstore.timestamp import TICKS, stamp

CHUNK = 1000  # tombstones in one transaction
DAY_S = 86_400  # nothing is made or received for so long


class ReclaimBooks:
    """A loop over the disks of a node."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def once(self) -> int:
        """How many tombstones and books were forgotten."""
        forgotten = 0
        for shelf in self._books.shelves.values():
            before = stamp() - shelf.settings.reclaim_age_s * TICKS
            for kind in Kind:
                await sweep(shelf, kind, time.time() - DAY_S)
                async for key in walk(shelf, kind):
                    forgotten += await self._reclaim(shelf, key, before)
        return forgotten

    async def _reclaim(self, shelf: Shelf, key: Key, before: int) -> int:
        seq, book = await shelf.read(key, lambda db: (last_change(db), read_book(db))) or (0, None)
        if book is None:
            return 0
        empty = not book.objects and not book.containers
        deleted = book.deleted and book.deleted_at < before and empty and await shelf.read(key, debt) is None
        if deleted or await shelf.read(key, partial(is_left_behind, before=before)):
            return await shelf.alone(key, lambda db: db.transact(partial(remove, seq=seq)))
        forgotten = 0
        change = partial(forget_tombstones, before=before, limit=CHUNK)
        while count := await shelf.alone(key, lambda db: db.transact(change)):
            forgotten += count
        return forgotten
