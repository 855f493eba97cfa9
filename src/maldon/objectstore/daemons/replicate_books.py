"""Makes the replicas of accounts and containers say the same.

Every replica is pushed from where it is to where it belongs. A book on a disk that is none of its own (a handoff, or
what a ring's change left behind) is pushed to all that are, and removed when all have everything.

A round passes over books that did not change here since. What a disk has lost, those that have it do not see so: each
disk is asked first who it is, and one that was replaced, or has set a damaged book aside, is compared as a whole.
"""

import asyncio
from functools import partial

import structlog

from maldon.objectstore.books.item import Kind, kind_of
from maldon.objectstore.books.node import Books
from maldon.objectstore.books.rows import changed_rows
from maldon.objectstore.books.shelf import Key, Shelf
from maldon.objectstore.books.shipping import shipped
from maldon.objectstore.books.syncing import preamble, remove, same, standing
from maldon.objectstore.books.walk import Seen, walk
from maldon.objectstore.node import BookNode, Spot, Standing
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import BROKEN
from maldon.objectstore.ring.device import RingDevice

log = structlog.get_logger()
CHUNK = 1000  # rows at a time
MEET_S = 10.0
FAR = 50_000  # changes from which on the whole file is sent instead


class ReplicateBooks:
    """A loop over the disks of a node."""

    def __init__(self, books: Books, placing: Placing) -> None:
        self._books, self._placing = books, placing
        self._seen: dict[str, Seen] = {}
        self._met: dict[tuple[str, str], str] = {}
        self._rings = placing.book_rings()

    async def once(self) -> int:
        """Push what changed since the last time; how many replicas were brought up to date."""
        met, rings = await self._meet(), self._placing.book_rings()
        if rings != self._rings or any(word != self._met.get(disk, word) for disk, word in met.items()):
            self._seen = {}
        self._met |= met
        self._rings = rings
        return await self._round(self._seen)

    async def _meet(self) -> dict[tuple[str, str], str]:
        """Who the disks are that can be asked."""
        disks = self._placing.book_disks()
        words = await asyncio.gather(*(self._ask_who(one) for one in disks))
        return {(one.address, one.device): word for one, word in zip(disks, words, strict=True) if word}

    async def _ask_who(self, disk: RingDevice) -> str:
        try:
            async with asyncio.timeout(MEET_S):
                return await self._placing.nodes.at(disk.address).identify_books(Spot(disk.device, 0))
        except BROKEN:
            return ""  # what it has missed is seen when it is compared

    async def all(self) -> int:
        """Compare everything: what a replica has lost is not seen by those that have it."""
        return await self._round({})

    async def _round(self, seen: dict[str, Seen]) -> int:
        pushed = 0
        for device, shelf in self._books.shelves.items():
            for kind in Kind:
                known = seen.setdefault(f"{device}/{kind.value}", {})
                async for key in walk(shelf, kind, known):
                    count, whole = await self._replicate(device, shelf, key)
                    pushed += count
                    if not whole:
                        known.pop(shelf.folder(key).name, None)
        return pushed

    async def _replicate(self, device: str, shelf: Shelf, key: Key) -> tuple[int, bool]:
        """To how many it was pushed, and whether all have everything now."""
        place = self._placing.book(key[1])
        here = (self._placing.nodes.here, device)
        at_home = key[0] == place.partition  # it is not when the ring has other partitions by now
        others = [one for one in place.primaries if not at_home or (one.address, one.device) != here]
        mine = await shelf.read(key, standing)
        if mine is None:
            return 0, True
        pushed, whole = 0, True
        for other in others:
            try:
                pushed += await self._push(shelf, key, mine, other)
            except BROKEN as error:
                self._placing.patience.failed(other, error)
                log.warning("a replica is not reached", book=str(key[1]), address=other.address, error=repr(error))
                whole = False
        if whole and len(others) == len(place.primaries):
            removed = await shelf.alone(key, lambda db: db.transact(partial(remove, seq=mine.seq)))
            log.info("book is where it belongs, removed here", book=str(key[1]), device=device, removed=removed)
        return pushed, whole

    async def _push(self, shelf: Shelf, key: Key, mine: Standing, other: RingDevice) -> bool:
        """Whether there was anything to push."""
        node: BookNode = self._placing.nodes.at(other.address)
        spot = self._placing.book(key[1]).spot(other)
        theirs = await node.compare_book(spot, key[1], mine.made)
        if theirs is None:
            await self._ship(shelf, key, node, spot)
            return True
        if same(mine, theirs) and theirs.got == mine.seq:
            return False
        since = theirs.got
        if same(mine, theirs):
            since = mine.seq  # they heard of all of it from others
        elif theirs.got >= mine.seq:
            got = await shelf.read(key, partial(standing, made=theirs.made))
            if got is None or got.got < theirs.seq or mine.living == theirs.living:
                return False  # what differs is theirs to push
            since = 0  # both have all of the other's, and yet they differ
        if mine.seq - since > FAR:
            await self._ship(shelf, key, node, spot)
        else:
            await self._send(shelf, key, (node, spot), mine, since)
        return True

    async def _ship(self, shelf: Shelf, key: Key, node: BookNode, spot: Spot) -> None:
        async with shipped(shelf, key) as (shipment, pieces):
            await node.take_book(spot, key[1], shipment, pieces)

    async def _send(self, shelf: Shelf, key: Key, to: tuple[BookNode, Spot], mine: Standing, since: int) -> None:
        node, spot = to
        told = await shelf.read(key, preamble)
        while told is not None:
            found = await shelf.read(key, partial(changed_rows, since=since, limit=CHUNK, kind=kind_of(key[1])))
            if found is None:
                return
            since, rows = found
            await node.merge_book(spot, key[1], mine.made, since, told, rows)
            if since >= mine.seq:
                return
