"""Images: create, list, show, change, delete, and what is done to one as a whole."""

from dataclasses import replace
from typing import Any

import msgspec

from maldon.image import catalogue, listing
from maldon.image.file_store import FileStore
from maldon.image.plan.patch import V20, V21, BadPatch, Change, changes_of
from maldon.image.schemas import image as schema
from maldon.image.views import image as views
from maldon.kernel.errors import BadRequest, Conflict, Forbidden, NotFound, UnsupportedMedia
from maldon.kernel.op import Op, Session
from maldon.web.paging import page_of
from maldon.web.request import Reply, Request, decode, empty, json

PAGE = 25
_ONLY_WHILE_QUEUED = ("disk_format", "container_format")


class _NotAPatch(UnsupportedMedia):
    headers = (("Accept-Patch", f"{V21}, {V20}"),)


async def create(request: Request, op: Op) -> Reply:
    """POST /v2/images."""
    body = await request.load(dict[str, Any])
    image_id = schema.image_id(body.pop("id")) if "id" in body else None
    for name in body:
        schema.refuse_foreign(name)
    given = {name: value for name, value in body.items() if name in schema.SETTABLE}
    wanted = schema.attributes({"owner": op.actor.project_id, **given})
    kept = schema.properties({name: value for name, value in body.items() if name not in schema.SETTABLE})
    op.may("add_image", catalogue.target_of(wanted.owner, wanted.visibility))
    _may_show_to_others(op, wanted, "private")
    async with op.db.begin() as session:
        image_id = await catalogue.add(session, op, image_id, msgspec.structs.asdict(wanted), kept)
        made, _ = await catalogue.find(session, op, image_id)
    headers = (
        ("Location", f"{request.base}/v2/images/{image_id}"),
        ("OpenStack-image-import-methods", "glance-direct"),
    )
    return json(views.image(made), 201, headers)


async def index(request: Request, op: Op) -> Reply:
    """GET /v2/images."""
    op.may("get_images")
    page = page_of(request, listing.SORTABLE, listing.SORTED)
    if request.param("limit") is None:
        page = replace(page, limit=PAGE)
    statement, params = listing.query_of(op.actor, request.query)
    async with op.db.read() as session:
        rows, more = await listing.page_of(session, statement, page, params)
    return json(views.listed([views.image(row) for row in rows], request.query, more=more))


async def show(request: Request, op: Op) -> Reply:
    """GET /v2/images/{id}."""
    async with op.db.read() as session:
        row, target = await catalogue.find(session, op, request.path["id"])
    op.may("get_image", target)
    return json(views.image(row))


async def update(request: Request, op: Op) -> Reply:
    """PATCH /v2/images/{id}."""
    changes = await _changes(request)
    async with op.db.begin() as session:
        before = await _for_change(session, op, request)
        after = await _replace(session, op, before, *_changed(before, changes))
    return json(views.image(after))


async def delete(request: Request, op: Op) -> Reply:
    """DELETE /v2/images/{id}."""
    async with op.db.begin() as session:
        file = await catalogue.remove(session, op, request.path["id"])
    if file is not None:
        await op.use(FileStore).remove(file)
    return empty()


async def add_tag(request: Request, op: Op) -> Reply:
    """PUT /v2/images/{id}/tags/{tag}."""
    async with op.db.begin() as session:
        row = await _for_change(session, op, request)
        values, kept = _now(row)
        values["tags"] = [*row.tags, request.path["tag"]]
        await _replace(session, op, row, values, kept)
    return empty()


async def remove_tag(request: Request, op: Op) -> Reply:
    """DELETE /v2/images/{id}/tags/{tag}."""
    tag = request.path["tag"]
    async with op.db.begin() as session:
        row = await _for_change(session, op, request)
        if tag not in row.tags:
            raise NotFound(f"Image {row.id} has no tag {tag!r}.")
        values, kept = _now(row)
        values["tags"] = [one for one in row.tags if one != tag]
        await _replace(session, op, row, values, kept)
    return empty()


async def deactivate(request: Request, op: Op) -> Reply:
    """POST /v2/images/{id}/actions/deactivate."""
    return await _move(request, op, "deactivate", "active", "deactivated")


async def reactivate(request: Request, op: Op) -> Reply:
    """POST /v2/images/{id}/actions/reactivate."""
    return await _move(request, op, "reactivate", "deactivated", "active")


async def _move(request: Request, op: Op, rule: str, source: str, status: str) -> Reply:
    async with op.db.begin() as session:
        row, target = await catalogue.find(session, op, request.path["id"])
        op.may(rule, target)
        await catalogue.set_status(session, op, row, source, status)
    return empty()


async def _for_change(session: Session, op: Op, request: Request) -> Any:
    await catalogue.lock(session, request.path["id"])
    row, target = await catalogue.find(session, op, request.path["id"])
    op.may("modify_image", target)
    return row


async def _replace(session: Session, op: Op, before: Any, values: dict[str, Any], kept: dict[str, Any]) -> Any:
    """Check what a client makes of an image, and make it so."""
    wanted = schema.attributes(values)
    _may_change(op, before, wanted)
    await catalogue.replace(session, op, before, msgspec.structs.asdict(wanted), schema.properties(kept))
    after, _ = await catalogue.find(session, op, before.id)
    return after


async def _changes(request: Request) -> list[Change]:
    media = request.header("Content-Type").split(";")[0].strip().lower()
    if media not in {V20, V21}:
        raise _NotAPatch(f"An image is changed by {V21} or {V20}.")
    try:
        return changes_of(decode(await request.body(), Any), media)
    except BadPatch as error:
        raise BadRequest(str(error)) from error


def _now(row: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes and the properties as they are."""
    return {name: getattr(row, name) for name in schema.SETTABLE}, dict(row.properties)


def _changed(before: Any, changes: list[Change]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes and the properties after the changes, not yet checked."""
    values, kept = _now(before)
    for change in changes:
        schema.refuse_foreign(change.name)
        if change.name in schema.SETTABLE:
            if change.verb == "remove":
                raise Forbidden(f"Property {change.name} may not be removed.")
            values[change.name] = change.value
        elif change.verb != "add" and change.name not in kept:
            raise Conflict(f"Property {change.name[:255]} does not exist.")
        elif change.verb == "remove":
            del kept[change.name]
        else:
            kept[change.name] = change.value
    return values, kept


def _may_change(op: Op, before: Any, wanted: schema.Attributes) -> None:
    """What needs more than leave to change the image."""
    for name in _ONLY_WHILE_QUEUED:
        if getattr(wanted, name) != getattr(before, name) and before.status != "queued":
            raise Forbidden(f"Attribute '{name}' can be only replaced for a queued image.")
    if wanted.owner != before.owner:
        op.may("modify_image", catalogue.target_of(wanted.owner, wanted.visibility))
    _may_show_to_others(op, wanted, before.visibility)


def _may_show_to_others(op: Op, wanted: schema.Attributes, before: str) -> None:
    if wanted.visibility == before:
        return
    target = catalogue.target_of(wanted.owner, wanted.visibility)
    if wanted.visibility == "public":
        op.may("publicize_image", target)
    elif wanted.visibility == "community":
        op.may("communitize_image", target)
