"""Which versions of an object a disk keeps: a pure function, the same in whatever order records are met.

Of each slot (the whole object, a fragment, a fragment not yet durable) the newest version stays: by the time of the
bytes (a tombstone of the same time comes after them), then of the metadata, then of the writing here. What is durable
ends everything older, tombstones included. A fragment becomes durable when another record says of its timestamp that
it is: a mark, or a durable fragment of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

MARK_SLOT = -2  # of `Entry.fragment`: fragments of that timestamp are durable, and none of them was met yet

DELETED = 1  # flags
LARGE = 2
FORGOTTEN = 4
PROMOTED = 8  # durable, which its own record does not say


class Entry(NamedTuple):
    """A row of the index. `pending` is the timestamp of a fragment that is not durable, else 0."""

    policy: int
    hash: bytes
    fragment: int
    pending: int
    timestamp: int
    posted: int
    written: int
    segment: int
    at: int
    head: int
    size: int
    flags: int
    expires: int | None
    owed: bytes | None

    @property
    def slot(self) -> tuple[int, int]:
        return self.fragment, self.pending

    @property
    def version(self) -> tuple[int, bool, int, int]:
        return self.timestamp, bool(self.flags & DELETED), self.posted, self.written


def merge(rows: Sequence[Entry], new: Entry) -> list[Entry]:
    """What is kept when a record of the same object is met."""
    settled = max((row.timestamp for row in (*rows, new) if not row.pending), default=-1)
    slots: dict[tuple[int, int], Entry] = {}
    for met in (*rows, new):
        row = met
        if row.timestamp < settled:
            continue
        if row.pending == settled:
            row = row._replace(pending=0, flags=row.flags | PROMOTED)
        held = slots.get(row.slot)
        if held is None or held.version < row.version:
            slots[row.slot] = row
    if any(not row.pending and row.fragment != MARK_SLOT for row in slots.values()):
        slots.pop((MARK_SLOT, 0), None)
    return list(slots.values())


def is_version(row: Entry) -> bool:
    """Whether a row is something that is held, durable or not, and no mark."""
    return row.fragment != MARK_SLOT and not row.flags & FORGOTTEN


def newest(rows: Sequence[Entry], fragment: int | None = None) -> Entry | None:
    """The durable version, of a certain fragment if need be; a tombstone is one of every fragment."""
    for row in rows:
        if (
            is_version(row)
            and not row.pending
            and (fragment is None or row.fragment == fragment or row.flags & DELETED)
        ):
            return row
    return None
