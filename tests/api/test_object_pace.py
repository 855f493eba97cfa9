"""No more than the settings allow: of writes to containers, of listings, of requests to a disk."""

import time

import pytest

from maldon.objectstore.middleware.ratelimit import RatelimitSettings, Turns, rate_for, rates
from maldon.objectstore.node import Busy
from maldon.objectstore.storage.server import DiskPace
from tests.object_cloud import ACCOUNT, OTHERS, object_store


async def test_containers_of_an_account_have_a_rate(tmp_path):
    limits = RatelimitSettings(account_ratelimit=0.01, max_sleep_s=1.0, rate_buffer_s=0.0)
    async with object_store(tmp_path, limits) as store:
        assert [(await store("PUT", f"c{n}")).status for n in range(2)] == [201, 498]
        assert (await store("PUT", "c0/o", b"x")).status == 201  # objects are not meant
        assert (await store.as_("other", OTHERS)("PUT", "c")).status == 201
        info = (await store.raw("GET", "/info")).json["ratelimit"]
        assert (info["account_ratelimit"], info["max_sleep_time_seconds"]) == (0.01, 1.0)


async def test_large_containers_have_rates_for_writes_and_for_listings(tmp_path):
    slow = ("2:0.01",)
    for limits, statuses in (
        (RatelimitSettings(container_ratelimits=slow, max_sleep_s=1.0, rate_buffer_s=0.0), [201, 498, 200, 200]),
        (
            RatelimitSettings(container_listing_ratelimits=slow, max_sleep_s=1.0, rate_buffer_s=0.0),
            [201, 201, 200, 498],
        ),
    ):
        async with object_store(tmp_path / str(len(limits.container_ratelimits)), limits, known_s=0.0) as store:
            await store("PUT", "c")
            for name in ("a", "b"):
                assert (await store("PUT", f"c/{name}", b"x")).status == 201
            asked = [await store("PUT", "c/c", b"x"), await store("PUT", "c/d", b"x")]
            asked += [await store("GET", "c"), await store("GET", "c")]
            assert [answer.status for answer in asked] == statuses
            assert (await store("HEAD", "c")).status == 204


async def test_accounts_may_be_listed_white_and_black(tmp_path):
    limits = RatelimitSettings(
        account_ratelimit=0.01, max_sleep_s=1.0, rate_buffer_s=0.0, account_whitelist=(ACCOUNT,),
        account_blacklist=(OTHERS,),
    )  # fmt: skip
    async with object_store(tmp_path, limits) as store:
        assert [(await store("PUT", f"c{n}")).status for n in range(3)] == [201] * 3
        refused = await store.as_("other", OTHERS)("PUT", "c")
        assert (refused.status, refused.body) == (497, b"Your account has been blacklisted")


async def test_who_is_a_little_too_fast_waits():
    turns = Turns(RatelimitSettings(rate_buffer_s=0.0))
    begun = time.monotonic()
    for _ in range(3):
        await turns.wait("key", 20.0)
    assert 0.09 < time.monotonic() - begun < 5


def test_rates_between_two_sizes_are_in_between():
    steps = rates(("200:10", "100:30"))
    assert [rate_for(steps, size) for size in (99, 100, 150, 200, 500)] == [0, 30, 20, 10, 10]


def test_a_disk_answers_so_many_requests_a_second():
    now = [100.0]
    pace = DiskPace(2.0, lambda: now[0])

    def taken(disk):
        try:
            pace.take(disk)
        except Busy as error:
            return error.status
        return 200

    assert [taken("disk-1") for _ in range(5)] == [200, 200, 200, 529, 529]
    assert taken("disk-2") == 200
    now[0] = 100.5
    assert [taken("disk-1"), taken("disk-1")] == [200, 529]
    now[0] = 1000.0
    assert [taken("disk-1") for _ in range(4)] == [200, 200, 200, 529]


@pytest.mark.parametrize("per_s", [0.0, 1e9])
def test_a_disk_without_a_bound_answers_all(per_s):
    pace = DiskPace(per_s)
    for _ in range(1000):
        pace.take("disk-1")
