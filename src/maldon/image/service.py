"""The image room's door.

Neighbours ask for one image or for names, and have a local file registered; the process keeps `reap_uploads` running.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

import msgspec
from sqlalchemy import select

from maldon.image import catalogue, uploads
from maldon.image.file_store import PIECE_BYTES, FileStore
from maldon.image.loops.reap_uploads import reap_uploads
from maldon.image.models.image import images
from maldon.image.schemas.image import attributes
from maldon.image.settings import ImageSettings
from maldon.kernel.op import Op, Session

__all__ = ["FileStore", "Image", "ImageSettings", "audit", "get_image", "image_names", "import_file", "reap_uploads"]


class Image(msgspec.Struct, frozen=True):
    """An image as its neighbours know it."""

    id: str
    name: str | None
    status: str
    visibility: str
    owner: str | None
    disk_format: str | None
    container_format: str | None
    size: int | None
    virtual_size: int | None
    os_hash_value: str | None
    min_disk: int
    min_ram: int
    protected: bool
    properties: dict[str, str | None]


async def get_image(session: Session, op: Op, image_id: str) -> Image:
    """The image. Raises NotFound when there is none, or none that the op's actor may see."""
    row, _ = await catalogue.find(session, op, image_id)
    return Image(*(getattr(row, name) for name in Image.__struct_fields__))


async def image_names(session: Session, ids: Iterable[str]) -> dict[str, str | None]:
    """The names of those images that still are, by id."""
    wanted = sorted(set(ids))
    rows = await session.all(select(images.c.id, images.c.name).where(images.c.id.in_(wanted))) if wanted else []
    return {row.id: row.name for row in rows}


async def import_file(  # noqa: PLR0913 - all of it is about the one image
    op: Op,
    path: Path,
    *,
    image_id: str,
    name: str,
    disk_format: str,
    properties: Mapping[str, str] | None = None,
    visibility: str = "public",
) -> Image:
    """A local file as an active image, owned by the op's project. Done again it stays as it is.

    What an import that died left behind is taken over; of two at the same time the first raises Gone.
    """
    async with op.db.begin() as session:
        row = await session.first(select(images).where(images.c.id == image_id))
        if row is not None and row.file is not None and row.status not in uploads.UNFINISHED:
            return await get_image(session, op, image_id)
        if row is None:
            values = attributes(
                {
                    "name": name,
                    "disk_format": disk_format,
                    "container_format": "bare",
                    "visibility": visibility,
                    "owner": op.actor.project_id,
                }
            )
            await catalogue.add(session, op, image_id, msgspec.structs.asdict(values), properties or {})
        else:
            await uploads.give_back(session, op, image_id)
        row, _ = await catalogue.find(session, op, image_id)
        upload = await uploads.begin(session, op, row, "saving", None)
    await uploads.bring(op, upload, _pieces(path), None)
    async with op.db.read() as session:
        return await get_image(session, op, image_id)


async def audit(op: Op) -> list[str]:
    """A sentence for every image that can be read by the books and whose file is not in the store."""
    async with op.db.read() as session:
        whole = select(images.c.id, images.c.file).where(images.c.status.in_(("active", "deactivated")))
        rows = await session.all(whole)
    kept = await op.use(FileStore).names()
    return [f"image {row.id} has lost its file {row.file}" for row in rows if row.file not in kept]


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb", 0)
    try:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
    finally:
        file.close()
