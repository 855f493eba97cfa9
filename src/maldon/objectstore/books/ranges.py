"""How a container is sharded: which book keeps which names.

A root keeps its ranges in one value, sorted; together they cover every name. A shard that grows over its neighbour
overlaps it until that one is known to be gone; until then the names are the neighbour's, so that a name has one home.
Ranges are merged by what is certain: the heirs of a range take its place for good, what moved into a shard never comes
back, bounds only widen, and what was counted later is believed.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from maldon.objectstore.node import Book, Home, Range, Row
from maldon.objectstore.path import Path

HIDDEN = ".shards_"
ROOT_HEADER = "x-container-sysmeta-shard-root"
"""What a shard says of the container it belongs to: account/container."""
JOINING_HEADER = "x-container-sysmeta-shard-joining"
"""Whose names it is about to take in. Until they are there it neither splits nor joins, and tells nobody how many."""
RANGE_HEADER = "x-container-sysmeta-shard-range"
"""What it says of its names: the bounds of its Range, as JSON."""

unpack = msgspec.msgpack.Decoder(list[Range]).decode
_encode = msgspec.msgpack.Encoder().encode
_replace = msgspec.structs.replace


def _clipped(ranges: list[Range]) -> list[Range]:
    """Every range as far as the next begins."""
    nexts = [one.lower for one in ranges[1:]]
    return [
        _replace(one, upper=following) if not one.upper or one.upper > following else one
        for one, following in zip(ranges, nexts, strict=False)
    ] + ranges[-1:]


class Ranges(Sequence[Range]):
    """All ranges of a root; the `living` are those names are looked up in."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._all = sorted(ranges, key=lambda one: (one.lower, one.shard))
        self.living = _clipped([one for one in self._all if one.home is not Home.HEIRS])
        self._lowers = [one.lower for one in self.living]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: int) -> Range:  # type: ignore[override]
        return self._all[index]

    def of(self, name: str) -> Range | None:
        """The range a name falls into."""
        at = bisect_left(self._lowers, name) - 1
        if at < 0:
            return None
        found = self.living[at]
        return found if not found.upper or name <= found.upper else None

    def away(self, name: str) -> Range | None:
        """The same, if its names are not to be written here."""
        found = self.of(name)
        return None if found is None or found.home is Home.ROOT else found

    def split(self, rows: Iterable[Row]) -> tuple[list[Row], "Away"]:
        """Rows that are written here, and those that belong elsewhere."""
        here: list[Row] = []
        away: Away = defaultdict(list)
        for row in rows:
            home = self.away(row.name)
            if home is None:
                here.append(row)
            else:
                away[home].append(row)
        return here, away

    def counted(self) -> tuple[int, int]:
        """Objects and bytes that the shards have, without what is counted here too."""
        told = [one for one in self.living if one.home is Home.SHARD]
        return sum(one.objects - one.left for one in told), sum(one.size - one.left_size for one in told)

    def replaced(self, *changed: Range) -> Iterator[Range]:
        """All of them, with these in place of what they were."""
        by_shard = {one.shard: one for one in self._all} | {one.shard: one for one in changed}
        return iter(by_shard.values())


Away = dict[Range, list[Row]]
NONE = Ranges(())


def pack(ranges: Iterable[Range]) -> bytes:
    return _encode(list(ranges))


def merge(held: Range, told: Range) -> Range:
    """What is known of a range after somebody told of it; what is left here is not his to say."""
    if told.measured_at > held.measured_at:
        held = _replace(held, objects=told.objects, size=told.size, measured_at=told.measured_at)
    if told.home is Home.HEIRS or (told.home is Home.SHARD and held.home is not Home.HEIRS):
        held = _replace(held, home=told.home)
    lower, upper = min(held.lower, told.lower), furthest(held.upper, told.upper)
    if (lower, upper, held.joins or told.joins) != (held.lower, held.upper, held.joins):
        held = _replace(held, lower=lower, upper=upper, joins=held.joins or told.joins)
    return held


def furthest(*uppers: str) -> str:
    """The outermost of upper bounds."""
    return max(uppers) if all(uppers) else ""


def bounds_of(book: Book) -> tuple[str, str]:
    """The names a book may have: all, unless it is a shard."""
    said = book.headers.get(RANGE_HEADER)
    return msgspec.json.decode(said[0], type=tuple[str, str]) if said else ("", "")


def root_of(book: Book) -> Path | None:
    """The container a shard belongs to."""
    said = book.headers.get(ROOT_HEADER)
    return Path(*said[0].split("/", 1)) if said else None


def shard_headers(root: Path, one: Range) -> dict[str, str]:
    """What makes a container a shard."""
    bounds = msgspec.json.encode((one.lower, one.upper)).decode()
    return {ROOT_HEADER: f"{root.account}/{root.container}", RANGE_HEADER: bounds}


def shard_path(root: Path, shard: str) -> Path:
    """Where the names of a range are kept; the shards of a shard are beside it."""
    account = root.account if root.account.startswith(HIDDEN) else HIDDEN + root.account
    return Path(account, shard)
