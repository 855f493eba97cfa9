"""Registered limits: how much of a service's resource everybody may have, in one region or in all."""

from typing import Any

from sqlalchemy import select

from maldon.identity import limit_tree, lists, rows
from maldon.identity.models.catalog import region, service
from maldon.identity.models.limit import limit, registered_limit
from maldon.identity.schemas.fields import given
from maldon.identity.schemas.limit import ChangeRegisteredLimit, CreateRegisteredLimits
from maldon.identity.views.limit import show_registered as view
from maldon.kernel.errors import BadRequest, Duplicate, Forbidden, NotFound
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_NOUN = "registered_limit"
_NAMES = ("service_id", "region_id", "resource_name")
_FILTERS = {name: registered_limit.c[name] for name in _NAMES}
_FIELDS = (*_NAMES, "default_limit", "description")


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_registered_limits")
    wanted = select(registered_limit).where(*lists.conditions(request, _FILTERS))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, registered_limit, request)
    return lists.listed(request, "registered_limits", found, view)


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:get_registered_limit")
    async with op.db.read() as session:
        row = await rows.found(session, registered_limit, _NOUN, request.path["registered_limit_id"])
    return json({_NOUN: view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted = await request.load(CreateRegisteredLimits)
    op.may("identity:create_registered_limits")
    made = []
    async with op.db.begin() as session:
        for one in wanted.registered_limits:
            values = await _checked(session, given(one, *_FIELDS))
            made.append(await _stored(rows.add(session, registered_limit, _NOUN, {"id": new_hex_id(), **values})))
    base = lists.api_base(request)
    return json({"registered_limits": [view(row, base) for row in made]}, 201)


async def _checked(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    """The values, if their service and region exist. Raises BadRequest."""
    try:
        if "service_id" in values:
            await rows.found(session, service, "service", values["service_id"])
        if values.get("region_id") is not None:
            await rows.found(session, region, "region", values["region_id"])
    except NotFound as error:
        raise BadRequest(error.public) from error
    return values if "region_id" not in values else values | {"region_scope": values["region_id"] or ""}


async def _stored(stored: Any) -> Any:
    """The row. Raises Duplicate in this noun's words."""
    try:
        return await stored
    except Duplicate as error:
        what = "That resource of the service is registered in the region already."
        raise Duplicate(what, internal=error.internal) from error


async def update(request: Request, op: Op) -> Reply:
    wanted = (await request.load(ChangeRegisteredLimit)).registered_limit
    op.may("identity:update_registered_limit")
    id_, values = request.path["registered_limit_id"], given(wanted, *_FIELDS)
    async with op.db.begin() as session:
        await session.lock("identity.limits")
        old = await rows.found(session, registered_limit, _NOUN, id_)
        if any(values.get(name, getattr(old, name)) != getattr(old, name) for name in _NAMES):
            await _refuse_used(session, id_)
        values = await _checked(session, values)
        row = await _stored(rows.change(session, registered_limit, _NOUN, id_, values))
        await limit_tree.check(op, session, id_)
    return json({_NOUN: view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    op.may("identity:delete_registered_limit")
    id_ = request.path["registered_limit_id"]
    async with op.db.begin() as session:
        await session.lock("identity.limits")
        await _refuse_used(session, id_)
        await rows.remove(session, registered_limit, _NOUN, id_)
    return empty()


async def _refuse_used(session: Session, id_: str) -> None:
    chosen = select(limit.c.id).where(limit.c.registered_limit_id == id_).limit(1)
    if await session.first(chosen) is not None:
        raise Forbidden(
            f"Unable to update or delete registered limit {id_} because there are project limits associated with it."
        )
