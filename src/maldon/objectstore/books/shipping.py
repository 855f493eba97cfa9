"""A whole book on its way from disk to disk, when a replica is missing or far behind.

What is sent is a snapshot, made beside the book and removed afterwards. What is received is checked before it becomes
the book; where there is one by now, its rows are merged, in pieces, so that nobody waits long.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path as File

from maldon.kernel.errors import BadRequest
from maldon.kernel.ids import new_id
from maldon.objectstore.books.database import FILE, Database, place
from maldon.objectstore.books.item import kind_of
from maldon.objectstore.books.rows import changed_rows
from maldon.objectstore.books.shelf import BROKEN, Key, Shelf
from maldon.objectstore.books.syncing import adopt, merge_replica, preamble, snapshot
from maldon.objectstore.node import NoSpace, Shipment

PIECE = 1 << 20
CHUNK = 1000  # rows


@contextlib.contextmanager
def beside(shelf: Shelf, key: Key) -> Iterator[File]:
    """A folder on the same disk for a moment. Raises NoSpace."""
    folder = shelf.folder(key).with_name(f".{new_id()}")
    try:
        shelf.check_disk()
        folder.mkdir(parents=True)
        yield folder
    except BROKEN as error:
        raise NoSpace("The disk is full, broken or not mounted.", internal=f"{shelf.root}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def shipped(shelf: Shelf, key: Key) -> AsyncIterator[tuple[Shipment, AsyncIterator[bytes]]]:
    """A snapshot of a book and its bytes."""
    with beside(shelf, key) as folder:
        file = folder / FILE
        shipment = await shelf.alone(key, partial(snapshot, file=file))
        yield shipment, _pieces(file)


async def _pieces(file: File) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as source:
        while piece := await asyncio.to_thread(source.read, PIECE):
            yield piece


async def take(shelf: Shelf, key: Key, shipment: Shipment, body: bytes | AsyncIterator[bytes]) -> bool:
    """Receive a book; whether there was none before. Raises BadRequest, NoSpace."""
    with beside(shelf, key) as folder:
        await _receive(folder / FILE, shipment, body)
        await asyncio.to_thread(adopt, folder, key[1], shipment)
        return await settle(shelf, key, shipment, folder)


async def settle(shelf: Shelf, key: Key, shipment: Shipment, folder: File) -> bool:
    """A sound book that lies beside its place becomes the book, or its rows are merged; whether there was none."""
    shelf.folder(key).parent.mkdir(parents=True, exist_ok=True)
    if await asyncio.to_thread(place, folder, shelf.folder(key)):
        shelf.changed.add(key)
        return True
    await _merge(shelf, key, shipment, folder)
    return False


async def _receive(file: File, shipment: Shipment, body: bytes | AsyncIterator[bytes]) -> None:
    received = 0
    with file.open("xb") as target:
        async for piece in _as_pieces(body):
            received += len(piece)
            if received > shipment.size:
                break
            await asyncio.to_thread(target.write, piece)
    if received != shipment.size:
        raise BadRequest(f"The book has {shipment.size} bytes, {received} came.")


async def _as_pieces(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    async for piece in body:
        yield piece


async def _merge(shelf: Shelf, key: Key, shipment: Shipment, folder: File) -> None:
    """A thread's chunk of rows at a time."""
    db = await asyncio.to_thread(Database, folder, shelf.settings.checkpoint_pages)
    try:
        told, since = preamble(db), 0
        while since < shipment.seq:
            since, rows = await asyncio.to_thread(changed_rows, db, since, CHUNK, kind_of(key[1]))
            upto = shipment.seq if since >= shipment.seq else 0  # a part of them is no point to go on from
            await shelf.write(key, partial(merge_replica, made=shipment.made, upto=upto, told=told, rows=rows))
    finally:
        db.close()
