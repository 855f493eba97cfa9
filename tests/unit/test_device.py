"""One disk: what is written is read back as it was, newest wins, and nothing is left of what was refused."""

import asyncio
import hashlib
import os
from functools import partial
from pathlib import Path as FilePath

import pytest

from maldon.kernel.errors import BadRequest, Unavailable
from maldon.objectstore.device.debts import encode_owed
from maldon.objectstore.device.device import Device
from maldon.objectstore.device.index import set_owed
from maldon.objectstore.device.quarantine import listed
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.node import NoSpace, Put, Record, Spot, Superseded, Teaching, WrongDigest
from tests.disks import SALT, bytes_of, files, opened, path

SMALL = DeviceSettings().small_bytes
LARGE = 3 * (1 << 20) + 12_345
SETTINGS = DeviceSettings(reserve_percent=0)


@pytest.fixture
async def device(tmp_path):
    async with opened(tmp_path) as made:
        yield made


async def pieces(data, size=70_000, then=None):
    for at in range(0, len(data), size):
        yield data[at : at + size]
    if then is not None:
        raise then


def record_of(put, data):
    etag = hashlib.md5(data).hexdigest()
    return Record(put.timestamp, len(data), etag, dict(put.headers), put.posted_at or put.timestamp)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("size", [0, 1, 4096, SMALL // 3, SMALL, SMALL + 1, LARGE])
async def test_bytes_come_out_as_they_went_in(device, size, stream):
    data = os.urandom(size)
    put = Put(1000, {"content-type": "text/plain", "x-object-meta-a": "ü"}, hashlib.md5(data).hexdigest(), size)
    written = await device.put(0, path("o"), put, pieces(data) if stream else data)
    assert written == record_of(put, data)
    assert await device.head(0, path("o")) == written
    reading = await device.read(0, path("o"))
    assert reading.record == written
    for start, stop in ((0, None), (size // 3, size // 2), (size // 2, None), (0, 1)):
        assert await bytes_of(device, "o", start, stop) == data[start:stop]
    assert len(files(device.root, "large")) == (size > SMALL)


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("again", [10, LARGE])
async def test_the_newest_version_is_kept_whatever_came_first(device, size, again):
    old, new = os.urandom(size), os.urandom(again)
    await device.put(0, path("o"), Put(1000, {}), old)
    await device.put(0, path("o"), Put(2000, {}), new)
    for late in (1500, 2000):
        with pytest.raises(Superseded) as refused:
            await device.put(0, path("o"), Put(late, {}), old)
        assert refused.value.held == 2000
    assert await bytes_of(device, "o") == new
    assert len(files(device.root, "large")) == (again > SMALL)


async def test_policies_are_apart(device):
    await device.put(0, path("o"), Put(1000, {}), b"in the first")
    assert await device.head(1, path("o")) is None
    await device.put(1, path("o"), Put(900, {}), b"in the second")
    assert await bytes_of(device, "o") == b"in the first"
    assert await bytes_of(device, "o", policy=1) == b"in the second"


@pytest.mark.parametrize("size", [10, LARGE])
async def test_a_deleted_object_leaves_its_tombstone(device, size):
    data = os.urandom(size)
    assert await device.delete(0, path("never"), 500) is None
    before = await device.put(0, path("o"), Put(1000, {}), data)
    with pytest.raises(Superseded):
        await device.delete(0, path("o"), 999)
    assert await device.delete(0, path("o"), 1001) == before
    tombstone = Record(1001, 0, "", {}, 1001, deleted=True)
    assert await device.head(0, path("o")) == tombstone
    reading = await device.read(0, path("o"))
    assert (reading.record, reading.body) == (tombstone, b"")
    assert files(device.root, "large") == []
    assert await device.delete(0, path("o"), 1002) == tombstone
    await device.put(0, path("o"), Put(1003, {}), b"again")
    assert await bytes_of(device, "o") == b"again"


@pytest.mark.parametrize("size", [10, LARGE])
async def test_a_post_replaces_what_it_may_and_keeps_the_bytes(device, size):
    data = os.urandom(size)
    headers = {
        "content-type": "text/plain",
        "x-object-meta-a": "1",
        "x-object-meta-b": "2",
        "x-object-sysmeta-s": "kept",
        "content-encoding": "gzip",
        "x-delete-at": "2000000000",
    }
    before = await device.put(0, path("o"), Put(1000, headers), data)
    posted = await device.post(0, path("o"), 2000, {"x-object-meta-a": "new"})
    assert posted == (before, await device.head(0, path("o")))
    after = await device.head(0, path("o"))
    stays = {"content-type": "text/plain", "x-object-sysmeta-s": "kept", "x-object-meta-a": "new"}
    assert after == Record(1000, size, before.etag, stays, 2000)
    assert await bytes_of(device, "o") == data
    with pytest.raises(Superseded) as refused:
        await device.post(0, path("o"), 1999, {})
    assert refused.value.held == 2000
    assert (await device.post(0, path("o"), 3000, {"content-type": "image/png"})).before == after
    assert (await device.head(0, path("o"))).headers["content-type"] == "image/png"
    assert await bytes_of(device, "o") == data
    assert len(files(device.root, "large")) == (size > SMALL)


async def test_a_post_finds_nothing_or_a_tombstone(device):
    assert await device.post(0, path("o"), 1000, {}) == (None, None)
    await device.delete(0, path("o"), 2000)
    assert (await device.post(0, path("o"), 3000, {})).before.deleted
    assert (await device.head(0, path("o"))).deleted


async def test_a_version_comes_with_the_metadata_of_a_later_post(device):
    await device.put(0, path("o"), Put(1000, {"x-object-meta-a": "old"}), b"data")
    await device.put(0, path("o"), Put(1000, {"x-object-meta-a": "new"}, posted_at=1500), b"data")
    assert (await device.head(0, path("o"))).headers == {"x-object-meta-a": "new"}
    with pytest.raises(Superseded):
        await device.put(0, path("o"), Put(1000, {"x-object-meta-a": "between"}, posted_at=1200), b"data")


async def test_a_put_that_a_later_post_overtook_gets_its_metadata(device):
    await device.put(0, path("o"), Put(1000, {"x-object-meta-a": "1", "content-type": "a/a"}), b"old")
    await device.post(0, path("o"), 3000, {"x-object-meta-p": "posted"})
    late = Put(2000, {"x-object-meta-a": "2", "x-object-sysmeta-s": "2", "content-type": "b/b"})
    await device.put(0, path("o"), late, b"new")
    headers = {"x-object-meta-p": "posted", "x-object-sysmeta-s": "2", "content-type": "b/b"}
    assert await device.head(0, path("o")) == Record(2000, 3, hashlib.md5(b"new").hexdigest(), headers, 3000)
    assert await bytes_of(device, "o") == b"new"


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"etag": "0" * 32}, WrongDigest),
        ({"size": 11}, BadRequest),
        ({"then": ConnectionError("gone")}, ConnectionError),
    ],
)
async def test_what_is_refused_leaves_nothing(device, size, change, error):
    data, change = os.urandom(size), dict(change)
    then = change.pop("then", None)
    with pytest.raises(error):
        await device.put(0, path("o"), Put(1000, {}, **change), pieces(data, then=then))
    assert await device.read(0, path("o")) is None
    assert files(device.root, "large") == []


