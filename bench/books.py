#!/usr/bin/env python3
"""What a container costs by its size: CPU-milliseconds of the storage node per row and per listing, as JSON lines.

    bench/books.py [--sizes 5000,5000000] [--shard-rows 1000000]

Each size is filled into a container of a store of one disk in a temporary folder, and split into shards while it grows,
as the loops of a node do. Then rows are written 64 at a time to names all over it, and pages are read: of the node
itself, and through every layer of the proxy as a client has them, but for the socket.
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
from maldon.objectstore.daemons.tell_accounts import TellAccounts
from maldon.objectstore.node import Query, Row
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.app import Proxy
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.service import ObjectSettings, disks, open_cluster, proxy_app
from maldon.objectstore.storage.local import Local
from maldon.objectstore.timestamp import stamp

BOX = Path("AUTH_bench", "box")
ETAG = "900150983cd24fb0d6963f7d28e17f72"
FOLDERS = 1000
BATCH, TENDED = 50_000, 500_000  # rows told at a time; rows after which the loops have their turn


def name(n: int) -> str:
    return f"{n % FOLDERS:03d}/image-{n:09d}.jpg"


def row(n: int, suffix: str = "") -> Row:
    return Row(name(n) + suffix, stamp(), 4096, "image/jpeg", ETAG)


class Bench:
    """One container on one disk."""

    def __init__(self, objects: int, books: Books, placing: Placing, proxy: Proxy) -> None:
        self.objects, self.books, self.proxy, self.shards = objects, books, proxy, 0
        self.sharder, self.teller = Sharder(books, placing), TellAccounts(books, placing)
        self.spot = placing.book(BOX).spot(placing.book(BOX).primaries[0])
        self.account = placing.book(Path(BOX.account)).spot(placing.book(Path(BOX.account)).primaries[0])

    async def fill(self) -> None:
        await self.books.put_book(self.account, Path(BOX.account), stamp(), {})
        await self.books.put_book(self.spot, BOX, stamp(), {"x-container-read": ".r:*,.rlistings"})
        for start in range(0, self.objects, BATCH):
            rows = [row(n) for n in range(start, min(start + BATCH, self.objects))]
            await self.books.update_book(self.spot, BOX, rows)
            if start % TENDED == 0:
                await self.tend()
        await self.tend()

    async def tend(self) -> None:
        while await self.sharder.once() + await self.teller.all():
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
        for what, query in (
            ("first page", ""), ("middle page", "marker=500"), ("last page, reversed", "reverse=on"),
            ("page by prefix", "prefix=500/"), ("1,000 folders", "delimiter=/"),
            ("page of a folder", "prefix=500/&delimiter=/"), ("names alone", "format=plain"),
        ):  # fmt: skip
            await self.read(f"HTTP: {what}", self.asked(f"format=json&{query}" if "format" not in query else query))

    def asked(self, query: str) -> Callable[[], Awaitable[object]]:
        """A GET as a client sends it. Raises RuntimeError when it is refused."""
        scope = {
            "type": "http", "method": "GET", "scheme": "http", "raw_path": f"/v1{BOX}".encode(), "root_path": "",
            "query_string": query.encode(), "headers": [(b"host", b"bench")], "client": ("127.0.0.1", 1),
        }  # fmt: skip

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message.get("status", 200) != 200:
                raise RuntimeError(message)

        return lambda: self.proxy(scope, receive, send)


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
            yield Bench(objects, local.books, placing, proxy_app(cluster, None))
    finally:
        shutil.rmtree(home)


async def run(sizes: list[int], shard_rows: int) -> None:
    for objects in sizes:
        async with bench(objects, shard_rows) as one:
            begun, cpu = time.perf_counter(), time.process_time()
            await one.fill()
            one.say("filled", cpu_ms=(time.process_time() - cpu) * 1000 / objects, s=time.perf_counter() - begun)
            await one.measure()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="5000,5000000", help="objects in the container, several with commas")
    parser.add_argument("--shard-rows", type=int, default=BookSettings().shard_rows, help="0 never splits")
    args = parser.parse_args()
    asyncio.run(run([int(size) for size in args.sizes.split(",")], args.shard_rows))


if __name__ == "__main__":
    main()
