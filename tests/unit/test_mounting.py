"""Which directory may be made a disk, and what becomes of one that is emptied while it is used."""

import asyncio
import contextlib
import json
import shutil

import pytest

from maldon.objectstore.device.mounting import id_of, prepare
from maldon.objectstore.node import NoSpace, Put, Spot
from maldon.objectstore.path import Path
from maldon.objectstore.service import ObjectSettings, disks, open_cluster
from maldon.objectstore.timestamp import stamp


def known(folder):
    return json.loads((folder / "disks.json").read_text())


def test_a_directory_that_is_not_there_is_made_a_disk(tmp_path):
    root = prepare(tmp_path, "d")
    first = id_of(root)
    assert (first != "", known(tmp_path)) == (True, {"d": False})
    prepare(tmp_path, "d")
    assert id_of(root) == first


@pytest.mark.parametrize("lies_there", [[], ["something"], ["segments"]])
def test_a_directory_that_nobody_knows_is_left_as_it_is(tmp_path, lies_there):
    (tmp_path / "d").mkdir()
    for name in lies_there:
        (tmp_path / "d" / name).mkdir()
    with pytest.raises(NoSpace, match="not mounted"):
        prepare(tmp_path, "d")
    assert [found.name for found in (tmp_path / "d").iterdir()] == lies_there


def test_a_plain_disk_that_was_emptied_begins_afresh_and_one_that_was_not_emptied_does_not(tmp_path):
    root = prepare(tmp_path, "d")
    first = id_of(root)
    (root / "device.json").unlink()
    with pytest.raises(NoSpace):
        prepare(tmp_path, "d")
    shutil.rmtree(root)
    root.mkdir()
    (root / "index.db").touch()  # left by whoever had it open
    prepare(tmp_path, "d")
    assert id_of(root) not in {first, ""}


def test_what_was_a_mount_is_never_written_to_while_it_is_none(tmp_path):
    root = prepare(tmp_path, "d")
    (tmp_path / "disks.json").write_text('{"d": true}')
    with pytest.raises(NoSpace, match="not mounted"):
        prepare(tmp_path, "d")
    shutil.rmtree(root)
    with pytest.raises(NoSpace, match="not mounted"):
        prepare(tmp_path, "d")
    assert not root.exists()


async def test_nothing_is_written_to_a_disk_that_was_emptied_until_it_is_opened_anew(tmp_path):
    cluster = open_cluster(tmp_path, ObjectSettings(devices=("d", "e")))
    path = Path("AUTH_a", "c", "o")
    async with disks(cluster) as tend:
        own, root, at = cluster.nodes.own, cluster.folder / "d", Spot("d", 0)
        await own.put_object(at, path, Put(stamp(), {}), b"old")
        first = id_of(root)
        for found in list(root.iterdir()):
            shutil.rmtree(found) if found.is_dir() else found.unlink()
        for body in (b"small", bytes(1_300_000)):
            with pytest.raises(NoSpace):
                await own.put_object(at, path, Put(stamp(), {}), body)
        with pytest.raises(NoSpace):
            await own.put_book(at, Path("AUTH_a"), stamp(), {})
        with pytest.raises(NoSpace):
            await own.compare_partitions(at, 5, {0: 1})
        loops = asyncio.create_task(_run(tend))
        while id_of(root) in {"", first} or await _held(own, at, path) != "nothing":
            await asyncio.sleep(0.05)
        await own.put_object(at, path, Put(stamp(), {}), b"new")
        assert await own.put_book(at, Path("AUTH_a"), stamp(), {}) is True
        await own.put_object(Spot("e", 0), path, Put(stamp(), {}), b"beside")
        loops.cancel()
        await asyncio.gather(loops, return_exceptions=True)


async def _run(tend):
    await tend()


async def _held(own, at, path):
    with contextlib.suppress(NoSpace, Exception):
        return "something" if await own.head_object(at, path) else "nothing"
    return "no disk"
