"""Compaction gives room back, and changes nothing else; not even what an index built anew would hold."""

import asyncio
import itertools
import os
import tempfile
from pathlib import Path as FilePath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maldon.objectstore.device.compact import Compactor
from maldon.objectstore.device.reclaim import reclaim, sweep
from maldon.objectstore.device.segment import Segment
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.node import Put
from maldon.objectstore.timestamp import stamp
from tests.disks import SALT, bytes_of, files, lose_index, opened, path, rows_of
from tests.unit.test_device_log import TOLD, live, step

SMALL = DeviceSettings(segment_bytes=20_000, live_percent=60, reserve_percent=0)


def size_of(root):
    return sum(found.stat().st_size for found in files(root, "segments"))


def versions(device):
    """What the index says but for where it lies."""
    return {(*row[:7], *row[10:]) for row in rows_of(device)}


async def test_room_comes_back_and_nothing_is_lost(tmp_path):
    async with opened(tmp_path, SMALL) as device:
        for number in range(60):
            await device.put(0, path(f"o{number}"), Put(1000, {}), bytes([number]) * 3000)
        for number in range(60):
            if number % 3:
                await device.put(0, path(f"o{number}"), Put(2000, {}), b"small")
        before, kept = size_of(tmp_path), versions(device)
        assert await Compactor(device).once() >= 5
        assert size_of(tmp_path) < before / 2
        for number in range(60):
            assert await bytes_of(device, f"o{number}") == (b"small" if number % 3 else bytes([number]) * 3000)
        assert versions(device) == kept
        again = size_of(tmp_path)
        for _ in range(3):
            assert await Compactor(device).once() == 0
        assert size_of(tmp_path) == again
    lose_index(tmp_path)
    async with opened(tmp_path, SMALL) as device:
        assert versions(device) == kept


async def test_many_small_segments_become_one(tmp_path):
    for number in range(5):
        async with opened(tmp_path) as device:
            await device.put(0, path(f"o{number}"), Put(1000, {}), b"%d" % number)
    async with opened(tmp_path) as device:
        assert await Compactor(device).once() == 5
        assert len(files(tmp_path, "segments")) == 1
        assert [await bytes_of(device, f"o{number}") for number in range(5)] == [b"%d" % n for n in range(5)]


async def test_another_process_reads_on(tmp_path):
    """It has the old segments open, and its own ideas of where records lie."""
    async with opened(tmp_path, SMALL) as device, opened(tmp_path, SMALL) as other:
        for number in range(30):
            await device.put(0, path(f"o{number}"), Put(1000, {}), os.urandom(3000))
        bodies = [await bytes_of(other, f"o{number}") for number in range(30)]
        for number in range(0, 30, 2):
            await other.delete(0, path(f"o{number}"), 2000)
        assert await Compactor(device).once() > 0
        for number in range(30):
            assert await bytes_of(other, f"o{number}") == (bodies[number] if number % 2 else None)


async def test_a_debt_moves_with_its_record(tmp_path):
    async with opened(tmp_path, SMALL) as device:
        await device.put(0, path("owing"), Put(1000, {}), b"data", [TOLD])
    async with opened(tmp_path, SMALL) as device:
        for number in range(30):
            await device.put(0, path("often"), Put(1000 + number, {}), os.urandom(3000))
        assert await Compactor(device).once() > 0
        compactor = Compactor(device)
        owed, _ = await compactor.survey.debts()
        assert [(debt.path, debt.teach) for debt in owed] == [(path("owing"), [TOLD])]
    lose_index(tmp_path)
    async with opened(tmp_path, SMALL) as device:
        owed, _ = await Compactor(device).survey.debts()
        assert [(debt.path, debt.teach) for debt in owed] == [(path("owing"), [TOLD])]


async def test_a_damaged_record_is_set_aside_on_the_way(tmp_path):
    async with opened(tmp_path, SMALL) as device:
        for number in range(10):
            await device.put(0, path(f"o{number}"), Put(1000, {}), bytes([number]) * 3000)
        (row,) = device.index.find(0, SALT(path("o1")))
        first = tmp_path / "segments" / device.index.segment_name(row.segment)
        with first.open("r+b") as file:
            file.seek(row.at + row.head + 5)
            file.write(b"\xff")
        for number in (0, 2, 3):
            await device.delete(0, path(f"o{number}"), 2000)
        assert await Compactor(device).once() == 1
        assert await device.head(0, path("o1")) is None
        (kept,) = files(tmp_path, "quarantine")
        assert len(kept.read_bytes()) == row.head + row.size
        assert await bytes_of(device, "o4") == b"\x04" * 3000


@settings(max_examples=25)
@example([("delete", "a", 1), ("forget", "a"), ("put", "a", 1, 0)])
@given(st.lists(step | st.just(("compact",)), max_size=14))
def test_the_index_equals_the_log_after_compaction(steps):
    always = DeviceSettings(
        small_bytes=100, segment_bytes=2_000, reserve_percent=0, live_percent=100, reclaim_age_s=10**10
    )

    with tempfile.TemporaryDirectory() as root:
        kept, lasting, built = asyncio.run(live(FilePath(root), [*steps, ("compact",)], always, versions))
        assert lasting <= built <= kept


