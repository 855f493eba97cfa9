"""Two processes write one node's objects and are killed at any instant: afterwards every total is exact.

What a container lists, what it counts and what its account counts of it are compared with the objects on the disk, and
these with a ledger of what was answered.
"""

import asyncio
import random
from collections import defaultdict

import pytest

from maldon.objectstore.daemons.pay_debts import PayDebts
from tests.count_writer import BOXES, OPTIONS, loops
from tests.killed_writer import write_until_killed
from tests.object_cloud import object_store


class Ledger:
    """What writers said: of each object the size that was answered last, and what was begun after it."""

    def __init__(self):
        self.done, self.begun, self.writes = {}, {}, 0

    def note(self, line):
        word, box, name, size = line.split()
        key = box, name
        if word == "begin":
            self.begun[key] = int(size)
        else:
            self.done[key] = int(size)
            del self.begun[key]
            self.writes += 1

    def may_be(self, key):
        return {self.done.get(key, -1), self.begun.get(key, self.done.get(key, -1))}


async def settle(store):
    """Every loop until it has nothing left to do."""
    placing = store.proxy.store.placing
    sharder, teller = loops(store)
    payer = PayDebts(placing.nodes.own.devices, placing)
    while await payer.once() + await sharder.once() + await teller.all():
        pass


async def check(store, ledger):
    told = {row["name"]: (row["count"], row["bytes"]) for row in (await store("GET", query="format=json")).json}
    there = defaultdict(dict)
    for key in {*ledger.done, *ledger.begun}:
        head = await store("HEAD", "/".join(key))
        size = int(head.headers["content-length"]) if head.status == 200 else -1
        assert size in ledger.may_be(key), key
        if size >= 0:
            there[key[0]][key[1]] = size
    for box in BOXES:
        listed = await store("GET", box, query="format=json")
        assert {row["name"]: row["bytes"] for row in listed.json} == there[box]
        count, size = len(there[box]), sum(there[box].values())
        assert listed.headers["x-container-object-count"] == str(count)
        assert listed.headers["x-container-bytes-used"] == str(size)
        assert told[box] == (count, size)
    account = (await store("HEAD")).headers
    assert int(account["x-account-object-count"]) == sum(map(len, there.values()))
    assert int(account["x-account-bytes-used"]) == sum(sum(sizes.values()) for sizes in there.values())


@pytest.mark.timeout(600)
async def test_totals_are_exact_after_any_crash(tmp_path):
    ledger = Ledger()
    for _ in range(4):
        lives = [random.uniform(0.5, 3) for _ in range(2)]
        written = (
            write_until_killed("tests.count_writer", tmp_path, name, 6, seconds=life, note=ledger.note)
            for name, life in zip("ab", lives, strict=True)
        )
        await asyncio.gather(*written)
        async with object_store(tmp_path, *OPTIONS) as store:
            await settle(store)
            await check(store, ledger)
    assert ledger.writes > 100
