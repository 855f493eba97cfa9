"""When a shard that has become small is joined to its neighbour: who decides, and what the two agree on.

A shard with a tenth of the rows that make a container be split, or less, moves into the one before it, if both together
are no more than half of them, which is what a split makes. The first replica decides, as it does on splitting, in one
transaction. Before that the neighbour is told whose names it will get; it then neither splits nor joins until they are
there, or the other turns out to have changed its mind.
"""

from functools import partial

from maldon.objectstore.books.database import Database
from maldon.objectstore.books.ranges import JOINING_HEADER, Ranges, bounds_of, root_of, shard_path
from maldon.objectstore.books.shelf import Key, Shelf
from maldon.objectstore.node import Book, Home, Range
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import ask, say
from maldon.objectstore.timestamp import TICKS, stamp

SMALL, TOGETHER = 10, 2  # the parts of `shard_rows` that one has at most, and both
CONSENT_S, DOUBT_S = 30, 300  # how long a decision may take, and after how long it is asked about


class JoinShards:
    """What a sharder knows of neighbours."""

    def __init__(self, placing: Placing) -> None:
        self._placing = placing

    def is_small(self, shelf: Shelf, book: Book) -> bool:
        """Whether it is a shard that has a neighbour before it, and little more."""
        return root_of(book) is not None and bool(bounds_of(book)[0]) and book.objects <= _rows(shelf) // SMALL

    async def join(self, shelf: Shelf, key: Key, book: Book) -> list[Range]:
        """The one range of a shard that is to be joined from now on; empty when it is not."""
        neighbour = await self._before(shelf, book)
        if neighbour is None:
            return []
        at = stamp()
        await self._note(neighbour, at, book.path.container)
        if await self._agrees(shelf, book, neighbour, at):
            ranges = await shelf.write(key, partial(_decide, book=book, shard=neighbour.container, since=at))
            if ranges:
                return ranges
        await self._note(neighbour, stamp(), "")
        return []

    async def is_awaiting(self, book: Book) -> bool:
        """Whether a neighbour's names are on their way into this shard. Raises Unavailable when it cannot be known."""
        said = book.headers.get(JOINING_HEADER)
        if said is None:
            return False
        if stamp() - said[1] < DOUBT_S * TICKS:
            return True
        other = Path(book.path.account, said[0])
        place = self._placing.book(other)
        ranges = await ask(self._placing, place, lambda node, spot, _: node.read_ranges(spot, other))
        return any(one.shard == book.path.container for one in ranges or ())

    async def _before(self, shelf: Shelf, book: Book) -> Path | None:
        """The shard of the names before, as far as the root knows, if it has room."""
        root, (lower, _) = root_of(book), bounds_of(book)
        assert root is not None
        place = self._placing.book(root)
        ranges = await ask(self._placing, place, lambda node, spot, _: node.read_ranges(spot, root)) or []
        before = Ranges(ranges).of(lower)
        if before is None or before.home is not Home.SHARD or before.upper != lower:
            return None
        fits = before.objects + book.objects <= _rows(shelf) // TOGETHER
        return shard_path(root, before.shard) if fits else None

    async def _agrees(self, shelf: Shelf, book: Book, neighbour: Path, at: int) -> bool:
        """Whether the neighbour's first replica, which decides for it, is as we think, and has heard of us."""
        place = self._placing.book(neighbour)
        first = place.primaries[0]
        node, spot = self._placing.nodes.at(first.address), place.spot(first)
        other, ranges = await node.head_book(spot, neighbour), await node.read_ranges(spot, neighbour)
        return (
            other is not None
            and not ranges
            and other.headers.get(JOINING_HEADER) == (book.path.container, at)
            and root_of(other) == root_of(book)
            and bounds_of(other)[1] == bounds_of(book)[0]
            and other.objects + book.objects <= _rows(shelf) // TOGETHER
        )

    async def _note(self, neighbour: Path, at: int, name: str) -> None:
        place, headers = self._placing.book(neighbour), {JOINING_HEADER: name}
        await say(self._placing, place, lambda node, spot, _: node.post_book(spot, neighbour, at, headers))


def _rows(shelf: Shelf) -> int:
    return shelf.settings.shard_rows


def _decide(db: Database, book: Book, shard: str, since: int) -> list[Range]:
    """Unless somebody did, or too much time went by since the neighbour heard. Within a transaction."""
    if len(db.ranges) or stamp() - since > CONSENT_S * TICKS:
        return []
    db.ranges = [Range(shard, *bounds_of(book), joins=True)]
    return list(db.ranges)
