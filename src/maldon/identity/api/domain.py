"""Domains: the roots of the tree of projects, and where users and groups belong."""

from typing import Any

from sqlalchemy import delete, select

from maldon.identity import lists, revocations, rows, tree
from maldon.identity.models.project import project
from maldon.identity.models.role import role
from maldon.identity.schemas.fields import given, load, options
from maldon.identity.schemas.project import CreateDomain, UpdateDomain
from maldon.identity.verifier import bump
from maldon.identity.views.project import show_domain as view
from maldon.kernel.errors import Forbidden
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {"name": project.c.name, "enabled": project.c.enabled}
_FIELDS = ("name", "description", "enabled")


async def index(request: Request, op: Op) -> Reply:
    own = op.actor.domain_id
    op.may("identity:list_domains", {"target.domain.id": own})
    wanted = select(project).where(project.c.is_domain.is_(True), *lists.conditions(request, _FILTERS))
    if own is not None:
        wanted = wanted.where(project.c.id == own)
    async with op.db.read() as session:
        found = await lists.page(session, wanted, project, request)
    return lists.listed(request, "domains", found, view)


async def show(request: Request, op: Op) -> Reply:
    id_ = request.path["domain_id"]
    op.may("identity:get_domain", {"target.domain.id": id_})
    async with op.db.read() as session:
        row = await tree.domain(session, id_)
    return json({"domain": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "domain", CreateDomain)
    op.may("identity:create_domain")
    values = new_domain(wanted.explicit_domain_id or new_hex_id(), wanted.name) | {
        **given(wanted, *_FIELDS),
        "options": options(wanted.options),
        "extra": extra or None,
    }
    async with op.db.begin() as session:
        row = await rows.add(session, project, "domain", values)
    return json({"domain": view(row, lists.api_base(request))}, 201)


def new_domain(id_: str, name: str) -> dict[str, Any]:
    """A domain's row."""
    return {
        "id": id_,
        "name": name,
        "name_scope": "",
        "is_domain": True,
        "enabled": True,
        "description": "",
        "tokens_from": 0,
    }


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "domain", UpdateDomain)
    op.may("identity:update_domain", {"target.domain.id": request.path["domain_id"]})
    async with op.db.begin() as session:
        await bump(op, session)
        old = await tree.domain(session, request.path["domain_id"])
        row = await changed(session, op, old, given(wanted, *_FIELDS), options(wanted.options, old.options), extra)
    return json({"domain": view(row, lists.api_base(request))})


async def changed(
    session: Session, op: Op, old: Any, values: dict[str, Any], opts: dict[str, Any] | None, extra: dict[str, Any]
) -> Any:
    """The domain's or project's row after a change; disabling it kills the tokens it has."""
    noun = "domain" if old.is_domain else "project"
    rows.refuse_immutable(noun, old, unset=not (opts or {}).get("immutable"))
    values = values | {"options": opts, "extra": rows.merged(old.extra, extra)}
    if values.get("enabled") is False and old.enabled:
        values["tokens_from"] = op.clock.now()
    return await rows.change(session, project, noun, old.id, values)


async def remove(request: Request, op: Op) -> Reply:
    """A disabled domain, with its users, groups, projects and roles."""
    op.may("identity:delete_domain", {"target.domain.id": request.path["domain_id"]})
    async with op.db.begin() as session:
        await bump(op, session)
        row = await tree.domain(session, request.path["domain_id"])
        await remove_domain(op, session, row)
    return empty()


async def remove_domain(op: Op, session: Session, row: Any) -> None:
    """Raises Forbidden for one that is in use. Users and groups go with the row."""
    rows.refuse_immutable("domain", row)
    if row.id == tree.DEFAULT_DOMAIN:
        raise Forbidden("The default domain cannot be deleted.")
    if row.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    inside = [r.id for r in await session.all(select(project.c.id).where(project.c.domain_id == row.id))]
    await tree.forget_targets(session, [row.id, *inside])
    await tree.forget_actors(session, row.id)
    await session.run(delete(role).where(role.c.domain_id == row.id))
    await session.run(delete(project).where(project.c.domain_id == row.id))
    await session.run(delete(project).where(project.c.id == row.id))
    await revocations.note(op, session, {"domain_id": row.id}, *({"project_id": id_} for id_ in inside))
