"""Empties accounts that were deleted: their objects, then their containers.

The first replica of an account does it, through the public verbs of the nodes that hold the things, so that every
replica hears of it. What cannot be reached is left for the next round; the account stays deleted, and its book goes
when it is empty and old enough.
"""

import asyncio
import time

import structlog

from maldon.kernel.errors import CloudError, Conflict
from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.node import Books
from maldon.objectstore.books.shelf import Key, Shelf
from maldon.objectstore.books.walk import walk
from maldon.objectstore.node import UNCOUNTED, Listing, Query, Row
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import ask, say
from maldon.objectstore.proxy.removing import remove
from maldon.objectstore.timestamp import TICKS, stamp

log = structlog.get_logger()
PAGE = 1000
AT_ONCE = 50  # objects that are removed at the same time


class ReapAccounts:
    """A loop over the disks of a node."""

    def __init__(self, books: Books, placing: Placing, delay_s: float = 0.0) -> None:
        self._books, self._placing, self._delay_s = books, placing, delay_s

    async def once(self) -> int:
        """How many objects and containers were removed."""
        reaped = 0
        for device, shelf in self._books.shelves.items():
            async for key in walk(shelf, Kind.ACCOUNT):
                if await self._is_due(device, shelf, key):
                    reaped += await self._reap_account(key[1])
        return reaped

    async def _is_due(self, device: str, shelf: Shelf, key: Key) -> bool:
        book = await shelf.head_book(*key)
        if book is None or not book.deleted or not book.containers:
            return False
        first = self._placing.book(key[1]).primaries[0]
        late = time.time() - book.deleted_at / TICKS >= self._delay_s
        return late and (first.address, first.device) == (self._placing.nodes.here, device)

    async def _reap_account(self, account: Path) -> int:
        reaped, marker = 0, ""
        while names := await self._names(account, marker):
            for name in names:
                try:
                    reaped += await self._reap_container(Path(account.account, name))
                except (CloudError, OSError, TimeoutError) as error:
                    log.warning("container not reaped yet", container=f"{account}/{name}", error=repr(error))
            marker = names[-1]
        if reaped:
            log.info("account reaped", account=str(account), removed=reaped)
        return reaped

    async def _reap_container(self, path: Path) -> int:
        place, reaped, marker = self._placing.book(path), 0, ""
        book = await ask(self._placing, place, lambda node, spot, _: node.head_book(spot, path))
        while book is not None and (names := await self._names(path, marker)):
            for start in range(0, len(names), AT_ONCE):
                objects = [Path(path.account, path.container, name) for name in names[start : start + AT_ONCE]]
                await asyncio.gather(*(self._remove(one, book.policy) for one in objects))
            reaped, marker = reaped + len(names), names[-1]
        at = stamp()
        if book is not None and not book.deleted:
            try:
                await say(self._placing, place, lambda node, spot, _: node.delete_book(spot, path, at))
            except Conflict:
                return reaped  # something came in meanwhile
        row = Row(path.container, at, deleted=True, measured_at=UNCOUNTED)
        account = Path(path.account)
        above = self._placing.book(account)
        await say(self._placing, above, lambda node, spot, _: node.update_book(spot, account, [row]))
        return reaped + 1

    async def _remove(self, path: Path, policy: int) -> None:
        await remove(self._placing, self._placing.object(path, policy), path, stamp())

    async def _names(self, path: Path, marker: str) -> list[str]:
        place, query = self._placing.book(path), Query(limit=PAGE, marker=marker)
        listing: Listing | None = await ask(
            self._placing, place, lambda node, spot, _: node.list_json(spot, path, query)
        )
        return [] if listing is None else [item.name for item in listing.items()]
