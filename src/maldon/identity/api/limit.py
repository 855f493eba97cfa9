"""Limits: what a project or domain may have of a resource instead of the registered limit."""

from typing import Any

from sqlalchemy import ColumnElement, case, delete, or_, select

from maldon.identity import limit_tree, lists, rows
from maldon.identity.models.limit import limit, registered_limit
from maldon.identity.models.project import project
from maldon.identity.schemas.fields import given
from maldon.identity.schemas.limit import ChangeLimit, CreateLimit, CreateLimits
from maldon.identity.settings import IdentitySettings
from maldon.identity.views.limit import show as view
from maldon.identity.views.limit import show_model
from maldon.kernel.errors import BadRequest, Duplicate, Forbidden, NotFound
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_LIMITS = (
    select(
        limit,
        registered_limit.c.service_id,
        registered_limit.c.region_id,
        registered_limit.c.resource_name,
        project.c.is_domain,
        project.c.domain_id.label("in_domain"),
    )
    .join_from(limit, registered_limit, registered_limit.c.id == limit.c.registered_limit_id)
    .join(project, project.c.id == limit.c.owner_id)
)
_FILTERS: lists.Columns = {
    "service_id": registered_limit.c.service_id,
    "region_id": registered_limit.c.region_id,
    "resource_name": registered_limit.c.resource_name,
    "project_id": case((project.c.is_domain.is_(False), limit.c.owner_id)),
    "domain_id": case((project.c.is_domain.is_(True), limit.c.owner_id)),
}


async def model(request: Request, op: Op) -> Reply:  # noqa: ARG001 - a handler
    op.may("identity:get_limit_model")
    return json(show_model(op.use(IdentitySettings).limits))


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_limits")
    wanted = _LIMITS.where(*lists.conditions(request, _FILTERS), *_visible(op))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, limit, request)
    return lists.listed(request, "limits", found, view)


def _visible(op: Op) -> list[ColumnElement[bool]]:
    """All for whoever may see any; else those of the token's project, or of its domain and the projects in that."""
    if op.can("identity:get_limit", {}):
        return []
    actor = op.actor
    if actor.domain_id is not None:
        return [or_(limit.c.owner_id == actor.domain_id, project.c.domain_id == actor.domain_id)]
    return [limit.c.owner_id == (actor.project_id or "")]


async def _found(session: Session, id_: str) -> Any:
    return await session.first(_LIMITS.where(limit.c.id == id_))


async def guarded(session: Session, op: Op, request: Request, rule: str) -> Any:
    """The limit of the path, if the rule allows; who may not see it learns nothing of it."""
    row = await _found(session, request.path["limit_id"])
    op.may(rule, {} if row is None else _target(row))
    if row is None:
        raise NotFound(f"Could not find limit: {request.path['limit_id']}.")
    return row


def _target(row: Any) -> dict[str, Any]:
    if row.is_domain:
        return {"target.limit.domain_id": row.owner_id}
    return {"target.limit.project_id": row.owner_id, "target.limit.project.domain_id": row.in_domain}


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:get_limit")
    return json({"limit": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted = await request.load(CreateLimits)
    op.may("identity:create_limits")
    async with op.db.begin() as session:
        await session.lock("identity.limits")
        made = [await _create(op, session, one) for one in wanted.limits]
    base = lists.api_base(request)
    return json({"limits": [view(row, base) for row in made]}, 201)


async def _create(op: Op, session: Session, wanted: CreateLimit) -> Any:
    owner_id = await _owner(session, wanted)
    chosen = select(registered_limit.c.id).where(
        registered_limit.c.service_id == wanted.service_id,
        registered_limit.c.region_scope == (wanted.region_id or ""),
        registered_limit.c.resource_name == wanted.resource_name,
    )
    registered = await session.scalar(chosen)
    if registered is None:
        raise Forbidden("Unable to create a limit that has no corresponding registered limit.")
    values = {
        "id": new_hex_id(),
        "registered_limit_id": registered,
        "owner_id": owner_id,
        **given(wanted, "resource_limit", "description"),
    }
    try:
        await rows.add(session, limit, "limit", values)
    except Duplicate as error:
        what = f"{owner_id} has a limit of that resource already: change it instead."
        raise Duplicate(what, internal=error.internal) from error
    await limit_tree.check(op, session, registered)
    return await _found(session, values["id"])


async def _owner(session: Session, wanted: CreateLimit) -> str:
    """The id of the project or domain. Raises BadRequest."""
    owner_id, is_domain = wanted.project_id or wanted.domain_id, wanted.project_id is None
    if owner_id is None or (wanted.project_id and wanted.domain_id):
        raise BadRequest("A limit has exactly one of project_id and domain_id.")
    row = await session.first(select(project.c.is_domain).where(project.c.id == owner_id))
    if row is None or row.is_domain != is_domain:
        raise BadRequest(f"Could not find {'domain' if is_domain else 'project'}: {owner_id}.")
    return owner_id


async def update(request: Request, op: Op) -> Reply:
    wanted = (await request.load(ChangeLimit)).limit
    async with op.db.begin() as session:
        await session.lock("identity.limits")
        old = await guarded(session, op, request, "identity:update_limit")
        await rows.change(session, limit, "limit", old.id, given(wanted, "resource_limit", "description"))
        await limit_tree.check(op, session, old.registered_limit_id)
        row = await _found(session, old.id)
    return json({"limit": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        await session.lock("identity.limits")
        row = await guarded(session, op, request, "identity:delete_limit")
        await session.run(delete(limit).where(limit.c.id == row.id))
    return empty()
