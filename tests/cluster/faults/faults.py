"""What can befall a cluster, one at a time, each within the redundancy.

A fault begins, lasts while clients write, and ends: the node is there again, the disk, the wire. What it did is for the
cluster to heal.
"""

import random
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path as File

from maldon.objectstore.books.salvage import flaw
from maldon.objectstore.device.merge import DELETED, LARGE, Entry
from tests.cluster.faults.census import large_file, opened, rows_of
from tests.cluster.faults.members import DISKS, Member


@dataclass
class Fault:
    """One that happens to `member`. `end` lets go of it; `damage` tells what has not been noticed yet."""

    what: str
    member: Member
    begin: Callable[[], None]
    end: Callable[[], None] = lambda: None
    restarts: bool = False
    damage: Callable[[], bool] = lambda: False


def kill(member: Member, _others: Sequence[Member], _choice: random.Random) -> Fault:
    """Dead for a while."""
    return Fault("is killed", member, member.kill, member.launch, restarts=True)


def crash(member: Member, _others: Sequence[Member], _choice: random.Random) -> Fault:
    """Dead, and there again at once."""

    def begin() -> None:
        member.kill()
        member.launch()

    return Fault("crashes", member, begin, restarts=True)


def hang(member: Member, _others: Sequence[Member], _choice: random.Random) -> Fault:
    return Fault("hangs", member, lambda: member.signal(signal.SIGSTOP), lambda: member.signal(signal.SIGCONT))


def isolate(member: Member, others: Sequence[Member], _choice: random.Random) -> Fault:
    """Clients still reach it, nodes do not."""
    addresses = [one.port.address for one in others]
    return Fault("is cut off from all nodes", member, lambda: member.port.cut(addresses), member.port.join)


def split(member: Member, others: Sequence[Member], choice: random.Random) -> Fault:
    """Cut off from some, perhaps in one direction."""
    some = choice.sample(list(others), choice.randrange(1, len(others)))
    coming, going = choice.choice(((True, True), (True, False), (False, True)))
    ways = " and ".join(word for word, on in (("from", coming), ("to", going)) if on)
    names = ", ".join(str(one.number) for one in some)

    def begin() -> None:
        member.port.cut([one.port.address for one in some], coming=coming, going=going)

    return Fault(f"loses packets {ways} {names}", member, begin, member.port.join)


def lose_disk(member: Member, _others: Sequence[Member], choice: random.Random) -> Fault:
    """The node is stopped, a disk replaced by an empty one."""
    name = choice.choice(DISKS)

    def begin() -> None:
        member.kill()
        empty(member.disk(name))

    return Fault(f"is stopped and {name} emptied", member, begin, member.launch, restarts=True)


def wipe_disk(member: Member, _others: Sequence[Member], choice: random.Random) -> Fault:
    """While the node runs."""
    name = choice.choice(DISKS)
    return Fault(f"has {name} emptied while it runs", member, lambda: empty(member.disk(name)))


def turn_bit(member: Member, _others: Sequence[Member], choice: random.Random) -> Fault:
    """In a record of a segment, or in the file of a large object."""
    root = member.disk(choice.choice(DISKS))
    rows = [row for row in rows_of(root) if not row.flags & DELETED]
    row = choice.choice(rows) if rows else None
    file, at = place_of(root, row, choice) if row else (None, 0)

    def begin() -> None:
        if file is not None:
            flip(file, at, choice)

    def damage() -> bool:
        return row is not None and any(now[:9] == row[:9] for now in rows_of(root))

    what = "nothing" if file is None else f"{file.parent.name}/{file.name} at {at}"
    return Fault(f"has a bit turned over in {what}", member, begin, damage=damage)


def turn_book_bit(member: Member, _others: Sequence[Member], choice: random.Random) -> Fault:
    """In the database of an account or a container."""
    files = sorted(found for name in DISKS for found in member.disk(name).glob("[ac]*/*/[0-9a-f]*/book.db"))
    file = choice.choice(files) if files else None
    at = choice.randrange(file.stat().st_size) if file else 0

    def begin() -> None:
        if file is not None:
            flip(file, at, choice)

    def damage() -> bool:
        return file is not None and file.exists() and bool(flaw(file.parent, 1_000_000))

    what = "no book" if file is None else f"{file.relative_to(member.home / 'objects')} at {at}"
    return Fault(f"has a bit turned over in {what}", member, begin, damage=damage)


def place_of(root: File, row: Entry, choice: random.Random) -> tuple[File | None, int]:
    """A byte of a record or of its body."""
    if row.flags & LARGE:
        file = large_file(root, row)
        return file, choice.randrange(row.size)
    segment = segment_of(root, row.segment)
    return segment, row.at + choice.randrange(row.head + row.size)


def segment_of(root: File, number: int) -> File | None:
    with closing(opened(root / "index.db")) as db:
        name = db.execute("SELECT name FROM segments WHERE number = ?", (number,)).get
    return None if name is None else root / "segments" / name


def flip(file: File, at: int, choice: random.Random) -> None:
    with file.open("r+b", 0) as target:
        target.seek(at)
        [byte] = target.read(1)
        target.seek(at)
        target.write(bytes([byte ^ 1 << choice.randrange(8)]))


def empty(folder: File) -> None:
    """Everything below it is gone, whoever writes there meanwhile."""
    while list(folder.iterdir()):
        for found in folder.iterdir():
            if found.is_dir():
                shutil.rmtree(found, ignore_errors=True)
            else:
                found.unlink(missing_ok=True)


KINDS = (kill, crash, hang, isolate, split, lose_disk, wipe_disk, turn_bit, turn_book_bit)
