#!/usr/bin/env python3
"""What one disk costs by itself: records per second and CPU-microseconds, without HTTP, rings or containers.

    bench/device.py [--root DIR] [--seconds 3] [--size 4096] [--profile]

PUT with 1, 16 and 64 writers that wait, each with a debt that is settled at once as a node does; then GET, HEAD,
DELETE; a look at all partitions; an index built anew. One JSON line each.
"""

import argparse
import asyncio
import cProfile
import itertools
import json
import os
import pstats
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath

import uvloop

from maldon.objectstore.device.device import Device
from maldon.objectstore.device.opening import format_device
from maldon.objectstore.device.settings import DeviceSettings
from maldon.objectstore.device.survey import Survey
from maldon.objectstore.node import Put, Spot, Teaching
from maldon.objectstore.path import Path, PathHash
from maldon.objectstore.timestamp import stamp

TOLD = [Teaching("127.0.0.1:6200", Spot("disk-1", 7))]
HEADERS = {"content-type": "application/octet-stream", "x-object-meta-colour": "blue"}
POWER = 10


def path(number: int) -> Path:
    return Path("AUTH_bench", "box", f"object-{number:09d}")


@contextmanager
def measured(what: str, done: Callable[[], int]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = max(done(), 1)
    line = {"m": what, "n": count, "per_s": round(count / wall), "cpu_us": round(cpu / count * 1e6, 1)}
    print(json.dumps(line), flush=True)


async def many(writers: int, seconds: float, what: str, one: Callable[[int], Awaitable[object]], most: int) -> int:
    """So many at once, each with the next number, for a time; how many were done."""
    numbers, done, end = itertools.count(), 0, time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < end and (number := next(numbers)) < most:
            await one(number)
            done += 1

    with measured(f"{what} c{writers}", lambda: done):
        await asyncio.gather(*(work() for _ in range(writers)))
    return done


async def run(root: FilePath, seconds: float, size: int) -> None:
    hash_path = PathHash(b"", b"bench")
    device = Device(root, DeviceSettings(reserve_percent=0), hash_path)
    await device.open()
    body, base = os.urandom(size), 0

    async def put(number: int) -> None:
        at = stamp()
        await device.put(0, path(base + number), Put(at, HEADERS, size=size), body, TOLD)
        await device.settle(0, path(base + number), at, TOLD)

    for writers in (1, 16, 64):
        base += await many(writers, seconds, "put", put, 1 << 40)
    await many(64, seconds, "get", lambda n: device.read(0, path(n)), base)
    await many(64, seconds, "head", lambda n: device.head(0, path(n)), base)
    survey = Survey(device)
    for what in ("partitions, first look", "partitions, nothing new"):
        with measured(what, lambda: 1):
            await survey.partitions(0, POWER)
    await many(64, seconds, "delete", lambda n: device.delete(0, path(n), stamp()), base)
    await device.close()
    (root / "index.db").unlink()
    with measured("index built anew, a record", lambda: base):
        await device.open()
    await device.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=FilePath)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    root = FilePath(tempfile.mkdtemp(prefix="device-", dir=chosen.root))
    format_device(root)
    profile = cProfile.Profile()
    try:
        if chosen.profile:
            profile.enable()
        uvloop.run(run(root, chosen.seconds, chosen.size))
    finally:
        if chosen.profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
