"""The log is the truth: the index that is built from it is the index that was kept while it was written."""

import asyncio
import contextlib
import hashlib
import os
import tempfile
from pathlib import Path as FilePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maldon.objectstore.coding.whole import Whole
from maldon.objectstore.device.compact import Compactor
from maldon.objectstore.device.merge import DELETED
from maldon.objectstore.device.record import Head, Kind, Meta, encode_meta, pack, scan
from maldon.objectstore.device.recover import reader_of
from maldon.objectstore.device.segment import magic_of
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import Put, Record, Row, Spot, Superseded, Teaching
from tests.disks import SALT, bytes_of, files, lose_index, opened, path, rows_of

SETTINGS = DeviceSettings(small_bytes=100, segment_bytes=2_000, reserve_percent=0)
TOLD = Teaching("node:1", Spot("disk-1", 7))

names = st.sampled_from(["a", "b", "c"])
times = st.integers(1, 12)
step = st.one_of(
    st.tuples(st.just("put"), names, times, st.sampled_from([0, 40, 100, 101, 400])),
    st.tuples(st.just("delete"), names, times),
    st.tuples(st.just("post"), names, times),
    st.tuples(st.just("forget"), names),
    st.tuples(st.just("fragment"), names, times, st.integers(0, 1), st.booleans()),
    st.tuples(st.just("commit"), names, times),
    st.tuples(st.just("delete fragments"), names, times),
    st.tuples(st.just("set aside"), names),
    st.tuples(st.just("reopen")),
)


async def perform(device, forgotten, verb, name="", *more):
    match verb:
        case "put":
            await device.put(0, path(name), Put(more[0], {"x-object-meta-n": name}), os.urandom(more[1]))
        case "delete":
            await device.delete(0, path(name), more[0])
        case "post":
            await device.post(0, path(name), more[0], {"x-object-meta-p": str(more[0])})
        case "forget":
            record = await device.head(0, path(name))
            if record is not None:
                let_go(forgotten, name, (record.timestamp, record.deleted, record.posted_at))
                await device.forget(0, path(name), record)
        case "fragment":
            put = Put(more[0], {}, fragment=more[1], durable=more[2])
            await device.put(1, path(name), put, os.urandom(50))
        case "commit":
            await device.commit(1, path(name), more[0])
        case "delete fragments":
            await device.delete(1, path(name), more[0])
        case "set aside":
            for row in device.index.find(0, SALT(path(name))):
                let_go(forgotten, name, row.version[:3])
                await device.set_aside(row)
        case "compact":
            await Compactor(device).once()


def let_go(forgotten, name, version):
    forgotten[name] = max(forgotten.get(name, version), version)


async def live(root, steps, settings, look):
    """Perform the steps; what is looked at then, what of it must be in an index that was built anew, and what is.

    What comes before a version that was let go may have been written after that. A new index need not keep it: the
    version let go is elsewhere, and ends it. A tombstone comes after the bytes of its time.
    """
    steps, kept, forgotten = [*steps, ("reopen",)], set(), {}
    while steps:
        async with opened(root, settings) as device:
            while (next_step := steps.pop(0))[0] != "reopen":
                with contextlib.suppress(Superseded):
                    await perform(device, forgotten, *next_step)
            kept = look(device)
    lose_index(root)
    async with opened(root, settings) as device:
        built = look(device)
    gone = {SALT(path(name)): version for name, version in forgotten.items()}
    return kept, {row for row in kept if row[0] != 0 or version_of(row) >= gone.get(row[1], (0,))}, built


def version_of(row):
    return row[4], bool(row[-3] & DELETED), row[5]


@settings(max_examples=25)
@given(st.lists(step, max_size=14))
def test_the_index_equals_the_log(steps):
    with tempfile.TemporaryDirectory() as root:
        kept, lasting, built = asyncio.run(live(FilePath(root), steps, SETTINGS, rows_of))
        assert lasting <= built <= kept


