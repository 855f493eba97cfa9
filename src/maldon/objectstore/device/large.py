"""Large bodies: a file each, written beside without a name, synced, then named.

    large/3f/POLICY-HASH-TIMESTAMP-RANDOM    the body, then the CRC of each of its blocks of 1 MiB, 4 bytes each

The record in a segment says that it counts; a file that no record names is swept away later (a crash between the two).
Bytes are taken in a block at a time, hashed and written in two threads while the next blocks come in, and checked a
block at a time when they are read.
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

from isal.isal_zlib import crc32

from maldon.kernel.errors import Unavailable
from maldon.objectstore.device.record import Damaged
from maldon.objectstore.device.segment import write_all
from maldon.objectstore.device.space import refused
from maldon.objectstore.device.strand import Strand
from maldon.objectstore.device.writeback import start_writeback

BLOCK_BYTES = 1 << 20
_CRC_BYTES = 4
_RUN_BYTES = 32 * BLOCK_BYTES  # that go to the disk while the next are taken in
_AHEAD = 2  # blocks that may wait to be hashed or written, while the next comes in
Pieces = Sequence[bytes | memoryview]


class LargeFile:
    """A large body that comes in; every verb raises NoSpace. `close` takes away what was not published."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._file = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
        except OSError as error:
            raise refused(error) from error
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crcs: list[bytes] = []
        self.size = 0
        self._waiting: list[bytes | memoryview] = []
        self._waiting_bytes = 0
        self._strands = Strand(self._hash), Strand(self._write)

    async def feed(self, piece: bytes) -> None:
        """Take more of it; waits while too much is on its way to the disk."""
        view = memoryview(piece)
        while self._waiting_bytes + len(view) >= BLOCK_BYTES:
            room = BLOCK_BYTES - self._waiting_bytes
            self._waiting.append(view[:room])
            view = view[room:]
            await self._next_block()
        if view:
            self._waiting.append(view)
            self._waiting_bytes += len(view)

    async def _next_block(self) -> None:
        pieces, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for strand in self._strands:
            strand.give(pieces)
        await self._until(_AHEAD)

    async def _until(self, left: int) -> None:
        """No more than so many blocks are left to do."""
        try:
            for strand in self._strands:
                await strand.until(left)
        except OSError as error:
            raise refused(error) from error

    def _hash(self, pieces: Pieces) -> None:
        for piece in pieces:
            self._md5.update(piece)

    def _write(self, pieces: Pieces) -> None:
        check = 0
        for piece in pieces:
            check = crc32(piece, check)
        self._crcs.append(check.to_bytes(_CRC_BYTES, "little"))
        write_all(self._file, pieces)
        self.size += sum(map(len, pieces))
        if not self.size % _RUN_BYTES:
            start_writeback(self._file, self.size - _RUN_BYTES, _RUN_BYTES)

    async def finish(self) -> str:
        """Everything is on the disk; the MD5 of it."""
        if self._waiting:
            await self._next_block()
        await self._until(0)
        await _through(asyncio.ensure_future(asyncio.to_thread(self._sync)))
        return self._md5.hexdigest()

    def _sync(self) -> None:
        write_all(self._file, self._crcs)
        os.fdatasync(self._file)

    async def publish(self, name: str) -> None:
        """Give it its name, for good."""
        await _through(asyncio.ensure_future(asyncio.to_thread(self._publish, name)))

    def _publish(self, name: str) -> None:
        place = os.open(self._folder / shelf(name), os.O_RDONLY | os.O_DIRECTORY)
        try:
            # With a directory given, link follows the symbolic link to the file without a name; otherwise it does not.
            os.link(f"/proc/self/fd/{self._file}", name, dst_dir_fd=place, follow_symlinks=True)
            os.fsync(place)
        finally:
            os.close(place)

    async def close(self) -> None:
        for strand in self._strands:
            await strand.close()
        os.close(self._file)


class LargeBody:
    """Bytes of a large file from `start` to `stop`, block by block, the next one read while this one is sent."""

    def __init__(self, file: int, size: int, start: int, stop: int, damaged: Callable[[], Awaitable[None]]) -> None:
        self._file, self._size, self._at, self._stop = file, size, start, stop
        self._damaged = damaged
        self._reading: asyncio.Future[memoryview] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._at >= self._stop:
            await self.aclose()
            raise StopAsyncIteration
        reading = self._reading or self._read(self._at)
        self._reading = reading
        try:
            piece = await asyncio.shield(reading)
        except Damaged as error:
            await self._damaged()
            raise Unavailable("The object could not be read; please try again.", internal=str(error)) from error
        self._at += len(piece)
        self._reading = self._read(self._at) if self._at < self._stop else None
        return piece  # type: ignore[return-value] # a view: whoever sends it needs no copy

    def _read(self, at: int) -> asyncio.Future[memoryview]:
        return asyncio.get_running_loop().run_in_executor(None, self._block, at)

    def _block(self, at: int) -> memoryview:
        number, inside = divmod(at, BLOCK_BYTES)
        block = read_block(self._file, self._size, number)
        return memoryview(block)[inside : self._stop - number * BLOCK_BYTES]

    async def aclose(self) -> None:
        """To be called by whoever stops early; at any time, and twice."""
        reading, self._reading = self._reading, None
        if reading is not None:
            await asyncio.wait([reading])  # before the descriptor is given to somebody else
            if not reading.cancelled():
                reading.exception()
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
        self._at = self._stop

    def __del__(self) -> None:
        if self._file >= 0 and self._reading is None:
            os.close(self._file)


def read_block(file: int, size: int, number: int) -> bytes:
    """A block, checked. Raises Damaged."""
    wanted = min(BLOCK_BYTES, size - number * BLOCK_BYTES)
    block = os.pread(file, wanted, number * BLOCK_BYTES)
    check = os.pread(file, _CRC_BYTES, size + number * _CRC_BYTES)
    if len(block) != wanted or crc32(block) != int.from_bytes(check, "little") or len(check) != _CRC_BYTES:
        raise Damaged(f"block {number}")
    return block


def new_name(policy: int, hashed: bytes, timestamp: int) -> str:
    """A name that is never used again."""
    return f"{policy}-{hashed.hex()}-{timestamp:016d}-{secrets.token_hex(4)}"


def name_parts(name: str) -> tuple[int, bytes]:
    """The policy and the hash of the object a file was made for."""
    policy, hashed, *_ = name.split("-")
    return int(policy), bytes.fromhex(hashed)


def shelf(name: str) -> str:
    """The folder that a file lies in."""
    return name.split("-")[1][:2]


async def _through(job: asyncio.Future[None]) -> None:
    """Wait for threads to the end, also when cancelled: they use a file that is closed next."""
    try:
        await asyncio.shield(job)
    except OSError as error:
        raise refused(error) from error
    finally:
        if not job.done():
            await asyncio.wait([job])
