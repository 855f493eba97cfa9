"""What is stored where: the path of an account, a container or an object, and its place on the ring.

Names are text; on the wire they are percent-encoded UTF-8. The hash of a path is salted with the cluster's own secret,
so that nobody can choose names that fall into one partition; its first four bytes give the partition.
"""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple


class Path(NamedTuple):
    """An account, a container of it, an object in that; what is not named is empty."""

    account: str
    container: str = ""
    object: str = ""

    def __str__(self) -> str:
        return "/" + "/".join(part for part in self if part)


@dataclass(frozen=True, slots=True)
class PathHash:
    """The cluster's way to hash: the same on every node, for ever."""

    prefix: bytes
    suffix: bytes

    def __call__(self, path: Path) -> bytes:
        """16 bytes."""
        text = self.prefix + str(path).encode() + self.suffix
        return hashlib.md5(text, usedforsecurity=False).digest()


def partition(hashed: bytes, power: int) -> int:
    """Where a hash falls among 2**power partitions."""
    return int.from_bytes(hashed[:4], "big") >> (32 - power)
