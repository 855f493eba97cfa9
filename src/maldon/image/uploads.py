"""Bytes on their way into an image: queued -> saving -> active, or queued -> uploading (staged) -> active.

    begin     one wins by compare-and-set: the row names the new file, under a lease
    receive   the file is written beside and synced; the lease is renewed while bytes come in
    publish   the commit point of the file
    finish    the commit point of the image: one compare-and-set on the file's name

A refused, cut or cancelled upload gives the image back as it was and removes the file. Whoever dies leaves a lease that
runs out, and `reap_uploads` does the same. What a row names is never removed, what none names always is.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from sqlalchemy import insert, select, update

from maldon.image import catalogue
from maldon.image.file_store import FileStore, Received
from maldon.image.models.image import images
from maldon.image.models.task import tasks
from maldon.image.settings import ImageSettings
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest, Conflict, Gone, QuotaExceeded
from maldon.kernel.ids import new_id
from maldon.kernel.op import Op, Session
from maldon.web.request import CutOff

log = structlog.get_logger()

Way = Literal["saving", "uploading"]
UNFINISHED = ("saving", "uploading")


@dataclass(frozen=True, slots=True)
class Upload:
    """One try to give an image its bytes. `file` is its name in the store and nobody else's."""

    image_id: str
    owner: str | None
    file: str
    disk_format: str
    most: int
    way: Way


async def begin(session: Session, op: Op, row: Any, way: Way, declared: int | None) -> Upload:
    """The image waits for the bytes of this upload and no other. Raises Conflict when it does not wait for bytes.

    `declared` is how many bytes the client announced, if it did. Raises QuotaExceeded when they are too many.
    """
    if row.disk_format is None or row.container_format is None:
        raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
    most = await catalogue.bytes_left(session, op, row.owner, row.id)
    if declared is not None and declared > most:
        raise QuotaExceeded(f"The image has {declared} bytes, and {most} are left for it.")
    upload = Upload(row.id, row.owner, new_id(), row.disk_format, most, way)
    waiting = (images.c.id == row.id) & (images.c.status == "queued")
    values = {"status": way, "file": upload.file, "lease_until": _lease(op), "updated_at": op.clock.now()}
    if not await session.run(update(images).where(waiting).values(values)):
        raise Conflict(f"Image status transition from {row.status} to {way} is not allowed.")
    return upload


async def bring(op: Op, upload: Upload, pieces: AsyncIterator[bytes], declared: int | None) -> None:
    """All of an upload after `begin`: either the image has its bytes, or it waits for them again."""
    store = op.use(FileStore)
    try:
        received = await _receive(op, upload, pieces)
        _check_size(received, declared)
        await store.publish(upload.file)
        await finish(op, upload, received)
    except FileNotFoundError as error:
        await abandon(op, upload)
        raise _lost(upload) from error
    except BaseException:
        await abandon(op, upload)
        raise


def _check_size(received: Received, declared: int | None) -> None:
    if declared is not None and received.size != declared:
        raise BadRequest(f"{received.size} bytes came in, {declared} were announced.")


async def _receive(op: Op, upload: Upload, pieces: AsyncIterator[bytes]) -> Received:
    """Have the store take the pieces. Raises CutOff when none comes for too long."""
    stall_s = op.use(ImageSettings).stall_s
    try:
        async with asyncio.timeout(stall_s) as watch:
            alive = _alive(op, upload, pieces, watch)
            return await op.use(FileStore).receive(upload.file, alive, upload.disk_format, upload.most)
    except TimeoutError as error:
        raise CutOff(f"Nothing came in for {stall_s} seconds.") from error


async def _alive(op: Op, upload: Upload, pieces: AsyncIterator[bytes], watch: asyncio.Timeout) -> AsyncIterator[bytes]:
    """The same pieces; winds the watch and renews the lease as they come."""
    settings = op.use(ImageSettings)
    loop = asyncio.get_running_loop()
    step = settings.upload_lease_s * SECOND // 4
    due = op.clock.now() + step
    async for piece in pieces:
        watch.reschedule(loop.time() + settings.stall_s)
        if op.clock.now() >= due:
            due = op.clock.now() + step
            await _renew(op, upload)
        yield piece
    watch.reschedule(None)  # what is left is our own work


