"""Pays what containers owe to their accounts, and shards to their roots: how many objects there are, how many bytes.

Books that this process changed are told at once; a walk over all finds what other processes changed, and what a crash
left untold. A debt is settled when a quorum of the replicas above has heard it.
"""

import structlog

from maldon.kernel.errors import Unavailable
from maldon.objectstore.books.debts import Debt, debt, settle
from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.node import Books
from maldon.objectstore.books.ranges import HIDDEN, JOINING_HEADER, bounds_of, furthest, shard_headers, shard_path
from maldon.objectstore.books.shelf import Key, Shelf
from maldon.objectstore.books.walk import Seen, walk
from maldon.objectstore.node import Home, Range
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import BROKEN, ask, say
from maldon.objectstore.timestamp import stamp

log = structlog.get_logger()


class TellAccounts:
    """A loop over the disks of a node."""

    def __init__(self, books: Books, placing: Placing) -> None:
        self._books, self._placing = books, placing
        self._seen: dict[str, Seen] = {}

    async def once(self) -> int:
        """Tell what this process changed; how much was told."""
        told = 0
        for shelf in self._books.shelves.values():
            changed, shelf.changed = shelf.changed, set()
            for key in changed:
                told += await self._pay(shelf, key)
        return told

    async def all(self) -> int:
        """Tell what anybody changed since the last time."""
        told = 0
        for device, shelf in self._books.shelves.items():
            async for key in walk(shelf, Kind.CONTAINER, self._seen.setdefault(device, {})):
                told += await self._pay(shelf, key)
        return told

    async def _pay(self, shelf: Shelf, key: Key) -> bool:
        owed = await shelf.read(key, debt)
        if owed is None:
            return False
        if owed.held:
            shelf.changed.add(key)
            return False
        try:
            if owed.root is not None:
                await self._tell_root(owed, owed.root)
            elif not key[1].account.startswith(HIDDEN):
                await self._tell_account(owed)
        except BROKEN as error:
            shelf.changed.add(key)
            log.warning("a book could not tell of itself, is told later", book=str(key[1]), error=repr(error))
            return False
        await shelf.write(key, lambda db: settle(db, owed))
        shelf.changed.discard(key)
        return True

    async def _tell_account(self, owed: Debt) -> None:
        account, row = Path(owed.book.path.account), owed.row
        place = self._placing.book(account)
        await say(self._placing, place, lambda node, spot, _: node.update_book(spot, account, [row]))

    async def _tell_root(self, owed: Debt, root: Path) -> None:
        heirs = [await self._grown(root, one) if one.joins else one for one in owed.heirs]
        place, ranges = self._placing.book(root), [owed.own, *heirs]
        await say(self._placing, place, lambda node, spot, _: node.update_ranges(spot, root, ranges))
        for one in heirs:  # from now on they tell the root themselves
            await self._adopt(shard_path(root, one.shard), {**shard_headers(root, one), JOINING_HEADER: ""})

    async def _grown(self, root: Path, one: Range) -> Range:
        """The neighbour a shard was joined to, as it is with those names. Raises Unavailable."""
        shard = shard_path(root, one.shard)
        place = self._placing.book(shard)
        book = await ask(self._placing, place, lambda node, spot, _: node.head_book(spot, shard))
        if book is None:
            raise Unavailable("A shard of the container cannot be reached; try again.", internal=str(shard))
        lower, upper = bounds_of(book)
        bounds = min(lower, one.lower), furthest(upper, one.upper)
        return Range(one.shard, *bounds, Home.SHARD, book.objects, book.size, stamp())

    async def _adopt(self, shard: Path, headers: dict[str, str]) -> None:
        at = stamp()
        place = self._placing.book(shard)
        await say(self._placing, place, lambda node, spot, _: node.post_book(spot, shard, at, headers))
