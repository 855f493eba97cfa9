"""Pays what containers owe to their accounts, and shards to their roots: how many objects there are, how many bytes.

Books that this process changed are told at once; a walk over all finds what other processes changed, and what a crash
left untold. A debt is settled when a quorum of the replicas above has heard it.
"""

import structlog

from maldon.objectstore.books.debts import Debt, debt, settle
from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.node import Books
from maldon.objectstore.books.ranges import HIDDEN, shard_headers, shard_path
from maldon.objectstore.books.shelf import Key, Shelf
from maldon.objectstore.books.walk import Seen, walk
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import BROKEN, say
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
        place, ranges = self._placing.book(root), owed.ranges
        await say(self._placing, place, lambda node, spot, _: node.update_ranges(spot, root, ranges))
        for one in owed.heirs:  # from now on they tell the root themselves
            await self._adopt(shard_path(owed.book.path, one.shard), shard_headers(root, one))

    async def _adopt(self, shard: Path, headers: dict[str, str]) -> None:
        at = stamp()
        place = self._placing.book(shard)
        await say(self._placing, place, lambda node, spot, _: node.post_book(spot, shard, at, headers))
