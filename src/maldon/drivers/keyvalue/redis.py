"""The key-value store of many processes: a Redis server, one key of ours being one key of its own.

Connections are made when first needed and kept; one that the server has closed is made again by the next verb, so a
server that was away is simply back. Nothing is sent twice on its own: a write that was cut off may have been done, and
only the caller knows whether a repeat is harmless. Every verb ends within a few seconds. A scan reads past every key
of the database. Two clouds on one server take two databases (redis://host:6379/1).
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from maldon.ports.keyvalue import check

TIMEOUT_S = 5.0
CONNECTIONS = 32
PAGE = 500
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "*?[]\\"})
_SWAP = """
local now = redis.call('GET', KEYS[1])
if ARGV[1] == '1' then if now ~= ARGV[2] then return 0 end elseif now then return 0 end
if ARGV[3] == '0' then redis.call('DEL', KEYS[1])
elseif ARGV[5] == '0' then redis.call('SET', KEYS[1], ARGV[4])
else redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5]) end
return 1
"""


class RedisKeyValue:
    """See ports.keyvalue. The URL is redis://[user:password@]host:port/database, or rediss://… over TLS."""

    def __init__(self, url: str) -> None:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis: Any = Redis.from_pool(pool)  # its own types say text or bytes everywhere; these are bytes
        self._swap = self._redis.register_script(_SWAP)
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        check(key)
        with self._call():
            value: bytes | None = await self._redis.get(key)
        return value

    async def set(self, key: str, value: bytes, ttl_s: float | None = None) -> None:
        check(key, value, ttl_s)
        with self._call():
            await self._redis.set(key, value, px=_milliseconds(ttl_s) or None)

    async def delete(self, key: str) -> bool:
        check(key)
        with self._call():
            return bool(await self._redis.delete(key))

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        seen: set[Any] = set()  # the server may tell a key twice
        cursor: Any = None
        while cursor != 0:
            with self._call():
                cursor, page = await self._redis.scan(cursor or 0, match=f"{prefix.translate(_SPECIAL)}*", count=PAGE)
                keys = [key for key in dict.fromkeys(page) if key not in seen]
                values = await self._redis.mget(keys) if keys else []
            seen.update(keys)
            for key, value in zip(keys, values, strict=True):
                if value is not None:
                    yield key.decode(), value

    async def swap(self, key: str, old: bytes | None, new: bytes | None, ttl_s: float | None = None) -> bool:
        check(key, new, ttl_s)
        compared: list[Any] = [int(old is not None), old or b"", int(new is not None), new or b""]
        with self._call():
            return bool(await self._swap(keys=[key], args=[*compared, _milliseconds(ttl_s)]))

    async def close(self) -> None:
        self._closed = True
        await self._redis.aclose()

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Whatever the library raises comes out as an OSError."""
        from redis.exceptions import RedisError

        if self._closed:
            raise ConnectionError("the key-value store is closed")
        try:
            yield
        except RedisError as error:
            raise ConnectionError(f"the key-value store does not answer: {error}") from error


def _milliseconds(ttl_s: float | None) -> int:
    return 0 if ttl_s is None else max(1, round(ttl_s * 1000))
