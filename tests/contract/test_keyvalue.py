"""Every key-value driver keeps the port's promises; the one with a server also while the server dies."""

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maldon.drivers.keyvalue import redis as redis_driver
from maldon.drivers.keyvalue.memory import MemoryKeyValue
from maldon.drivers.keyvalue.redis import RedisKeyValue
from maldon.ports.keyvalue import KEY_BYTES, VALUE_BYTES, KeyValue
from tests.servers import redis

DEADLINE_S = 30
AWKWARD = ["plain", "with space", "star*", "question?", "[bracket]", "back\\slash", "ä/ö", "new\nline"]


@pytest.fixture(params=["memory", "redis"])
async def store(request) -> AsyncIterator[KeyValue]:
    """A store that may hold what others left; see `own`."""
    made = RedisKeyValue(request.getfixturevalue("redis_url")) if request.param == "redis" else MemoryKeyValue()
    yield made
    await made.close()


@pytest.fixture
def own() -> str:
    """A beginning of keys that nobody else uses."""
    return f"{uuid.uuid4()}/"


async def content(store: KeyValue, prefix: str) -> dict[str, bytes]:
    found = [pair async for pair in store.scan(prefix)]
    assert len(found) == len(dict(found)), "a key was told twice"
    return dict(found)


async def until_gone(store: KeyValue, key: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while await store.get(key) is not None:
            await asyncio.sleep(0.01)


async def test_a_value_is_kept_replaced_and_forgotten(store, own):
    key = f"{own}a"
    assert await store.get(key) is None
    await store.set(key, b"\x00one")
    assert await store.get(key) == b"\x00one"
    await store.set(key, b"")
    assert await store.get(key) == b""
    assert [await store.delete(key), await store.delete(key)] == [True, False]
    assert await store.get(key) is None


@pytest.mark.parametrize("name", AWKWARD)
async def test_any_text_is_a_key_and_a_prefix(store, own, name):
    for one in AWKWARD:
        await store.set(f"{own}{one}", one.encode())
    assert await content(store, f"{own}{name}") == {f"{own}{name}": name.encode()}


async def test_a_scan_tells_every_key_once_and_no_other(store, own):
    wanted = {f"{own}in/{n}": str(n).encode() for n in range(1500)}
    await asyncio.gather(*(store.set(key, value) for key, value in wanted.items()))
    await store.set(f"{own}out", b"")
    assert await content(store, f"{own}in/") == wanted
    assert await content(store, f"{own}nothing") == {}


async def test_a_scan_lives_with_writers(store, own):
    for n in range(50):
        await store.set(f"{own}stays/{n}", b"")
    seen = set()
    async for key, _ in store.scan(own):
        seen.add(key)
        await store.delete(f"{own}goes/{len(seen)}")
        await store.set(f"{own}comes/{len(seen)}", b"")
    assert {key for key in seen if "stays" in key} == {f"{own}stays/{n}" for n in range(50)}


async def test_what_has_outlived_its_time_is_gone_everywhere(store, own):
    await store.set(f"{own}short", b"1", ttl_s=0.05)
    await store.set(f"{own}long", b"2", ttl_s=3600)
    await store.set(f"{own}ever", b"3")
    await until_gone(store, f"{own}short")
    assert await content(store, own) == {f"{own}long": b"2", f"{own}ever": b"3"}
    assert await store.delete(f"{own}short") is False
    assert await store.swap(f"{own}short", b"1", b"4") is False
    assert await store.swap(f"{own}short", None, b"4") is True


async def test_setting_again_sets_the_time_again(store, own):
    for name, ttl in (("kept", None), ("longer", 3600)):
        await store.set(f"{own}{name}", b"1", ttl_s=0.05)
        await store.set(f"{own}{name}", b"2", ttl_s=ttl)
    await store.set(f"{own}swapped", b"1", ttl_s=0.05)
    await store.swap(f"{own}swapped", b"1", b"2")
    await store.set(f"{own}witness", b"1", ttl_s=0.06)
    await until_gone(store, f"{own}witness")
    assert await content(store, own) == {f"{own}{name}": b"2" for name in ("kept", "longer", "swapped")}


async def test_swapping_compares_what_is_there(store, own):
    key = f"{own}a"
    assert await store.swap(key, b"x", b"1") is False
    assert await store.swap(key, None, b"1") is True
    assert await store.swap(key, None, b"2") is False
    assert await store.swap(key, b"", b"2") is False
    assert await store.swap(key, b"1", b"2") is True
    assert await store.get(key) == b"2"
    assert await store.swap(key, b"1", None) is False
    assert await store.swap(key, b"2", None) is True
    assert await store.swap(key, None, None) is True
    assert await store.swap(key, None, b"3", ttl_s=0.05) is True
    await until_gone(store, key)


async def test_of_many_who_swap_at_once_one_wins_each_round(store, own):
    key = f"{own}counter"
    await store.set(key, b"0")

    async def count_up() -> None:
        for _ in range(10):
            while True:
                old = await store.get(key)
                if await store.swap(key, old, str(int(old) + 1).encode()):
                    break

    await asyncio.gather(*(count_up() for _ in range(8)))
    assert await store.get(key) == b"80"


async def test_what_not_every_store_can_keep_is_refused_by_all(store, own):
    for key in ("", "a" * (KEY_BYTES + 1), "ä" * KEY_BYTES):
        for verb in (store.get(key), store.set(key, b""), store.delete(key), store.swap(key, None, b"")):
            with pytest.raises(ValueError, match="a key has"):
                await verb
    with pytest.raises(ValueError, match="a value has"):
        await store.set(own, bytes(VALUE_BYTES + 1))
    with pytest.raises(ValueError, match="a value has"):
        await store.swap(own, None, bytes(VALUE_BYTES + 1))
    for ttl in (0, -1):
        with pytest.raises(ValueError, match="time to live"):
            await store.set(own, b"", ttl_s=ttl)


async def test_the_largest_fits(store, own):
    key = own + "k" * (KEY_BYTES - len(own))
    await store.set(key, bytes(VALUE_BYTES))
    assert await store.get(key) == bytes(VALUE_BYTES)
    assert await store.swap(key, bytes(VALUE_BYTES), b"small")


async def test_a_closed_store_is_an_os_error(store, own):
    await store.close()
    for verb in (store.get(own), store.set(own, b""), store.delete(own), store.swap(own, None, b"")):
        with pytest.raises(OSError, match="closed"):
            await verb
    with pytest.raises(OSError, match="closed"):
        await content(store, own)


async def test_two_parts_of_a_cloud_see_the_same(redis_url, own):
    async with contextlib.AsyncExitStack() as stack:
        one, other = (RedisKeyValue(redis_url) for _ in range(2))
        stack.push_async_callback(one.close)
        stack.push_async_callback(other.close)
        await one.set(f"{own}a", b"1")
        assert await other.get(f"{own}a") == b"1"


async def test_a_server_that_dies_is_an_os_error_and_one_that_comes_back_is_used(own):
    with redis() as server:
        store = RedisKeyValue(server.url)
        try:
            await asyncio.gather(*(store.set(f"{own}{n}", b"1") for n in range(8)))
            await asyncio.to_thread(server.kill)
            for verb in (store.get(own), store.set(own, b""), store.delete(own), store.swap(own, None, b"")):
                with pytest.raises(OSError, match="key-value store"):
                    await verb
            with pytest.raises(OSError, match="key-value store"):
                await content(store, own)
            await asyncio.to_thread(server.start)
            assert await store.get(f"{own}0") is None
            assert await store.swap(f"{own}0", None, b"2") is True
            assert await content(store, own) == {f"{own}0": b"2"}
        finally:
            await store.close()


async def test_a_server_that_refuses_us_is_an_os_error(redis_url, own):
    store = RedisKeyValue(redis_url.replace("127.0.0.1", "maldon:wrong@127.0.0.1"))
    with pytest.raises(OSError, match="key-value store"):
        await store.get(own)
    await store.close()


async def test_nobody_waits_long_for_a_server_that_never_answers(own):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = RedisKeyValue(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        async with asyncio.timeout(3 * redis_driver.TIMEOUT_S):
            with pytest.raises(OSError, match="key-value store"):
                await store.get(own)
            await store.close()


def test_redis_is_imported_when_first_used():
    module = Path(redis_driver.__file__).read_text()
    assert "\nfrom redis" not in module
    assert "\nimport redis" not in module
