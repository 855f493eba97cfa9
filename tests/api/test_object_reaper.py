"""Accounts that were deleted are emptied; what an account says of its containers is told after the fact."""

import pytest

from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.daemons.reap_accounts import ReapAccounts
from maldon.objectstore.daemons.shard import Sharder
from maldon.objectstore.daemons.tell_accounts import TellAccounts
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from tests.object_cloud import ACCOUNT, OTHERS, Stepped, object_store


class Loops:
    """The loops of the one node, over its disks."""

    def __init__(self, store, delay_s=0.0):
        known = store.proxy.store
        self.placing: Placing = known.placing
        own = self.placing.nodes.own
        self.teller = Stepped(own, TellAccounts(own.books, self.placing))
        self.sharder = Stepped(own, Sharder(own.books, self.placing))
        self.reaper = Stepped(own, ReapAccounts(own.books, self.placing, delay_s))

    async def book(self, path):
        place = self.placing.book(path)
        return await self.placing.nodes.own.head_book(place.spot(place.primaries[0]), path)

    async def record(self, path):
        place = self.placing.object(path, 0)
        return await self.placing.nodes.own.head_object(place.spot(place.primaries[0]), path)


@pytest.fixture
async def store(tmp_path):
    options = {"allow_account_management": True, "known_s": 0.0}
    async with object_store(tmp_path, BookSettings(shard_rows=4), **options) as one:
        yield one


async def test_a_deleted_account_is_emptied(store):
    names = [f"{n}/é" for n in range(7)]
    for box in ("a", "b"):
        assert (await store("PUT", box)).status == 201
        for name in names:
            assert (await store("PUT", f"{box}/{name}", b"bytes")).status == 201
    loops = Loops(store)
    assert await loops.sharder.once() > 0  # the reaper goes through shards
    assert await loops.reaper.once() == 0  # nobody deleted it
    reseller = store.as_("reseller")
    assert (await reseller("DELETE")).status == 204
    assert (await store("GET", "a")).status == 404
    assert await Loops(store, delay_s=1000).reaper.once() == 0
    assert await loops.reaper.once() == 16
    for box in ("a", "b"):
        assert (await loops.book(Path(ACCOUNT, box))).deleted
        for name in names:
            assert (await loops.record(Path(ACCOUNT, box, name))).deleted
    account = await loops.book(Path(ACCOUNT))
    assert (account.deleted, account.containers, account.objects, account.size) == (True, 0, 0, 0)
    assert await loops.reaper.once() == 0


async def test_another_account_is_left_alone(store):
    await store("PUT", "a")
    other = store.as_("other", OTHERS)
    await other("PUT", "kept")
    await other("PUT", "kept/x", b"bytes")
    await store.as_("reseller")("DELETE")
    assert await Loops(store).reaper.once() == 1
    assert (await other("GET", "kept/x")).body == b"bytes"


async def test_an_account_is_told_what_its_containers_hold(store):
    await store("PUT", "a")
    for name in ("x", "y"):
        await store("PUT", f"a/{name}", b"12345")
    loops = Loops(store)
    assert await loops.teller.once() >= 1
    told = await store("HEAD")
    assert [told.headers[f"x-account-{name}"] for name in ("container-count", "object-count", "bytes-used")] == [
        "1", "2", "10",
    ]  # fmt: skip
    assert await loops.teller.once() == 0
    await store("DELETE", "a/x")
    await store("PUT", "a")  # tells the account of the container, and leaves its counts
    assert (await store("HEAD")).headers["x-account-object-count"] == "2"
    assert await loops.teller.all() == 1
    assert (await store("HEAD")).headers["x-account-bytes-used"] == "5"
