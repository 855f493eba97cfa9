"""Which version of an object in fragments is the one to be read, of all that disks say they hold: a pure function.

The newest counts of those that are durable, and a version is durable if anybody says so; fragments of one and the same
timestamp are read together and no others. What is newer and not durable was never answered; it is passed over.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from maldon.objectstore.node import WHOLE, Record
from maldon.objectstore.ring.device import RingDevice


class Seen(NamedTuple):
    """A record, and the disk that has it."""

    device: RingDevice
    record: Record


@dataclass(slots=True)
class Version:
    """One version. `record` is that of a fragment with the newest metadata, `holders` the disks by fragment."""

    record: Record
    durable: bool = False
    holders: dict[int, list[RingDevice]] = field(default_factory=dict)

    @property
    def timestamp(self) -> int:
        return self.record.timestamp

    @property
    def deleted(self) -> bool:
        return self.record.deleted

    def add(self, seen: Seen) -> None:
        record = seen.record
        if record.posted_at > self.record.posted_at:
            self.record = record
        self.durable |= record.durable
        if record.fragment != WHOLE:
            self.holders.setdefault(record.fragment, []).append(seen.device)


def versions(seen: Iterable[Seen]) -> list[Version]:
    """All of them, the newest first; a tombstone before the bytes of the same time."""
    found: dict[tuple[int, bool], Version] = {}
    for one in seen:
        key = one.record.timestamp, one.record.deleted
        found.setdefault(key, Version(one.record)).add(one)
    return [found[key] for key in sorted(found, reverse=True)]


def current(seen: Iterable[Seen]) -> Version | None:
    """The newest that is durable, a tombstone perhaps; None when there is none."""
    return next((version for version in versions(seen) if version.durable), None)
