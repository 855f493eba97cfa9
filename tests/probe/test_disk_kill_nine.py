"""Two processes write one disk, compact it, and are killed at any instant; a ledger of what was answered is checked.

For every name: the disk holds the last write that was answered or one that was begun after it, its bytes are those of
that write, and its container is told or still owed. Not one round, but many on the same disk.
"""

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count

import pytest

from maldon.objectstore.device.survey import Survey
from tests.disk_writer import SETTINGS, body_of
from tests.disks import bytes_of, lose_index, opened, path, rows_of
from tests.killed_writer import write_until_killed

NAMES = 40


@dataclass
class Ledger:
    """What the writers said, of every name by timestamp."""

    begun: dict[str, dict[int, tuple[str, int]]] = field(default_factory=lambda: defaultdict(dict))
    done: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    settled: set[tuple[str, int]] = field(default_factory=set)

    def note(self, line: str) -> None:
        match line.split():
            case ["begin", name, at, kind, size]:
                self.begun[name][int(at)] = kind, int(size)
            case ["done", name, at, now]:
                self.done[name][int(at)] = int(now)
            case ["settle", name, at]:
                self.settled.add((name, int(at)))

    def writes(self) -> int:
        return sum(map(len, self.done.values()))


async def check(device, ledger):
    owed, more = await Survey(device).debts(limit=10_000)
    assert more is None
    owing = {(debt.path.object, debt.version) for debt in owed}
    for name, begun in ledger.begun.items():
        record = await device.head(0, path(name))
        done = ledger.done[name]
        written = max((at for at in done if begun[at][0] != "post"), default=0)
        if record is None:
            assert written == 0
            continue
        assert record.timestamp >= written
        posted = max((at for at in done if begun[at][0] == "post"), default=0)
        # A POST may be lost to the write of new bytes that was under way when it began: as if it had come before.
        if done.get(record.timestamp, posted + 1) < posted:
            assert record.posted_at >= posted
        version = record.posted_at
        assert version in begun
        assert (name, version) in owing or (name, version) in ledger.settled or version not in ledger.done[name]
        kind, size = begun[record.timestamp]
        assert record.deleted == (kind == "delete")
        if not record.deleted:
            assert await bytes_of(device, name) == body_of(record.timestamp, size)
            assert (record.headers == {"x-object-meta-n": "1"}) == (record.posted_at == record.timestamp)


def versions_of(device):
    """What the index says but where it lies: a compaction that was killed leaves a record and its copy, and either is
    as good. `check` reads them.
    """
    return {row[:7] + row[10:] for row in rows_of(device)}


@pytest.mark.timeout(300)
async def test_nothing_that_was_answered_is_lost(tmp_path):
    ledger = Ledger()
    root = tmp_path / "disk"
    async with opened(root, SETTINGS):
        pass
    for number in count():
        if number >= 6 and ledger.writes() > 200:  # on a slow disk that takes more rounds
            break
        lives = [random.uniform(0.05, 1.5) for _ in range(2)]
        words = ("tests.disk_writer", root, 12, NAMES, 60)
        await asyncio.gather(*(write_until_killed(*words, seconds=life, note=ledger.note) for life in lives))
        if number % 3 == 1:
            lose_index(root)
        async with opened(root, SETTINGS) as device:
            await check(device, ledger)
            kept = versions_of(device)
    lose_index(root)
    async with opened(root, SETTINGS) as device:
        assert versions_of(device) == kept
        await check(device, ledger)
