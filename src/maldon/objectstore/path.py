"""What is stored where: the path of an account, a container or an object, and its place on the ring.

Names are text; on the wire they are percent-encoded UTF-8. The hash of a path is salted with the cluster's own secret,
so that nobody can choose names that fall into one partition; its first four bytes give the partition.
"""

import hashlib
from functools import lru_cache
from typing import NamedTuple


class Path(NamedTuple):
    """An account, a container of it, an object in that; what is not named is empty."""

    account: str
    container: str = ""
    object: str = ""

    def __str__(self) -> str:
        account, container, name = self
        return f"/{account}/{container}/{name}" if name else f"/{account}/{container}" if container else f"/{account}"


class PathHash:
    """The cluster's way to hash: the same on every node, for ever.

    The last few are remembered, for one request asks for the same several times.
    """

    def __init__(self, prefix: bytes, suffix: bytes) -> None:
        @lru_cache(maxsize=512)
        def hashed(path: Path) -> bytes:
            text = b"%b%b%b" % (prefix, str(path).encode(), suffix)
            return hashlib.md5(text, usedforsecurity=False).digest()

        self._hashed = hashed

    def __call__(self, path: Path) -> bytes:
        """16 bytes."""
        return self._hashed(path)


def partition(hashed: bytes, power: int) -> int:
    """Where a hash falls among 2**power partitions."""
    return int.from_bytes(hashed[:4], "big") >> (32 - power)
