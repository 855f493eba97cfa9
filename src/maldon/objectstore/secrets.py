"""What all nodes of a cluster share and nobody else knows: the salt of the path hash, and the key of its storage nodes.

Made at the first start of a node and never changed: with another salt nothing would be found again. Every further node
gets a copy of the file.
"""

import contextlib
import os
import secrets
from functools import lru_cache
from pathlib import Path as File

import msgspec

from maldon.objectstore.path import PathHash


class Secrets(msgspec.Struct, frozen=True):
    """As the file has them: hexadecimal."""

    hash_prefix: str
    hash_suffix: str
    cluster_key: str

    @property
    def path_hash(self) -> PathHash:
        """One for all who ask, for it remembers."""
        return _path_hash(self.hash_prefix, self.hash_suffix)


@lru_cache(maxsize=16)
def _path_hash(prefix: str, suffix: str) -> PathHash:
    return PathHash(prefix.encode(), suffix.encode())


def read_secrets(file: File) -> Secrets | None:
    """The secrets in a file; None where there is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Secrets)
    except FileNotFoundError:
        return None


def read_or_make(file: File) -> Secrets:
    """The secrets in a file; of several processes that make it at once, one does."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        made = Secrets(secrets.token_hex(16), secrets.token_hex(16), secrets.token_hex(32))
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, file)
        beside.unlink()
        _sync(file.parent)
    return msgspec.json.decode(file.read_bytes(), type=Secrets)


def _sync(folder: File) -> None:
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
