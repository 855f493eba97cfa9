"""The file store: bytes come in whole, hashed and checked, or not at all."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from maldon.image.file_store import PIECE_BYTES, FileStore
from maldon.kernel.errors import BadRequest, TooLarge, Unavailable
from maldon.kernel.ids import new_id
from maldon.web.request import CutOff


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path)


async def pieces(data, size=70_000, then=None):
    for at in range(0, len(data), size):
        yield data[at : at + size]
    if then is not None:
        raise then


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def content(store, name, start, length):
    blocks = await store.read(name, start, length)
    try:
        return b"".join([block async for block in blocks])
    finally:
        await blocks.aclose()


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES + 12345])
async def test_bytes_come_out_as_they_went_in(store, size):
    name, data = new_id(), os.urandom(size)
    received = await store.receive(name, pieces(data), "raw", 1 << 30)
    assert (received.size, received.virtual_size) == (size, size)
    assert received.md5 == hashlib.md5(data).hexdigest()
    assert received.sha512 == hashlib.sha512(data).hexdigest()
    await store.publish(name)
    assert await content(store, name, 0, size) == data
    assert await content(store, name, size // 3, size // 2) == data[size // 3 : size // 3 + size // 2]
    assert await store.names() == {name}


async def test_nothing_is_there_before_it_is_published(store):
    name = new_id()
    await store.receive(name, pieces(b"abc"), "raw", 10)
    with pytest.raises(FileNotFoundError):
        await store.read(name, 0, 3)
    assert await store.names() == {name}
    await store.remove(name)
    with pytest.raises(FileNotFoundError):
        await store.publish(name)
    await store.remove(name)
    assert await store.names() == set()


@pytest.mark.parametrize(
    ("arriving", "disk_format", "error"),
    [
        (pieces(bytes(5 * PIECE_BYTES)), "raw", TooLarge),
        (pieces(b"QFI\xfb" + bytes(3 * PIECE_BYTES)), "raw", BadRequest),
        (pieces(b"short"), "qcow2", BadRequest),
        (pieces(bytes(PIECE_BYTES), then=CutOff("gone")), "raw", CutOff),
    ],
)
async def test_what_is_refused_leaves_only_what_remove_takes_away(store, arriving, disk_format, error):
    name = new_id()
    with pytest.raises(error):
        await store.receive(name, arriving, disk_format, 4 * PIECE_BYTES)
    await store.remove(name)
    assert await store.names() == set()


async def test_a_cancelled_upload_has_stopped_writing(store):
    """Cancelled at any point, the file is closed only after the threads are through with it."""
    name, begun = new_id(), asyncio.Event()

    async def endless():
        while True:
            yield bytes(PIECE_BYTES)
            begun.set()

    async with asyncio.timeout(30):
        task = asyncio.ensure_future(store.receive(name, endless(), "raw", 1 << 60))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_read_given_up_half_way_closes_its_file(store):
    name = new_id()
    await store.receive(name, pieces(bytes(3 << 20)), "raw", 1 << 30)
    await store.publish(name)
    before = open_files()
    for taken in range(3):
        blocks = await store.read(name, 0, 3 << 20)
        for _ in range(taken):
            await anext(blocks)
        await blocks.aclose()
    assert open_files() == before


@pytest.mark.parametrize("name", ["..", "../x", "", "a/b", "\0", "00000000-0000-4000-8000-00000000000G"])
async def test_a_name_is_no_path(store, name):
    for call in (store.remove(name), store.publish(name), store.read(name, 0, 1)):
        with pytest.raises(ValueError, match="no name"):
            await call


async def test_a_name_is_used_once(store):
    name = new_id()
    await store.receive(name, pieces(b"first"), "raw", 10)
    with pytest.raises(Unavailable):
        await store.receive(name, pieces(b"second"), "raw", 10)
    await store.publish(name)
    assert await content(store, name, 0, 5) == b"first"
