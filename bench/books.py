#!/usr/bin/env python3
"""What a container costs by its size: CPU-milliseconds of the storage node per row and per listing, as JSON lines.

    bench/books.py [--sizes 5000,1000000] [--shard-rows 1000000]

Each size is filled into a container of a store of one disk in a temporary folder, below the HTTP of the proxy. Rows are
written 64 at a time to names all over it, and pages are read; where it is large enough it is split into shards, and all
of that is done again.
A row of the output has `m` (what was measured), `objects`, `shards`, `cpu_ms` (user and system, threads included) and,
of what is written, `rate` a second.
"""

import argparse
import asyncio
import json
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path as File
from typing import Any

from maldon.objectstore.books.node import Books
from maldon.objectstore.books.ranges import Ranges
from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.daemons.shard import Sharder
from maldon.objectstore.node import Query, Row, Spot
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.service import ObjectSettings, disks, open_cluster
from maldon.objectstore.storage.local import Local
from maldon.objectstore.timestamp import stamp

BOX = Path("AUTH_bench", "box")
ETAG = "900150983cd24fb0d6963f7d28e17f72"
FOLDERS = 1000


def name(n: int) -> str:
    return f"{n % FOLDERS:03d}/image-{n:09d}.jpg"


def row(n: int, suffix: str = "") -> Row:
    return Row(name(n) + suffix, stamp(), 4096, "image/jpeg", ETAG)


class Bench:
    """One container on one disk."""

    def __init__(self, objects: int, books: Books, sharder: Sharder, spot: Spot) -> None:
        self.objects, self.books, self.sharder, self.spot, self.shards = objects, books, sharder, spot, 0

    async def fill(self) -> None:
        await self.books.put_book(self.spot, BOX, stamp(), {})
        for start in range(0, self.objects, 2000):
            rows = [row(n) for n in range(start, min(start + 2000, self.objects))]
            await self.books.update_book(self.spot, BOX, rows)

    async def split(self) -> None:
        while await self.sharder.once():
            pass
        self.shards = len(Ranges(await self.books.read_ranges(self.spot, BOX)).living)

    def say(self, what: str, **figures: float) -> None:
        rounded = {key: round(value, 4) for key, value in figures.items()}
        print(json.dumps({"m": what, "objects": self.objects, "shards": self.shards, **rounded}), flush=True)

    async def write(self, what: str, rows: int, make: Callable[[], Row]) -> None:
        left = iter(range(rows))

        async def writer() -> None:
            for _ in left:
                await self.books.update_book(self.spot, BOX, [make()])

        begun, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(writer() for _ in range(64)))
        cpu, took = time.process_time() - cpu, time.perf_counter() - begun
        self.say(what, cpu_ms=cpu * 1000 / rows, rate=rows / took)

    async def read(self, what: str, ask: Callable[[], Awaitable[object]], times: int = 20) -> None:
        await ask()
        cpu = time.process_time()
        for _ in range(times):
            await ask()
        self.say(what, cpu_ms=(time.process_time() - cpu) * 1000 / times)

    def page(self, **query: Any) -> Callable[[], Awaitable[object]]:
        return lambda: self.books.list_json(self.spot, BOX, Query(**query))

    async def measure(self) -> None:
        pick = random.Random(1)
        await self.write("new names", 20_000, lambda: row(pick.randrange(self.objects), f"-{pick.random()}"))
        await self.write("names that are there", 20_000, lambda: row(pick.randrange(self.objects)))
        await self.write("names at the end", 20_000, lambda: Row(f"z{stamp()}", stamp(), 1, "image/jpeg", ETAG))
        await self.read("first page of 10,000", self.page())
        await self.read("page of 10,000 from the middle", self.page(marker="500"))
        await self.read("last page of 10,000, reversed", self.page(reverse=True))
        await self.read("1,000 folders", self.page(delimiter="/"))
        await self.read("one folder", self.page(prefix="500/", delimiter="/"))
        await self.read("totals", lambda: self.books.head_book(self.spot, BOX), 2000)


@asynccontextmanager
async def bench(objects: int, shard_rows: int) -> AsyncIterator[Bench]:
    home = File(tempfile.mkdtemp(prefix="books-"))
    settings = ObjectSettings()
    cluster = open_cluster(home, settings, {BookSettings: BookSettings(shard_rows=shard_rows)})
    try:
        async with disks(cluster):
            placing = Placing(cluster.rings, cluster.nodes, settings)
            local = cluster.nodes.own
            assert isinstance(local, Local)
            books = local.books
            spot = placing.book(BOX).spot(placing.book(BOX).primaries[0])
            yield Bench(objects, books, Sharder(books, placing), spot)
    finally:
        shutil.rmtree(home)


async def run(sizes: list[int], shard_rows: int) -> None:
    for objects in sizes:
        async with bench(objects, shard_rows) as one:
            begun, cpu = time.perf_counter(), time.process_time()
            await one.fill()
            one.say("filled", cpu_ms=(time.process_time() - cpu) * 1000 / objects, s=time.perf_counter() - begun)
            await one.measure()
            begun, cpu = time.perf_counter(), time.process_time()
            await one.split()
            if one.shards:
                one.say("split", cpu_ms=(time.process_time() - cpu) * 1000 / objects, s=time.perf_counter() - begun)
                await one.measure()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="5000,1000000", help="objects in the container, several with commas")
    parser.add_argument("--shard-rows", type=int, default=BookSettings().shard_rows, help="0 never splits")
    args = parser.parse_args()
    asyncio.run(run([int(size) for size in args.sizes.split(",")], args.shard_rows))


if __name__ == "__main__":
    main()