async def test_a_reclaimed_tombstone_goes_on_ending_what_is_older(tmp_path):
    """Its object's record lies in a segment that is not rewritten; an index built anew must not bring it back."""
    now = stamp()
    once = DeviceSettings(segment_bytes=20_000, live_percent=60, reserve_percent=0, reclaim_age_s=0)
    async with opened(tmp_path, once) as device:
        await device.put(0, path("o"), Put(now - 1000, {}), b"deleted long ago")
        for number in range(8):
            await device.put(0, path(f"o{number}"), Put(1000, {}), os.urandom(3000))
    async with opened(tmp_path, once) as device:
        await device.delete(0, path("o"), now)
        for number in range(30):
            await device.put(0, path("often"), Put(2000 + number, {}), os.urandom(3000))
        assert await Compactor(device).once() > 0
        assert device.index.find(0, SALT(path("o"))) == []
        for _ in range(3):
            await Compactor(device).once()
    lose_index(tmp_path)
    async with opened(tmp_path, once) as device:
        assert await bytes_of(device, "o") is None
        reclaim(device)
        assert device.index.find(0, SALT(path("o"))) == []


async def test_tombstones_and_fragments_of_nobody_have_their_time(tmp_path):
    once = DeviceSettings(reserve_percent=0, reclaim_age_s=100)
    old, new = stamp() - 200 * 100_000, stamp()
    async with opened(tmp_path, once) as device:
        for name, at in (("old", old), ("new", new)):
            await device.delete(0, path(name), at)
            await device.put(1, path(name), Put(at, {}, fragment=1, durable=False), b"never committed")
        await device.put(0, path("kept"), Put(old, {}), b"data")
        assert reclaim(device) == 2
        assert {row[4] for row in rows_of(device)} == {new, old}
        assert [bool(device.index.find(policy, SALT(path("old")))) for policy in (0, 1)] == [False, False]
        assert [bool(device.index.find(policy, SALT(path("new")))) for policy in (0, 1)] == [True, True]
        assert await bytes_of(device, "kept") == b"data"


async def test_a_large_file_of_nobody_is_swept_away(tmp_path):
    async with opened(tmp_path) as device:
        await device.put(0, path("o"), Put(1000, {}), os.urandom(1_300_000))
        (kept,) = files(tmp_path, "large")
        orphan = kept.with_name(kept.name[:-1] + ("0" if kept.name[-1] != "0" else "1"))
        orphan.write_bytes(b"the process died before its record was written")
        assert await sweep(device) == 0  # it may be of a write that is still under way
        assert await sweep(device, grace_s=-1) == 1
        assert files(tmp_path, "large") == [kept]


async def test_one_process_compacts_at_a_time(tmp_path):
    async with opened(tmp_path, SMALL) as device, opened(tmp_path, SMALL) as other:
        for number in range(30):
            await device.put(0, path("often"), Put(1000 + number, {}), os.urandom(3000))
        rounds = await asyncio.gather(Compactor(device).once(), Compactor(other).once())
        assert min(rounds) == 0
        assert max(rounds) > 0


@pytest.mark.parametrize("when", ["before it is registered", "after its records are"])
async def test_what_a_dead_compactor_left_is_taken_away(tmp_path, when):
    async with opened(tmp_path, SMALL) as device:
        for number in range(30):
            await device.put(0, path("often"), Put(1000 + number, {}), os.urandom(3000))
        left = Segment(tmp_path / "segments")
        if when != "before it is registered":
            left.append([files(tmp_path, "segments")[0].read_bytes()[:5000]])
        left.close()
        assert await Compactor(device).once() > 0
        assert left.name not in {found.name for found in files(tmp_path, "segments")}
        assert len(await bytes_of(device, "often")) == 3000


async def test_what_is_not_in_use_costs_no_time(tmp_path):
    slow = DeviceSettings(segment_bytes=8_000_000, compact_bytes_per_s=200_000, reserve_percent=0)
    async with opened(tmp_path, slow) as device:
        for number in range(30):
            await device.put(0, path("often"), Put(1000 + number, {}), bytes(1_000_000))
        async with asyncio.timeout(60):  # of the 150 s that reading all of it would take
            assert await Compactor(device).once() >= 2


async def test_a_round_is_due_when_much_was_written(tmp_path):
    async with opened(tmp_path, SMALL) as device:
        compactor, stamps = Compactor(device), itertools.count(1000)

        async def overwrite(times):
            for at in itertools.islice(stamps, times):
                await device.put(0, path("often"), Put(at, {}), os.urandom(11_000))  # two fill a segment

        await overwrite(6)
        assert await compactor.when_due() > 0
        await overwrite(6)
        assert await compactor.when_due() == 0
        await overwrite(30)
        assert await compactor.when_due() > 8
        assert await compactor.when_due() == 0