async def _renew(op: Op, upload: Upload) -> None:
    async with op.db.begin() as session:
        if not await session.run(update(images).where(_ours(upload)).values(lease_until=_lease(op))):
            raise _lost(upload)


async def finish(op: Op, upload: Upload, received: Received) -> None:
    """The image has the bytes that were received. Raises Gone when it is no longer ours, QuotaExceeded."""
    values: dict[str, Any] = {
        "size": received.size,
        "virtual_size": received.virtual_size,
        "checksum": received.md5,
        "os_hash_value": received.sha512,
        "lease_until": 0,
        "updated_at": op.clock.now(),
    }
    if upload.way == "saving":
        values["status"] = "active"
    async with op.db.begin() as session:
        if received.size > await catalogue.bytes_left(session, op, upload.owner, upload.image_id):
            raise QuotaExceeded("Other images have taken the bytes that were left to the project.")
        if not await session.run(update(images).where(_ours(upload)).values(values)):
            raise _lost(upload)


async def abandon(op: Op, upload: Upload) -> None:
    """The image waits for bytes again, and the file is gone, unless the upload was finished after all."""
    async with op.db.begin() as session:
        await session.run(update(images).where(_ours(upload)).values(_waiting(op)))
        kept = await session.scalar(select(images.c.id).where(images.c.file == upload.file))
    if kept is None:
        await op.use(FileStore).remove(upload.file)


async def give_back(session: Session, op: Op, image_id: str) -> None:
    """The image waits for bytes, whoever was bringing them."""
    unfinished = (images.c.id == image_id) & images.c.status.in_(UNFINISHED)
    await session.run(update(images).where(unfinished).values(_waiting(op)))


async def take_staged(session: Session, op: Op, row: Any, request: Any) -> None:
    """Staged bytes become the image's own. Raises Conflict when there are none."""
    staged = (images.c.id == row.id) & (images.c.status == "uploading") & (images.c.lease_until == 0)
    now = op.clock.now()
    if not await session.run(update(images).where(staged).values(status="active", updated_at=now)):
        raise Conflict("The image has no staged data to import; stage it first.")
    done = {"id": new_id(), "image_id": row.id, "request_id": op.request_id, "user_id": op.actor.user_id}
    await session.run(insert(tasks).values(**done, owner=row.owner, request=request, created_at=now))


async def undo_dead(op: Op) -> int:
    """Images whose upload died wait for bytes again; files that no row names are removed. How many files."""
    store = op.use(FileStore)
    # Names before rows: whoever writes a file has its name in a row first.
    found = await store.names()
    async with op.db.begin() as session:
        dead = images.c.status.in_(UNFINISHED) & (images.c.lease_until > 0) & (images.c.lease_until < op.clock.now())
        await session.run(update(images).where(dead).values(_waiting(op)))
    async with op.db.read() as session:
        named = set[str]()
        for some in _batches(sorted(found)):
            named |= {name for (name,) in await session.all(select(images.c.file).where(images.c.file.in_(some)))}
    for name in found - named:
        await store.remove(name)
        log.info("removed a file without an image", file=name)
    return len(found - named)


def _batches(names: list[str], size: int = 500) -> list[list[str]]:
    return [names[at : at + size] for at in range(0, len(names), size)]


def _ours(upload: Upload) -> Any:
    """The image still waits for this very upload; staged bytes that are whole have no lease."""
    same = (images.c.id == upload.image_id) & (images.c.file == upload.file) & (images.c.status == upload.way)
    return same & (images.c.lease_until > 0)


def _waiting(op: Op) -> dict[str, Any]:
    nothing = dict.fromkeys(("file", "size", "virtual_size", "checksum", "os_hash_value"))
    return {**nothing, "status": "queued", "lease_until": 0, "updated_at": op.clock.now()}


def _lease(op: Op) -> int:
    return op.clock.now() + op.use(ImageSettings).upload_lease_s * SECOND


def _lost(upload: Upload) -> Gone:
    return Gone(f"Image {upload.image_id} was deleted, or taken by another upload, while its bytes came in.")
