"""What the disks of the cluster hold, read from their own files: whether the replicas are the same.

Writers go on while this is asked. So a census is taken first, of the newest that anybody holds; the cluster has healed
when every disk that ought to hold a thing has it as new as it was then, and no container is owed what it was owed then.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, NamedTuple

import apsw

from maldon.objectstore.books.item import Kind
from maldon.objectstore.device.merge import DELETED, FORGOTTEN, LARGE, MARK_SLOT, Entry
from maldon.objectstore.path import Path, PathHash, partition
from maldon.objectstore.ring.ring import Ring
from maldon.objectstore.rings import Rings
from maldon.objectstore.timestamp import stamp
from tests.cluster.faults.members import DISKS, POWER, Member

Where = tuple[str, str]
"""A node's address and the name of its disk."""
LEFT_OUT = {Kind.ACCOUNT: "containers, objects, size", Kind.CONTAINER: "objects, size"}


class Version(NamedTuple):
    """Of an object on a disk."""

    timestamp: int
    posted: int
    deleted: bool


@dataclass
class Disk:
    """What is on one. `objects` by policy and hash, by fragment; `books` by kind and path, by name of the row."""

    objects: dict[tuple[int, bytes], dict[int, Version]] = field(default_factory=dict)
    books: dict[Path, dict[str, tuple[Any, ...]]] = field(default_factory=dict)
    owed: int = 0


class Census:
    """Reads the disks of all members."""

    def __init__(self, members: Sequence[Member], rings: Rings, hashed: PathHash) -> None:
        self._members, self._rings, self._hashed = members, rings, hashed

    def disks(self, before: int = 1 << 62) -> dict[Where, Disk]:
        """All of them; what is owed of writes from before a time."""
        return {
            (member.address, name): read_disk(member.disk(name), before) for member in self._members for name in DISKS
        }

    def take(self) -> "Wanted":
        """What every disk ought to have."""
        at, wanted = stamp(), Wanted(stamp())
        for disk in self.disks(at).values():
            for key, held in disk.objects.items():
                newest = max(held.values())
                wanted.objects[key] = max(newest, wanted.objects.get(key, newest))
            for path, rows in disk.books.items():
                told = wanted.books.setdefault(path, {})
                for name, row in rows.items():
                    told[name] = max(row, told.get(name, row))
        return wanted

    def lacking(self, wanted: "Wanted", *, exact: bool = False) -> list[str]:
        """What is not as it ought to be; exact: nor newer, nor on a disk that is none of its own."""
        disks = self.disks(wanted.at)
        found = [f"{where} owes {disk.owed}" for where, disk in disks.items() if disk.owed]
        for key, version in wanted.objects.items():
            found += self._lacking_object(disks, key, version, exact=exact)
        for path, rows in wanted.books.items():
            own = self._own(self._rings.container() if path.container else self._rings.account(), self._hashed(path))
            for where in own:
                held = disks[where].books.get(path)
                if held is None:
                    found.append(f"{where} has no book {path}")
                elif late := [name for name, row in rows.items() if held.get(name, ()) < row]:
                    found.append(f"{where} lacks in {path}: {late[:3]} {held.get(late[0])} {rows[late[0]]}")
            if exact:
                found += [f"{w} has {path} for others" for w, d in disks.items() if path in d.books and w not in own]
        return found

    def _lacking_object(
        self, disks: Mapping[Where, Disk], key: tuple[int, bytes], version: Version, *, exact: bool
    ) -> Iterator[str]:
        own = self._own(self._rings.object(key[0]), key[1])
        for number, where in enumerate(own):
            held = disks[where].objects.get(key, {})
            if key[0] and not any(one.deleted for one in held.values()):  # a fragment each
                held = {number: held[number]} if number in held else {}
            newest = max(held.values(), default=None)
            if newest is None or newest < version or (exact and newest != version):
                yield f"{where} has {held} of {key[1].hex()}, not {version}"
        if exact:
            yield from (
                f"{w} has {key[1].hex()} for others" for w, d in disks.items() if key in d.objects and w not in own
            )

    def _own(self, ring: Ring, hashed: bytes) -> list[Where]:
        return [(one.address, one.device) for one in ring.nodes(partition(hashed, POWER))]


@dataclass
class Wanted:
    """The newest of everything at a moment."""

    at: int
    objects: dict[tuple[int, bytes], Version] = field(default_factory=dict)
    books: dict[Path, dict[str, tuple[Any, ...]]] = field(default_factory=dict)


def opened(file: File) -> apsw.Connection:
    """A database that others use, to be looked at."""
    db = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(5000)
    return db


def rows_of(root: File) -> list[Entry]:
    """The index of a disk."""
    try:
        with closing(opened(root / "index.db")) as db:
            rows = [Entry._make(row) for row in db.execute("SELECT * FROM objects").fetchall()]
    except (apsw.CantOpenError, apsw.SQLError):
        return []  # it is being made
    return [row for row in rows if row.fragment != MARK_SLOT and not row.flags & FORGOTTEN]


def read_disk(root: File, before: int) -> Disk:
    """What is on a disk."""
    disk = Disk()
    for row in rows_of(root):
        if not row.pending:
            held = disk.objects.setdefault((row.policy, row.hash), {})
            held[row.fragment] = Version(row.timestamp, row.posted, bool(row.flags & DELETED))
        disk.owed += row.owed is not None and row.written < before
    for kind in Kind:
        for file in (root / kind.value).glob("*/[0-9a-f]*/book.db"):
            try:
                path, rows = read_book(file)
            except apsw.Error:
                continue  # it is being made, or removed, or is damaged
            disk.books[path] = rows
    return disk


def read_book(file: File) -> tuple[Path, dict[str, tuple[Any, ...]]]:
    """Whose it is, and its rows as they are compared; "" is its heading."""
    with closing(opened(file)) as db, db:
        account, container, *heading = db.execute(
            "SELECT account, container, put_at, deleted_at, headers FROM heading"
        ).get
        rows = {name: tuple(row) for name, *row in db.execute("SELECT name, timestamp, measured_at, 0 FROM row")}
        rows |= {name: tuple(row) for name, *row in db.execute("SELECT name, timestamp, measured_at, 1 FROM gone")}
    return Path(account, container), {"": tuple(heading[:2]), **rows}


def large_file(root: File, row: Entry) -> File | None:
    """Where the body of a large object lies."""
    assert row.flags & LARGE
    name = f"{row.policy}-{row.hash.hex()}-{row.timestamp:016d}-"
    return next(iter((root / "large" / row.hash.hex()[:2]).glob(f"{name}*")), None)
