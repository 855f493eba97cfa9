"""What this proxy knows of accounts and containers: whether they are, their metadata, their totals.

Every request to an object asks for its container's access lists and policy. What was seen is believed for `known_s`
seconds (one, unless set otherwise) and forgotten at once when a proxy of this machine changes it; that something does
not exist is never believed. So a change made through another machine is seen within that time.
"""

import time
from collections.abc import Callable

from maldon.objectstore.node import Book
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.changes import Changes
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import Living, ask, ask_all
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.settings import ObjectSettings

MOST = 10_000


def dates(book: Book) -> tuple[int, int]:
    """When it was made and when deleted, for `Living`."""
    return (0, book.deleted_at) if book.deleted else (book.put_at, 0)


class Known:
    """A look-up of books with a short memory."""

    def __init__(
        self, placing: Placing, settings: ObjectSettings, changes: Changes, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._placing, self._keep_s, self._changes, self._clock = placing, settings.known_s, changes, clock
        self._seen: dict[tuple[str, str], tuple[float, Book]] = {}

    def remembered(self, path: Path) -> Book | None:
        """The account or container of a path, if it was seen just now: no await, for the hot paths."""
        return self._recall(path[:2])

    def books(self, request: ObjectRequest) -> tuple[Path, Book | None, Book | None]:
        """The path of a request, and what is remembered of its container and account: looked up once for it."""
        path, seen = request.path, request.books
        if seen is None or seen[0] is not path:
            seen = request.books = path, self._recall(path[:2]), self._recall((path[0], ""))
        return seen

    def remembered_account(self, path: Path) -> Book | None:
        """The same of the account of a path."""
        return self._recall((path[0], ""))

    def _recall(self, key: tuple[str, str]) -> Book | None:
        if self._changes.moved():
            self._seen.clear()
        seen = self._seen.get(key)
        return seen[1] if seen is not None and seen[0] > self._clock() else None

    async def container(self, path: Path) -> Book | None:
        """The container of a path; None when there is none."""
        return self.remembered(path) or await self._look(Path(path.account, path.container))

    async def account(self, path: Path) -> Book | None:
        """The account of a path; None when it never was, or was deleted."""
        book = await self.account_even_deleted(path)
        return None if book is None or book.deleted else book

    async def account_even_deleted(self, path: Path) -> Book | None:
        return self.remembered_account(path) or await self._look(Path(path.account), deleted=True)

    async def newest(self, path: Path) -> Book | None:
        """The container of a path, or the account, as every replica knows it, and not from memory."""
        path = Path(path.account, path.container)
        place = self._placing.book(path)
        books = await ask_all(self._placing, place, lambda node, spot, _: node.head_book(spot, path))
        return max(books, key=lambda book: max(book.put_at, book.deleted_at), default=None)

    def forget(self, path: Path) -> None:
        """What was seen of this account or container is not true any more."""
        self._seen.pop(path[:2], None)
        if self._changes.note():
            self._seen.clear()

    async def _look(self, path: Path, *, deleted: bool = False) -> Book | None:
        place, begun = self._placing.book(path), self._changes.seen
        book = await ask(self._placing, place, lambda node, spot, _: node.head_book(spot, path), Living(dates))
        if book is None or (book.deleted and not deleted):
            return None
        if not book.deleted and begun == self._changes.seen:  # else it was changed while we looked
            while len(self._seen) >= MOST:
                del self._seen[next(iter(self._seen))]
            self._seen[path[:2]] = (self._clock() + self._keep_s, book)
        return book
