"""Debts: containers that are still to be told of a write.

Whom to tell is in the record. Telling is mostly done within a second, so at first a debt is only remembered here,
and the segment remembers up to where everything has been told (`told`): if this process dies, what lies after that is
owed. A debt that has not been settled in time becomes one of the index (`objects.owed`), for the updater to pay.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from maldon.objectstore.device.merge import Entry
from maldon.objectstore.node import Teaching
from maldon.objectstore.path import Path

GRACE_S = 2.0
encode_owed = msgspec.msgpack.Encoder().encode
decode_owed = msgspec.msgpack.Decoder(list[Teaching]).decode


@dataclass(slots=True)
class Young:
    """A debt that only this process knows of."""

    entry: Entry
    teach: Sequence[Teaching]
    since: float


class YoungDebts:
    """The debts of the segment being written, oldest first."""

    def __init__(self) -> None:
        self._debts: dict[tuple[Path, int], Young] = {}

    def __len__(self) -> int:
        return len(self._debts)

    def add(self, path: Path, entry: Entry, teach: Sequence[Teaching]) -> None:
        before = self._debts.get((path, entry.posted))
        if before is not None and before.entry.version > entry.version:
            return  # two PUTs overtook each other, both with the metadata of one POST: the disk holds the newer
        self._debts.pop((path, entry.posted), None)  # its place is among the last now
        self._debts[path, entry.posted] = Young(entry, teach, time.monotonic())

    def settle(self, path: Path, version: int, told: Sequence[Teaching]) -> bool:
        """These replicas have been told; False when the debt is not (or no longer) one of ours."""
        debt = self._debts.get((path, version))
        if debt is None:
            return False
        debt.teach = [teaching for teaching in debt.teach if teaching not in told]
        if not debt.teach:
            del self._debts[path, version]
        return True

    def told(self, end: int) -> int:
        """Up to which offset of the segment nobody is owed anything."""
        first = next(iter(self._debts.values()), None)
        return end if first is None else first.entry.at

    def take_old(self, grace_s: float) -> list[tuple[tuple[Path, int], Young]]:
        """Those that have waited for so long; they are ours no longer."""
        limit = time.monotonic() - grace_s
        old = [key for key, debt in self._debts.items() if debt.since <= limit]
        return [(key, self._debts.pop(key)) for key in old]

    def put_back(self, debts: Sequence[tuple[tuple[Path, int], Young]]) -> None:
        """They could not be noted elsewhere; they are the oldest again."""
        self._debts = dict(debts) | self._debts
