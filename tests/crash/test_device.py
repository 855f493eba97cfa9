"""A power cut at any byte of the log: what was answered is there, what was not is absent or whole."""

import os
import shutil

import pytest

from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.node import Put
from tests.disks import SALT, bytes_of, files, lose_index, opened, path

SETTINGS = DeviceSettings(reserve_percent=0)
WRITES = [("a", 1000, b"first"), ("b", 1000, b"second, longer"), ("c", 1000, b""), ("b", 2000, b"second, written anew")]


async def write_all(root, first):
    """Objects one after the other, with a copy of the index as it was after the first ones; the end of each record."""
    ends = []
    async with opened(root, SETTINGS) as device:
        for number, (name, at, body) in enumerate(WRITES):
            await device.put(0, path(name), Put(at, {"x-object-meta-n": name}), body)
            (row,) = device.index.find(0, SALT(path(name)))
            ends.append(row.at + row.head + row.size)
            if number + 1 == first:
                device.index.checkpoint()
                shutil.copy(root / "index.db", root / "index.then")
    return ends


def allowed(name, ends, cut):
    """What may be held of an object: the last that was surely written, or what came after it."""
    may = {None}
    for (other, _, body), end in zip(WRITES, ends, strict=True):
        if other == name:
            may = {body} if end <= cut else may | {body}
    return may


def tear(kind, whole, cut):
    """The log as the disk may have it when only the bytes before `cut` were sure to be written."""
    match kind:
        case "cut off":
            return whole[:cut]
        case "zeros":
            return whole[:cut] + bytes(len(whole) - cut)
        case "noise":
            return whole[:cut] + os.urandom(len(whole) - cut)
        case "hole":
            return whole[:cut] + bytes(min(16, len(whole) - cut)) + whole[cut + 16 :]
    raise AssertionError(kind)


@pytest.mark.parametrize("index", ["lost", "behind"])
@pytest.mark.parametrize("kind", ["cut off", "zeros", "noise", "hole"])
async def test_the_log_is_torn_at_any_byte(tmp_path, kind, index):
    root = tmp_path / "disk"
    ends = await write_all(root, 2)
    (segment,) = files(root, "segments")
    whole = segment.read_bytes()
    assert len(whole) == ends[-1]
    every = 1 if (kind, index) == ("cut off", "behind") else 7
    for cut in range(ends[1], ends[-1], every):
        lose_index(root)
        if index == "behind":
            shutil.copy(root / "index.then", root / "index.db")
        for other in files(root, "segments"):
            other.unlink()
        segment.write_bytes(tear(kind, whole, cut))
        async with opened(root, SETTINGS) as device:
            for name in "abc":
                assert await bytes_of(device, name) in allowed(name, ends, cut), f"{name}, torn at {cut}"
            if cut % 16 == 0:
                await device.put(0, path("b"), Put(3000, {}), b"again")
                assert await bytes_of(device, "b") == b"again"
