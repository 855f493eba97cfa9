"""Regions, which may lie within one another."""

from typing import Any

from sqlalchemy import delete, select

from maldon.identity import lists, rows
from maldon.identity.models.catalog import endpoint, region
from maldon.identity.schemas.catalog import CreateRegion, UpdateRegion
from maldon.identity.schemas.fields import given, load
from maldon.identity.verbs.catalog import refuse_elsewhere
from maldon.identity.verifier import bump
from maldon.identity.views.catalog import region as view
from maldon.kernel.errors import BadRequest, Forbidden
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {"parent_region_id": region.c.parent_region_id}


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_regions")
    wanted = select(region).where(*lists.conditions(request, _FILTERS))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, region, request)
    return lists.listed(request, "regions", found, view)


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:get_region")
    async with op.db.read() as session:
        row = await rows.found(session, region, "region", request.path["region_id"])
    return json({"region": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "region", CreateRegion)
    op.may("identity:create_region")
    refuse_elsewhere(op)
    id_ = request.path.get("region_id") or wanted.id or new_hex_id()
    if wanted.id not in {None, id_}:
        raise BadRequest("The region's id differs from the one in the path.")
    values = given(wanted, "description", "parent_region_id") | {"id": id_, "extra": extra or None}
    async with op.db.begin() as session:
        await bump(op, session)
        await _parent(session, id_, wanted.parent_region_id)
        row = await rows.add(session, region, "region", values)
    return json({"region": view(row, lists.api_base(request))}, 201)


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "region", UpdateRegion)
    op.may("identity:update_region")
    refuse_elsewhere(op)
    id_ = request.path["region_id"]
    values = given(wanted, "description", "parent_region_id")
    async with op.db.begin() as session:
        await bump(op, session)
        row = await rows.found(session, region, "region", id_)
        await _parent(session, id_, values.get("parent_region_id"))
        row = await rows.change(session, region, "region", id_, values | {"extra": rows.merged(row.extra, extra)})
    return json({"region": view(row, lists.api_base(request))})


async def _parent(session: Session, id_: str, parent_id: str | None) -> None:
    """A parent that exists and does not lie within the region itself."""
    while parent_id is not None:
        if parent_id == id_:
            raise BadRequest("A region cannot lie within itself.")
        parent_id = (await rows.found(session, region, "region", parent_id)).parent_region_id


async def remove(request: Request, op: Op) -> Reply:
    """With the regions below it; none of them may have endpoints."""
    op.may("identity:delete_region")
    refuse_elsewhere(op)
    async with op.db.begin() as session:
        await bump(op, session)
        await rows.found(session, region, "region", request.path["region_id"])
        levels = [[request.path["region_id"]]]
        while levels[-1]:
            below = await session.all(select(region.c.id).where(region.c.parent_region_id.in_(levels[-1])))
            levels.append([row.id for row in below])
        ids: list[Any] = [id_ for level in levels for id_ in level]
        if await session.first(select(endpoint.c.id).where(endpoint.c.region_id.in_(ids)).limit(1)) is not None:
            raise Forbidden("Unable to delete region: it or a region below it has endpoints. Delete those first.")
        await session.run(delete(region).where(region.c.id.in_(ids)))
    return empty()
