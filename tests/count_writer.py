"""A process that puts and deletes objects until it is killed, and says before and after each what it is about.

    python -m tests.count_writer HOME NAME WRITERS

Lines: `begin BOX OBJECT SIZE`, then, when the store has answered, `done BOX OBJECT SIZE`; -1 is a deletion. Each
writer has objects of its own. The loops that split containers, join them and tell accounts run beside.
"""

import asyncio
import random
import sys
from pathlib import Path

from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.daemons.shard import Sharder
from maldon.objectstore.daemons.tell_accounts import TellAccounts
from maldon.objectstore.device.settings import DeviceSettings
from maldon.runtime.log import set_up
from tests.disk_writer import say
from tests.object_cloud import object_store

BOXES = ("full", "busy")
OPTIONS = (BookSettings(shard_rows=40), DeviceSettings(reserve_percent=0, segment_bytes=200_000))
SIZES = (0, 10, 5000, 1_300_000)


def loops(store):
    placing = store.proxy.store.placing
    books = placing.nodes.own.books
    return Sharder(books, placing), TellAccounts(books, placing)


async def write(store, owner):
    while True:
        box, name = random.choice(BOXES), f"{owner}-{random.randrange(12):02d}"
        size = -1 if random.random() < 0.35 else random.choices(SIZES, (1, 4, 4, 1))[0]
        say("begin", box, name, size)
        if size < 0:
            answer = await store("DELETE", f"{box}/{name}")
            good = answer.status in {204, 404}
        else:
            answer = await store("PUT", f"{box}/{name}", bytes(size))
            good = answer.status == 201
        assert good, answer
        say("done", box, name, size)


async def tend(store):
    while True:
        for loop in loops(store):
            await loop.once()
        await asyncio.sleep(0.05)


async def main(home: Path, name: str, writers: int) -> None:
    async with object_store(home, *OPTIONS) as store, asyncio.TaskGroup() as tasks:
        for box in BOXES:
            await store("PUT", box)
        say("ready")
        for number in range(writers):
            tasks.create_task(write(store, f"{name}{number}"))
        tasks.create_task(tend(store))


if __name__ == "__main__":
    set_up("human", "error")
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