async def test_a_cancelled_upload_leaves_nothing(device):
    begun = asyncio.Event()

    async def endless():
        while True:
            yield bytes(1 << 19)
            begun.set()
            await asyncio.sleep(0)

    task = asyncio.ensure_future(device.put(0, path("o"), Put(1000, {}), endless()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await device.read(0, path("o")) is None
    assert files(device.root, "large") == []


async def test_a_directory_that_is_no_disk_is_not_written_to(tmp_path):
    with pytest.raises(NoSpace):
        await Device(tmp_path, SETTINGS, SALT).open()
    assert list(tmp_path.iterdir()) == []


async def test_a_reserve_is_kept_free(tmp_path):
    async with opened(tmp_path, DeviceSettings(reserve_percent=100)) as device:
        for size in (10, LARGE):
            with pytest.raises(NoSpace):
                await device.put(0, path("o"), Put(1000, {}, size=size), pieces(bytes(size)))
        assert await device.head(0, path("o")) is None
        assert await device.delete(0, path("o"), 1000) is None  # what frees room is never refused


async def test_many_writers_are_synced_together(device):
    """All of them are there, and many shared one group."""
    names = [f"o{number}" for number in range(500)]
    await asyncio.gather(*(device.put(0, path(name), Put(1000, {}), name.encode()) for name in names))
    assert [await bytes_of(device, name) for name in names] == [name.encode() for name in names]
    assert len(files(device.root, "segments")) == 1


async def test_segments_end_at_their_size(tmp_path):
    async with opened(tmp_path, DeviceSettings(segment_bytes=20_000, reserve_percent=0)) as device:
        for number in range(20):
            await device.put(0, path(f"o{number}"), Put(1000, {}), bytes([number]) * 5000)
        assert len(files(tmp_path, "segments")) >= 4
        for number in range(20):
            assert await bytes_of(device, f"o{number}") == bytes([number]) * 5000


# Fragments of erasure coding


def fragment(number, timestamp, *, durable=False):
    return Put(timestamp, {"x-object-sysmeta-ec-index": str(number)}, fragment=number, durable=durable)


async def version(device, number, timestamp, start=0, stop=None):
    """A fragment as a proxy asks for it; None where it is not."""
    found = await device.fetch(1, SALT(path("o")), number, timestamp, start, stop)
    return None if found is None else found[1]


async def test_a_fragment_is_no_version_until_it_is_committed(device):
    await device.put(1, path("o"), fragment(3, 1000), b"new")
    assert await device.read(1, path("o")) is None
    assert not await device.commit(1, path("o"), 999)
    assert await device.commit(1, path("o"), 1000)
    assert await device.commit(1, path("o"), 1000)
    reading = await device.read(1, path("o"))
    assert (reading.body, reading.record.fragment, reading.record.durable) == (b"new", 3, True)


async def test_the_durable_version_stays_until_the_next_is_committed(device):
    await device.put(1, path("o"), fragment(3, 1000, durable=True), b"old")
    await device.put(1, path("o"), fragment(3, 2000), b"new")
    await device.put(1, path("o"), fragment(3, 3000), b"newest, never committed")
    assert await bytes_of(device, "o", policy=1) == b"old"
    await device.commit(1, path("o"), 2000)
    assert await bytes_of(device, "o", policy=1) == b"new"
    with pytest.raises(Superseded):
        await device.put(1, path("o"), fragment(3, 1500), b"late")
    await device.delete(1, path("o"), 4000)
    assert (await device.read(1, path("o"))).record.deleted
    assert not await device.commit(1, path("o"), 3000)


async def test_everything_held_of_an_object_is_told(device):
    assert await device.versions(1, path("o")) == []
    records = [
        await device.put(1, path("o"), fragment(number, at, durable=durable), b"x" * at)
        for number, at, durable in ((3, 1000, True), (3, 2000, False), (4, 2000, False))
    ]
    assert await device.versions(1, path("o")) == records
    assert (await version(device, 4, 2000)).body == b"x" * 2000
    await device.commit(1, path("o"), 2000)
    told = await device.versions(1, path("o"))
    assert [(one.fragment, one.timestamp, one.durable) for one in told] == [(3, 2000, True), (4, 2000, True)]
    await device.delete(1, path("o"), 3000)
    assert await device.versions(1, path("o")) == [Record(3000, 0, "", {}, 3000, deleted=True)]


async def test_the_fragments_of_a_round_number_of_bytes_are_small_too(device):
    for at, size, large in ((1000, SMALL + 80, 0), (2000, SMALL + 4097, 1)):
        await device.put(1, path("o"), fragment(1, at, durable=True), os.urandom(size))
        assert len(files(device.root, "large")) == large


async def test_several_fragments_of_a_version_lie_on_one_disk(device):
    for number in (2, 5):
        await device.put(1, path("o"), fragment(number, 1000), b"fragment %d" % number)
    await device.commit(1, path("o"), 1000)
    for number in (2, 5):
        assert (await version(device, number, 1000)).body == b"fragment %d" % number
    assert (await version(device, 5, 1000, 2, 5)).body == b"agm"
    assert [await version(device, *other) for other in ((4, 1000), (2, 999))] == [None, None]
    await device.post(1, path("o"), 1100, {"x-object-meta-a": "b"})
    for number in (2, 5):
        reading = await version(device, number, 1000)
        assert reading.record.headers["x-object-meta-a"] == "b"
        assert reading.body == b"fragment %d" % number


async def test_a_version_is_let_go_without_a_tombstone(device):
    kept = await device.put(0, path("o"), Put(1000, {}), b"moved elsewhere")
    await device.forget(0, path("o"), kept)
    assert await device.read(0, path("o")) is None
    await device.put(0, path("o"), Put(1000, {}), b"moved back")
    assert await bytes_of(device, "o") == b"moved back"
    newer = await device.put(0, path("o"), Put(2000, {}), b"newer")
    await device.forget(0, path("o"), kept)
    assert await device.head(0, path("o")) == newer


# Damage


def flip(file: FilePath, at: int) -> None:
    with file.open("r+b") as opened_file:
        opened_file.seek(at)
        byte = opened_file.read(1)
        opened_file.seek(at)
        opened_file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("where", ["head", "meta", "body"])
async def test_a_flipped_bit_is_seen_and_the_record_set_aside(device, where):
    data = os.urandom(1000)
    await device.put(0, path("before"), Put(1000, {}), b"before")
    await device.put(0, path("o"), Put(1000, {}), data)
    await device.put(0, path("after"), Put(1000, {}), b"after")
    (segment,) = files(device.root, "segments")
    begins = segment.read_bytes().index(data)
    (row,) = device.index.find(0, SALT(path("o")))
    flip(segment, {"head": row.at + 20, "meta": begins - 10, "body": begins + 500}[where])
    assert await device.read(0, path("o")) is None
    (kept,) = files(device.root, "quarantine")
    assert len(kept.read_bytes()) == row.head + 1000
    assert [await bytes_of(device, name) for name in ("before", "after")] == [b"before", b"after"]
    await device.put(0, path("o"), Put(1000, {}), data)  # as a replicator brings it back
    assert await bytes_of(device, "o") == data


@pytest.mark.parametrize("damage", ["flip", "lose"])
async def test_a_damaged_large_body_is_set_aside(device, damage):
    data = os.urandom(LARGE)
    await device.put(0, path("o"), Put(1000, {}), data)
    (file,) = files(device.root, "large")
    if damage == "flip":
        flip(file, 2_000_000)
        with pytest.raises(Unavailable):
            await bytes_of(device, "o")
        assert [found.suffix for found in files(device.root, "quarantine")] == ["", ".body"]
    else:
        file.unlink()
    assert await device.read(0, path("o")) is None
    await device.put(0, path("o"), Put(1000, {}), data)
    assert await bytes_of(device, "o") == data


async def test_a_read_given_up_half_way_closes_its_file(device):
    await device.put(0, path("o"), Put(1000, {}), os.urandom(LARGE))
    await device.head(0, path("o"))  # segments stay open
    before = len(list(FilePath("/proc/self/fd").iterdir()))
    for taken in range(3):
        reading = await device.read(0, path("o"))
        for _ in range(taken):
            await anext(reading.body)
        await reading.body.aclose()
        await reading.body.aclose()
    assert len(list(FilePath("/proc/self/fd").iterdir())) == before


async def test_what_is_damaged_is_set_aside_also_when_what_it_owes_changed_meanwhile(device):
    teach = [Teaching("elsewhere", Spot("disk-9", 1))]
    await device.put(0, path("o"), Put(1000, {}), b"bytes", teach)
    (seen,) = device.index.find(0, SALT(path("o")))
    await device.commits.change(partial(set_owed, entry=seen, owed=encode_owed(teach)))
    await device.set_aside(seen)
    assert await device.head(0, path("o")) is None
    assert [one.hash for one in listed(device.root)] == [SALT(path("o"))]
    await device.set_aside(seen)
    assert len(listed(device.root)) == 1
