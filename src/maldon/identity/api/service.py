"""Services of the catalog."""

from sqlalchemy import select

from maldon.identity import lists, rows
from maldon.identity.models.catalog import service
from maldon.identity.schemas.catalog import CreateService, UpdateService
from maldon.identity.schemas.fields import given, load
from maldon.identity.verbs.catalog import refuse_elsewhere
from maldon.identity.verifier import bump
from maldon.identity.views.catalog import service as view
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {"type": service.c.type, "name": service.c.name}
_FIELDS = ("type", "name", "description", "enabled")


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_services")
    wanted = select(service).where(*lists.conditions(request, _FILTERS))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, service, request)
    return lists.listed(request, "services", found, view)


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:get_service")
    async with op.db.read() as session:
        row = await rows.found(session, service, "service", request.path["service_id"])
    return json({"service": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "service", CreateService)
    op.may("identity:create_service")
    refuse_elsewhere(op)
    async with op.db.begin() as session:
        await bump(op, session)
        values = given(wanted, *_FIELDS) | {"id": new_hex_id(), "extra": extra or None}
        row = await rows.add(session, service, "service", values)
    return json({"service": view(row, lists.api_base(request))}, 201)


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "service", UpdateService)
    op.may("identity:update_service")
    refuse_elsewhere(op)
    id_ = request.path["service_id"]
    async with op.db.begin() as session:
        await bump(op, session)
        row = await rows.found(session, service, "service", id_)
        values = given(wanted, *_FIELDS) | {"extra": rows.merged(row.extra, extra)}
        row = await rows.change(session, service, "service", id_, values)
    return json({"service": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    """With its endpoints."""
    op.may("identity:delete_service")
    refuse_elsewhere(op)
    async with op.db.begin() as session:
        await bump(op, session)
        await rows.remove(session, service, "service", request.path["service_id"])
    return empty()
