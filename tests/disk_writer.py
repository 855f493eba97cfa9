"""A process that writes to a disk until it is killed, and says before and after each write what it is about.

    python -m tests.disk_writer ROOT WRITERS NAMES SECONDS

Lines: `begin NAME TIMESTAMP KIND SIZE`, then, when the disk has answered, `done NAME TIMESTAMP NOW`, and before a debt
is settled `settle NAME TIMESTAMP`. The bytes of a write are made from its timestamp.
"""

import asyncio
import random
import sys
import time
from pathlib import Path as FilePath

from maldon.objectstore.device.compact import Compactor
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.node import Put, Spot, Superseded, Teaching
from maldon.objectstore.timestamp import stamp
from maldon.runtime.log import set_up
from tests.disks import opened, path

SETTINGS = DeviceSettings(segment_bytes=400_000, small_bytes=20_000, live_percent=90, reserve_percent=0)
TOLD = Teaching("node:1", Spot("disk-1", 7))
SIZES = (0, 10, 500, 4096, 20_000, 20_001, 1_200_000)
WEIGHTS = (1, 4, 8, 8, 2, 1, 1)


def body_of(timestamp: int, size: int) -> bytes:
    return random.Random(timestamp).randbytes(size)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def write_one(device, name):
    kind = random.choices(["put", "delete", "post"], (8, 1, 1))[0]
    size = random.choices(SIZES, WEIGHTS)[0] if kind == "put" else 0
    at = stamp()
    say("begin", name, at, kind, size)
    try:
        if kind == "put":
            await device.put(0, path(name), Put(at, {"x-object-meta-n": "1"}), body_of(at, size), [TOLD])
        elif kind == "delete":
            await device.delete(0, path(name), at, [TOLD])
        elif (await device.post(0, path(name), at, {"x-object-meta-p": str(at)}, [TOLD])).now is None:
            return
    except Superseded:
        return
    say("done", name, at, stamp())
    if random.random() < 0.5:
        say("settle", name, at)
        await device.settle(0, path(name), at, [TOLD])


async def write_until(device, names, end):
    while time.monotonic() < end:
        await write_one(device, f"o{random.randrange(names)}")


async def compact_until(device, end):
    compactor = Compactor(device)
    while time.monotonic() < end:
        await compactor.once()
        await asyncio.sleep(0.01)


async def main(root: FilePath, writers: int, names: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    async with opened(root, SETTINGS) as device, asyncio.TaskGroup() as tasks:
        say("ready")
        for _ in range(writers):
            tasks.create_task(write_until(device, names, end))
        tasks.create_task(compact_until(device, end))


if __name__ == "__main__":
    set_up("human", "error")
    asyncio.run(main(FilePath(sys.argv[1]), *map(int, sys.argv[2:])))
