"""The bytes of an image: upload, stage, import, download."""

import re
from typing import Any

import msgspec

from maldon.image import catalogue, uploads
from maldon.image.file_store import FileStore
from maldon.image.schemas.image import Import
from maldon.kernel.errors import BadRequest, CloudError, Forbidden, UnsupportedMedia
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, streamed, whole

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


class OutOfRange(CloudError):
    """A part of the image that it does not have."""

    status, code = 416, "out-of-range"

    def __init__(self, size: int) -> None:
        super().__init__(f"The image has {size} bytes, and none of them is in that range.")
        self.headers = (("Content-Range", f"bytes */{size}"),)


async def upload(request: Request, op: Op) -> Reply:
    """PUT /v2/images/{id}/file."""
    return await _bring(request, op, "saving")


async def stage(request: Request, op: Op) -> Reply:
    """PUT /v2/images/{id}/stage."""
    return await _bring(request, op, "uploading")


async def _bring(request: Request, op: Op, way: uploads.Way) -> Reply:
    media = request.header("Content-Type").split(";")[0].strip().lower()
    if media != "application/octet-stream":
        raise UnsupportedMedia("Image data must be application/octet-stream.")
    announced = request.header("X-OpenStack-Image-Size")
    declared = whole(announced, "X-OpenStack-Image-Size", 0, 2**63 - 1) if announced else request.content_length
    async with op.db.begin() as session:
        row, target = await catalogue.find(session, op, request.path["id"])
        op.may("upload_image", target)
        bringing = await uploads.begin(session, op, row, way, declared)
    await uploads.bring(op, bringing, request.stream, declared)
    return empty()


async def take_in(request: Request, op: Op) -> Reply:
    """POST /v2/images/{id}/import."""
    wanted = await request.load(Import)
    async with op.db.begin() as session:
        row, target = await catalogue.find(session, op, request.path["id"])
        op.may("modify_image", target)
        if wanted.method.name != "glance-direct":
            raise BadRequest(f"There is no import method {wanted.method.name!r} here; there is glance-direct.")
        if wanted.stores:
            raise BadRequest("There is one store here, which has no name; leave out 'stores'.")
        kept: Any = msgspec.to_builtins(wanted)
        await uploads.take_staged(session, op, row, {name: value for name, value in kept.items() if value is not None})
    return empty(202)


async def download(request: Request, op: Op) -> Reply:
    """GET /v2/images/{id}/file."""
    async with op.db.read() as session:
        row, target = await catalogue.find(session, op, request.path["id"])
    op.may("download_image", target)
    if row.status == "deactivated" and not op.actor.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if row.status not in {"active", "deactivated"}:
        return empty()
    span = _span(request.header("Range"), row.size)
    part = span or range(row.size)
    try:
        blocks = await op.use(FileStore).read(row.file, part.start, len(part))
    except FileNotFoundError as error:
        raise catalogue.no_image(row.id) from error  # deleted since we looked
    told = (
        ("Content-Range", f"bytes {part.start}-{part.stop - 1}/{row.size}") if span else ("Content-MD5", row.checksum)
    )
    headers = (told, ("Accept-Ranges", "bytes"))
    return streamed(blocks, len(part), "application/octet-stream", headers, 206 if span else 200)


def _span(header: str, size: int) -> range | None:
    """The one part asked for; None for the whole, and for what is not understood, as HTTP wants it."""
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        span = range(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        span = range(int(first), min(int(last) + 1, size) if last else size)
    if not span:
        raise OutOfRange(size)
    return span
