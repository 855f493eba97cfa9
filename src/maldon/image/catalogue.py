"""The books of images: who may see which, and the changes that touch no bytes.

An image that the asker may not see is absent: `find` raises NotFound. Everything a rule may ask about an image is in
`target_of`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from maldon.image.models.image import images, property_index, tag_index
from maldon.image.models.member import members
from maldon.image.settings import ImageSettings
from maldon.kernel.errors import Conflict, Duplicate, Forbidden, NotFound, QuotaExceeded
from maldon.kernel.ids import is_uuid, new_id
from maldon.kernel.op import Op, Session

# Made once: what they are made of costs more than running them.
_ONE = select(images).where(images.c.id == bindparam("id"))
_MINE = select(members.c.member_id).where(
    members.c.image_id == bindparam("id"), members.c.member_id == bindparam("project_id")
)


def target_of(owner: str | None, visibility: str, member_id: str = "") -> dict[str, Any]:
    """What the rules may ask. `member_id` is the asker's project if the image is shared with it."""
    return {"project_id": owner or "", "owner": owner or "", "visibility": visibility, "member_id": member_id}


def no_image(image_id: str) -> NotFound:
    return NotFound(f"No image found with ID {image_id}", code="image-not-found")


async def find(session: Session, op: Op, image_id: str) -> tuple[Any, dict[str, Any]]:
    """The image's row and its target. Raises NotFound for what the asker may not see."""
    image_id = image_id.lower()
    row = await session.first(_ONE, {"id": image_id}) if is_uuid(image_id) else None
    if row is None:
        raise no_image(image_id)
    member_id = ""
    project_id = op.actor.project_id
    if row.visibility == "shared" and project_id and row.owner != project_id:
        member_id = await session.scalar(_MINE, {"id": image_id, "project_id": project_id}) or ""
    target = target_of(row.owner, row.visibility, member_id)
    if not op.can("get_image", target):
        raise no_image(image_id)
    return row, target


async def add(
    session: Session, op: Op, image_id: str | None, values: Mapping[str, Any], kept: Mapping[str, str | None]
) -> str:
    """A new image without bytes; its id. `values` are its attributes, tags too. Raises QuotaExceeded, Conflict."""
    await _check_count(session, op, values["owner"])
    image_id = image_id or new_id()
    if await session.scalar(select(images.c.id).where(images.c.id == image_id)):
        raise Conflict(f"Image ID {image_id} already exists!")
    now = op.clock.now()
    row = {**values, "id": image_id, "status": "queued", "lease_until": 0, "created_at": now, "updated_at": now}
    try:
        await session.run(insert(images).values({**row, "properties": kept}))
    except Duplicate as error:
        raise Conflict(f"Image ID {image_id} already exists!") from error
    await _index(session, image_id, kept, values["tags"])
    return image_id


async def _check_count(session: Session, op: Op, owner: str | None) -> None:
    most = op.use(ImageSettings).images_per_project
    if most < 0:
        return
    await session.lock(f"quota:image:{owner}")
    used = await session.scalar(select(func.count()).select_from(images).where(images.c.owner == owner))
    if used >= most:
        raise QuotaExceeded(f"The project may have {most} images and has {used}; delete one first.")


async def bytes_left(session: Session, op: Op, owner: str | None, besides: str) -> int:
    """How many bytes the image `besides` may have at most: the limit of one image, or what its project has left."""
    settings = op.use(ImageSettings)
    most = settings.max_image_bytes
    if settings.bytes_per_project < 0:
        return most
    await session.lock(f"quota:image:{owner}")
    others = (images.c.owner == owner) & (images.c.id != besides)
    used = int(await session.scalar(select(func.coalesce(func.sum(images.c.size), 0)).where(others)))
    return max(0, min(most, settings.bytes_per_project - used))


async def replace(
    session: Session, op: Op, before: Any, values: Mapping[str, Any], kept: Mapping[str, str | None]
) -> None:
    """The image has these attributes, tags and properties now. Its lock is held since `before` was read."""
    same = images.c.id == before.id
    changed = update(images).where(same).values({**values, "properties": kept, "updated_at": _later(op, before)})
    await session.run(changed)
    if kept != before.properties:
        await session.run(delete(property_index).where(property_index.c.image_id == before.id))
        await _index(session, before.id, kept, ())
    if values["tags"] != before.tags:
        await session.run(delete(tag_index).where(tag_index.c.image_id == before.id))
        await _index(session, before.id, {}, values["tags"])


async def _index(session: Session, image_id: str, kept: Mapping[str, str | None], tags: Iterable[str]) -> None:
    """Let lists find the image by these."""
    rows = [{"image_id": image_id, "name": name, "value": value} for name, value in kept.items()]
    if rows:
        await session.run(insert(property_index), rows)
    if tags:
        await session.run(insert(tag_index), [{"image_id": image_id, "tag": tag} for tag in tags])


def _later(op: Op, row: Any) -> int:
    """A time of change that differs from the last one."""
    return max(op.clock.now(), int(row.updated_at) + 1)


async def remove(session: Session, op: Op, image_id: str) -> str | None:
    """The image is gone from the books; the name of its file, which is to be removed after the commit."""
    await lock(session, image_id)
    row, target = await find(session, op, image_id)
    op.may("delete_image", target)
    if row.protected:
        raise Forbidden(f"Image {row.id} is protected and cannot be deleted.")
    await session.run(delete(images).where(images.c.id == row.id))
    return row.file  # type: ignore[no-any-return]


async def lock(session: Session, image_id: str) -> None:
    """Changes of one image come one after the other; uploads are compare-and-set and need no lock."""
    await session.lock(f"image:{image_id.lower()}")


async def set_status(session: Session, op: Op, row: Any, source: str, status: str) -> None:
    """Move an image from one status to another; when it is there already that is fine. Raises Forbidden."""
    if row.status not in {source, status}:
        raise Forbidden(f"An image that is {row.status} cannot become {status}.")
    move = (images.c.id == row.id) & (images.c.status == row.status)
    if not await session.run(update(images).where(move).values(status=status, updated_at=_later(op, row))):
        raise Conflict("The image changed at the same time; please try again.")
