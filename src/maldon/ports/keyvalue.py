"""The key-value port: small values under text keys, shared by every process that is given the same URL.

It holds what may live outside the database: tokens that are kept, a directory of users. A key has 1 to 512 bytes of
UTF-8 text, a value at most 1 MiB; whoever offers more hears ValueError from every driver alike. A value with a time to
live is gone when that is over. Every verb may be repeated, is done once it returns, and raises OSError when the store
cannot be reached; a write that raised may have been done all the same.
"""

from collections.abc import AsyncIterator
from typing import Protocol

KEY_BYTES = 512
VALUE_BYTES = 1024 * 1024


class KeyValue(Protocol):
    """Keys sort nowhere: a scan yields them in no order."""

    async def get(self, key: str) -> bytes | None:
        """The value; None when there is none, or none any more."""

    async def set(self, key: str, value: bytes, ttl_s: float | None = None) -> None:
        """Keep the value, in place of any other; without `ttl_s` for ever."""

    async def delete(self, key: str) -> bool:
        """Forget the value; whether there was one."""

    def scan(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """Every key that begins so, with its value; each once. What is written meanwhile may be seen or not."""

    async def swap(self, key: str, old: bytes | None, new: bytes | None, ttl_s: float | None = None) -> bool:
        """Compare and set: put `new` in place of `old` if that is what is there; None is no value, before or after."""

    async def close(self) -> None: ...


def check(key: str, value: bytes | None = None, ttl_s: float | None = None) -> None:
    """Refuse what not every store can keep. Raises ValueError."""
    if not 0 < len(key.encode()) <= KEY_BYTES:
        raise ValueError(f"a key has 1 to {KEY_BYTES} bytes: {key[:600]!r}")
    if value is not None and len(value) > VALUE_BYTES:
        raise ValueError(f"a value has at most {VALUE_BYTES} bytes, not {len(value)}")
    if ttl_s is not None and ttl_s <= 0:
        raise ValueError(f"a time to live is more than nothing, not {ttl_s}")
