"""Endpoints of the catalog. `region` is the older word for `region_id`, and makes the region where there is none."""

from typing import Any

from sqlalchemy import insert, select

from maldon.identity import lists, rows
from maldon.identity.models.catalog import endpoint, region, service
from maldon.identity.schemas.catalog import CreateEndpoint, UpdateEndpoint
from maldon.identity.schemas.fields import given, load
from maldon.identity.verbs.catalog import refuse_elsewhere
from maldon.identity.verifier import bump
from maldon.identity.views.catalog import endpoint as view
from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {
    "service_id": endpoint.c.service_id,
    "interface": endpoint.c.interface,
    "region_id": endpoint.c.region_id,
    "region": endpoint.c.region_id,
}
_FIELDS = ("service_id", "interface", "url", "enabled")


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_endpoints")
    wanted = select(endpoint).where(*lists.conditions(request, _FILTERS))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, endpoint, request)
    return lists.listed(request, "endpoints", found, view)


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:get_endpoint")
    async with op.db.read() as session:
        row = await rows.found(session, endpoint, "endpoint", request.path["endpoint_id"])
    return json({"endpoint": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "endpoint", CreateEndpoint)
    op.may("identity:create_endpoint")
    refuse_elsewhere(op)
    async with op.db.begin() as session:
        await bump(op, session)
        values = await _values(session, wanted) | {"id": new_hex_id(), "extra": extra or None}
        row = await rows.add(session, endpoint, "endpoint", values)
    return json({"endpoint": view(row, lists.api_base(request))}, 201)


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "endpoint", UpdateEndpoint)
    op.may("identity:update_endpoint")
    refuse_elsewhere(op)
    id_ = request.path["endpoint_id"]
    async with op.db.begin() as session:
        await bump(op, session)
        row = await rows.found(session, endpoint, "endpoint", id_)
        values = await _values(session, wanted) | {"extra": rows.merged(row.extra, extra)}
        row = await rows.change(session, endpoint, "endpoint", id_, values)
    return json({"endpoint": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    op.may("identity:delete_endpoint")
    refuse_elsewhere(op)
    async with op.db.begin() as session:
        await bump(op, session)
        await rows.remove(session, endpoint, "endpoint", request.path["endpoint_id"])
    return empty()


async def _values(session: Session, wanted: CreateEndpoint | UpdateEndpoint) -> dict[str, Any]:
    """What to store, of a service that exists and in a region that exists or is made."""
    values = given(wanted, *_FIELDS)
    if "service_id" in values:
        try:
            await rows.found(session, service, "service", values["service_id"])
        except NotFound as error:
            raise BadRequest(error.public) from error
    places = given(wanted, "region", "region_id")
    if places:
        values["region_id"] = places.get("region_id") or places.get("region")
    if values.get("region_id") is not None:
        await _region(session, values["region_id"], make="region_id" not in places)
    return values


async def _region(session: Session, id_: str, *, make: bool) -> None:
    if await session.first(select(region.c.id).where(region.c.id == id_)) is not None:
        return
    if not make:
        raise BadRequest(f"Could not find region: {id_}.")
    await session.run(insert(region).values(id=id_, description=""))
