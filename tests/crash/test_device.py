"""A power cut at any byte of the log: what was answered is there, what was not is absent or whole."""

import os
import shutil

import pytest

from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.node import Put
from tests.disks import SALT, bytes_of, files, lose_index, opened, path

SETTINGS = DeviceSettings(reserve_percent=0)
BODIES = {"a": b"first", "b": b"second, longer", "c": b"", "d": b"the last one"}


async def write_first_then_rest(root, first):
    """The same, with a copy of the index as it was after the first objects."""
    async with opened(root, SETTINGS) as device:
        begins = {}
        for number, (name, body) in enumerate(BODIES.items()):
            await device.put(0, path(name), Put(1000, {"x-object-meta-n": name}), body)
            (row,) = device.index.find(0, SALT(path(name)))
            begins[name] = row.at
            if number + 1 == first:
                device.index.checkpoint()
                shutil.copy(root / "index.db", root / "index.then")
        return begins, row.at + row.head + row.size


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
    begins, end = await write_first_then_rest(root, 2)
    (segment,) = files(root, "segments")
    whole = segment.read_bytes()
    assert len(whole) == end
    ends = dict(zip(BODIES, [*list(begins.values())[1:], end], strict=True))
    every = 1 if (kind, index) == ("cut off", "behind") else 7
    for cut in range(begins["c"], end, every):
        lose_index(root)
        if index == "behind":
            shutil.copy(root / "index.then", root / "index.db")
        for other in files(root, "segments"):
            other.unlink()
        segment.write_bytes(tear(kind, whole, cut))
        async with opened(root, SETTINGS) as device:
            for name, body in BODIES.items():
                found = await bytes_of(device, name)
                if ends[name] <= cut:
                    assert found == body, f"{name} was answered, the log is torn at {cut}"
                else:
                    assert found in {None, body}
            if cut % 16 == 0:
                await device.put(0, path("d"), Put(2000, {}), b"again")
                assert await bytes_of(device, "d") == b"again"
