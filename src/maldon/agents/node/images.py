"""The node's image cache: image bytes as files named by image id and hash, checked as they come, used by many guests.

A file is there whole or not at all. Many guests that want the same image at once wait for one download. Files are never
changed; one that no guest needs is dropped after a day.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from maldon.ports.hypervisor import DriverRefused, ImageRef

UNUSED_S = 24 * 3600


class ImageSource(Protocol):
    """Where the bytes come from."""

    async def download(self, image_id: str, into: "Sink") -> None:
        """Feed the image's bytes. Raises OSError when they cannot be had now, DriverRefused when never."""


class Sink:
    """Takes bytes to a file and hashes them."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha512()

    def write(self, chunk: bytes) -> None:
        """Blocking: call it in a thread for large chunks."""
        self._hash.update(chunk)
        self._file.write(chunk)

    def finish(self) -> str:
        """Sync the bytes to the disk; their hex SHA-512."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        self._file.close()


class ImageCache:
    """Image files under `directory`."""

    def __init__(self, directory: Path, source: ImageSource) -> None:
        self._directory, self._source = directory, source
        self._coming: dict[str, asyncio.Lock] = {}
        directory.mkdir(parents=True, exist_ok=True)
        for part in directory.glob(".*.part"):
            part.unlink()

    def _path(self, image: ImageRef) -> Path:
        return self._directory / f"{image.id}-{image.os_hash[:16]}"

    async def ensure(self, image: ImageRef) -> Path:
        """The image's file, downloaded first if need be. Raises OSError, or DriverRefused for wrong bytes."""
        path = self._path(image)
        async with self._coming.setdefault(image.id, asyncio.Lock()):
            if not path.exists():
                await self._fetch(image, path)
        os.utime(path)
        return path

    async def _fetch(self, image: ImageRef, path: Path) -> None:
        beside = path.with_name(f".{path.name}.part")
        sink = Sink(beside)
        try:
            await self._source.download(image.id, sink)
            digest = await asyncio.to_thread(sink.finish)
            if digest != image.os_hash:
                raise DriverRefused(f"The bytes of image {image.id} do not have the checksum that the catalogue names.")
            beside.replace(path)
        finally:
            sink.abandon()
            beside.unlink(missing_ok=True)

    def drop_unused(self, needed: Iterable[ImageRef]) -> int:
        """Delete files that no guest needs and nobody asked for within a day; how many."""
        kept = {self._path(image).name for image in needed}
        dropped = 0
        for path in self._directory.iterdir():
            if path.name not in kept and time.time() - path.stat().st_mtime > UNUSED_S:
                path.unlink()
                dropped += 1
        return dropped
