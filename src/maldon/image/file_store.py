"""Bytes of images, as files of one directory.

    incoming/NAME   being written
    files/NAME      whole, synced, and never changed again

A name is made for one upload and never used again, so nothing is ever written over: two uploads of one image cannot
mix, and whoever comes late only leaves a file that no row names. `receive` writes beside and syncs; `publish` is the
commit point: rename, then sync the directory. The row in the database comes after it.

Pieces are hashed twice and written, each in a thread of its own, while the next ones come in. Queues are short: at most
six pieces of 2 MiB are in memory.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from maldon.image.plan.formats import BadImage, Inspector
from maldon.kernel.errors import BadRequest, TooLarge, Unavailable
from maldon.kernel.ids import is_uuid

PIECE_BYTES = 2 << 20
QUEUED = 2
BLOCK_BYTES = 1 << 20
Piece = Sequence[bytes]  # not joined: that would cost as much as writing it


@dataclass(frozen=True, slots=True)
class Received:
    """What came in."""

    size: int
    md5: str
    sha512: str
    virtual_size: int | None


class FileStore:
    """The files below `directory`, which is made if need be. Names are UUIDs."""

    def __init__(self, directory: Path) -> None:
        self._incoming, self._files = directory / "incoming", directory / "files"
        for place in (self._incoming, self._files):
            place.mkdir(parents=True, exist_ok=True)

    async def receive(self, name: str, pieces: AsyncIterator[bytes], disk_format: str, most: int) -> Received:
        """Write the pieces beside, synced. Raises BadRequest for what `disk_format` does not promise, TooLarge beyond
        `most` bytes; what was written until then is for `remove`.
        """
        path = self._incoming / _checked(name)
        try:
            with await asyncio.to_thread(path.open, "xb", 0) as file:
                intake = _Intake(file, disk_format)
                await _each_in_its_thread(_gathered(intake.counted(pieces, most)), intake.calls)
                return await asyncio.to_thread(intake.finish)
        except BadImage as error:
            raise BadRequest(str(error), code="bad-image") from error
        except OSError as error:
            if isinstance(error, BadRequest):
                raise
            raise Unavailable("The image could not be stored; please try again later.", internal=str(error)) from error

    async def publish(self, name: str) -> None:
        """The commit point: what was received is a file of the store. Raises FileNotFoundError when it was removed."""
        await asyncio.to_thread(self._publish, _checked(name))

    def _publish(self, name: str) -> None:
        (self._incoming / name).rename(self._files / name)
        for place in (self._files, self._incoming):
            _sync(place)

    async def read(self, name: str, start: int, length: int) -> "_Blocks":
        """`length` bytes of a published file from `start`, block by block; to be closed with `aclose`."""
        file = await asyncio.to_thread((self._files / _checked(name)).open, "rb", 0)
        return _Blocks(file, start, length)

    async def remove(self, name: str) -> None:
        """The file is gone, wherever it was; also when it never was."""
        for place in (self._incoming, self._files):
            await asyncio.to_thread((place / _checked(name)).unlink, missing_ok=True)

    async def names(self) -> set[str]:
        """Every file, published or not."""
        return await asyncio.to_thread(self._names)

    def _names(self) -> set[str]:
        return {file.name for place in (self._incoming, self._files) for file in place.iterdir() if is_uuid(file.name)}

    def path(self, name: str) -> Path:
        """Where a published file lies."""
        return self._files / _checked(name)


class _Intake:
    """One file being received: what is done with every piece, and the sums in the end."""

    def __init__(self, file: Any, disk_format: str) -> None:
        self._file = file
        self._inspector = Inspector(disk_format)
        self._md5, self._sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
        self._size = 0
        self.calls: Sequence[Callable[[bytes], object]] = (self._md5.update, self._sha512.update, self._write)

    async def counted(self, pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self._size += len(piece)
            if self._size > most:
                raise TooLarge(f"The image is larger than the {most} bytes left for it.", code="quota-exceeded")
            yield piece

    def _write(self, piece: bytes) -> None:
        self._inspector.feed(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]

    def finish(self) -> Received:
        inspected = self._inspector.finish()
        os.fsync(self._file.fileno())
        return Received(self._size, self._md5.hexdigest(), self._sha512.hexdigest(), inspected.virtual_size)


async def _each_in_its_thread(pieces: AsyncIterator[Piece], calls: Sequence[Callable[[bytes], object]]) -> None:
    """Every piece goes to all calls, each in a thread and in its own time; raises the first thing that goes wrong.

    Once this returns or raises, no thread is at work any more.
    """
    queues: list[asyncio.Queue[Piece | None]] = [asyncio.Queue(QUEUED) for _ in calls]
    try:
        async with asyncio.TaskGroup() as lines:
            for call, queue in zip(calls, queues, strict=True):
                lines.create_task(_line(call, queue))
            async for piece in pieces:
                for queue in queues:
                    await queue.put(piece)
            for queue in queues:
                await queue.put(None)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _line(call: Callable[[bytes], object], queue: asyncio.Queue[Piece | None]) -> None:
    loop = asyncio.get_running_loop()
    while (piece := await queue.get()) is not None:
        job = loop.run_in_executor(None, _each, call, piece)
        try:
            await asyncio.shield(job)
        finally:
            if not job.done():
                await asyncio.wait([job])  # cancelled: but the thread still uses the file that is closed next


def _each(call: Callable[[bytes], object], piece: Piece) -> None:
    for part in piece:
        call(part)


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    """The same bytes in large pieces: what a socket gives is too small to be worth a change of threads."""
    waiting: list[bytes] = []
    size = 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


class _Blocks:
    """Blocks of an open file, the next one read while this one is sent. Whoever takes them closes, at any time."""

    def __init__(self, file: Any, start: int, length: int) -> None:
        self._file, self._at, self._end = file, start, start + length
        self._reading: asyncio.Future[bytes] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._at >= self._end:
            raise StopAsyncIteration
        block = await (self._reading or self._read())
        if not block:
            raise Unavailable("The image is shorter than it should be.", internal=f"{self._file.name} at {self._at}")
        self._at += len(block)
        self._reading = self._read() if self._at < self._end else None
        return block

    def _read(self) -> asyncio.Future[bytes]:
        size = min(BLOCK_BYTES, self._end - self._at)
        loop = asyncio.get_running_loop()
        self._reading = loop.run_in_executor(None, os.pread, self._file.fileno(), size, self._at)
        return self._reading

    async def aclose(self) -> None:
        if self._reading is not None:
            await asyncio.wait([self._reading])  # before the descriptor is given to somebody else
        self._file.close()


def _checked(name: str) -> str:
    if not is_uuid(name):
        raise ValueError(f"{name!r} is no name of a file in the store")
    return name


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