@pytest.mark.parametrize("damage", ["lost", "garbage", "half"])
async def test_an_index_that_is_no_good_is_built_anew(tmp_path, damage):
    async with opened(tmp_path, SETTINGS) as device:
        for number in range(60):
            await device.put(0, path(f"o{number}"), Put(1000, {}), b"%d" % number)
        kept = rows_of(device)
    index = tmp_path / "index.db"
    match damage:
        case "lost":
            lose_index(tmp_path)
        case "garbage":
            index.write_bytes(os.urandom(index.stat().st_size))
        case "half":
            os.truncate(index, index.stat().st_size // 2)
    async with opened(tmp_path, SETTINGS) as device:
        assert rows_of(device) == kept
        assert [await bytes_of(device, f"o{number}") for number in range(60)] == [b"%d" % n for n in range(60)]


async def test_records_behind_damage_are_found(tmp_path):
    """A header that cannot be read says not how long it is: the next one is searched for."""
    async with opened(tmp_path) as device:
        for number in range(5):
            await device.put(0, path(f"o{number}"), Put(1000, {}), os.urandom(3000))
        (row,) = device.index.find(0, SALT(path("o2")))
    (segment,) = files(tmp_path, "segments")
    with segment.open("r+b") as file:
        file.seek(row.at + 12)
        file.write(b"\xff" * 4)
    lose_index(tmp_path)
    async with opened(tmp_path) as device:
        found = [number for number in range(5) if await device.head(0, path(f"o{number}"))]
        assert found == [0, 1, 3, 4]


async def test_a_body_that_looks_like_a_record_is_none(tmp_path):
    """A client cannot know a segment's magic, so what it stores is never taken for a record, whatever is damaged."""
    record = Record(2000, 4, "0" * 32, {}, 2000)
    meta = encode_meta(Meta(path("victim"), 0, record))
    head = Head(Kind.SMALL, SALT(path("victim")), 1, 0, len(meta), 4, 0)
    forged = b"".join(pack(magic, head, meta, 0) + b"evil" for magic in range(50))
    async with opened(tmp_path) as device:
        await device.put(0, path("o"), Put(1000, {}), forged)
        await device.put(0, path("victim"), Put(1000, {}), b"good")
        (row,) = device.index.find(0, SALT(path("o")))
    (segment,) = files(tmp_path, "segments")
    with segment.open("r+b") as file:
        file.seek(row.at + 12)
        file.write(b"\xff" * 4)
    lose_index(tmp_path)
    async with opened(tmp_path) as device:
        assert await bytes_of(device, "victim") == b"good"
        assert await bytes_of(device, "o") is None


@pytest.mark.parametrize("lost", [False, True])
async def test_a_debt_that_was_not_settled_is_owed_after_a_restart(tmp_path, lost):
    async with opened(tmp_path) as device:
        for name in ("told", "untold", "overwritten"):
            await device.put(0, path(name), Put(1000, {"content-type": "text/plain"}), b"data", [TOLD])
        await device.settle(0, path("told"), 1000, [TOLD])
        await device.put(0, path("overwritten"), Put(2000, {}), b"newer")
    if lost:
        lose_index(tmp_path)
    async with opened(tmp_path) as device:
        owed, more = await Survey(device).debts()
        assert more is None
        assert {debt.path.object for debt in owed} - ({"told"} if lost else set()) == {"untold"}
        (debt,) = [one for one in owed if one.path.object == "untold"]
        assert (debt.version, debt.teach) == (1000, [TOLD])
        assert debt.row == Row("untold", 1000, 4, "text/plain", hashlib.md5(b"data").hexdigest(), measured_at=1000)
        for debt in owed:
            await device.settle(debt.policy, debt.path, debt.version, debt.teach)
        assert await Survey(device).debts() == ([], None)


async def test_puts_that_overtake_each_other_after_a_post_are_owed_as_the_newest(tmp_path):
    async with opened(tmp_path) as device:
        await device.put(0, path("o"), Put(1000, {}), b"old", [TOLD])
        await device.post(0, path("o"), 9000, {"x-object-meta-p": "posted"}, [TOLD])
        puts = (device.put(0, path("o"), Put(at, {}), b"data", [TOLD]) for at in (3000, 2000))
        await asyncio.gather(*puts)
    async with opened(tmp_path) as device:
        ((debt,), _) = await Survey(device).debts()
        assert (debt.version, debt.row.measured_at, debt.teach) == (9000, 3000, [TOLD])


@pytest.mark.parametrize("lost", [False, True])
async def test_what_a_commit_has_to_tell_is_owed_of_the_whole_object(tmp_path, lost):
    whole = Whole("0" * 32, 9, 1 << 20, "isa_l_rs_vand/2+1")
    headers = {"content-type": "text/plain", **whole.headers}
    async with opened(tmp_path) as device:
        for number in (0, 2):
            await device.put(1, path("o"), Put(1000, headers, fragment=number, durable=False), b"part")
        assert await device.commit(1, path("o"), 1000, [TOLD])
        assert await Survey(device).debts() == ([], None)
    if lost:
        lose_index(tmp_path)
    async with opened(tmp_path) as device:
        owed, _ = await Survey(device).debts()
        row = Row("o", 1000, 9, "text/plain", "0" * 32, policy=1, measured_at=1000)
        assert [(debt.version, debt.teach, debt.row) for debt in owed] == [(1000, [TOLD], row)] * 2
        await device.settle(1, path("o"), 1000, [TOLD])
        assert await Survey(device).debts() == ([], None)


def test_a_scan_gives_every_whole_record(tmp_path):
    async def write():
        async with opened(tmp_path) as device:
            for number in range(10):
                await device.put(0, path(f"o{number}"), Put(1000 + number, {}), os.urandom(number * 100))

    asyncio.run(write())
    (segment,) = files(tmp_path, "segments")
    file = os.open(segment, os.O_RDONLY)
    try:
        found = list(scan(magic_of(segment.name), reader_of(file), 0, segment.stat().st_size))
    finally:
        os.close(file)
    assert [head.body_bytes for _, head, _ in found] == [number * 100 for number in range(10)]
    assert found[-1][0] + found[-1][1].length == segment.stat().st_size
