"""The key-value store of a cloud in one process: a dictionary. What it holds ends with the process.

What has outlived its time is dropped at the next verb, so that the store does not grow by what nobody asks for.
"""

import heapq
import time
from collections.abc import AsyncIterator

from maldon.ports.keyvalue import check


class MemoryKeyValue:
    """See ports.keyvalue. The URL is there because every driver takes one."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self._kept: dict[str, tuple[bytes, float | None]] = {}
        self._ends: list[tuple[float, str]] = []  # a heap; an entry may be older than what its key holds now
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        check(key)
        self._tidy()
        return self._value(key)

    async def set(self, key: str, value: bytes, ttl_s: float | None = None) -> None:
        check(key, value, ttl_s)
        self._tidy()
        self._keep(key, value, ttl_s)

    async def delete(self, key: str) -> bool:
        check(key)
        self._tidy()
        return self._kept.pop(key, None) is not None

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        self._tidy()
        for key in [key for key in self._kept if key.startswith(prefix)]:
            value = self._value(key)
            if value is not None:
                yield key, value

    async def swap(self, key: str, old: bytes | None, new: bytes | None, ttl_s: float | None = None) -> bool:
        check(key, new, ttl_s)
        self._tidy()
        if self._value(key) != old:
            return False
        if new is None:
            self._kept.pop(key, None)
        else:
            self._keep(key, new, ttl_s)
        return True

    async def close(self) -> None:
        self._closed = True
        self._kept.clear()

    def _value(self, key: str) -> bytes | None:
        value, end = self._kept.get(key, (None, None))
        return value if end is None or end > time.monotonic() else None

    def _keep(self, key: str, value: bytes, ttl_s: float | None) -> None:
        end = None if ttl_s is None else time.monotonic() + ttl_s
        self._kept[key] = (value, end)
        if end is not None:
            heapq.heappush(self._ends, (end, key))

    def _tidy(self) -> None:
        """Drop what is over. Raises ConnectionError when the store is closed."""
        if self._closed:
            raise ConnectionError("the key-value store is closed")
        now = time.monotonic()
        while self._ends and self._ends[0][0] <= now:
            end, key = heapq.heappop(self._ends)
            if self._kept.get(key, (b"", None))[1] == end:
                del self._kept[key]
