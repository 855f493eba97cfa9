"""Roles: names that rules ask for. One of a domain can be given there only, and counts by what it implies."""

from typing import Any

from sqlalchemy import select

from maldon.identity import lists, revocations, rows, tree
from maldon.identity.models.role import role
from maldon.identity.schemas.fields import given, load, options
from maldon.identity.schemas.role import CreateRole, UpdateRole
from maldon.identity.verifier import bump
from maldon.identity.views.role import show as view
from maldon.kernel.errors import BadRequest
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {"name": role.c.name}


async def index(request: Request, op: Op) -> Reply:
    domain_id = request.param("domain_id") or ""
    _ask(op, "identity:list_roles", "identity:list_domain_roles", domain_id)
    wanted = select(role).where(role.c.domain_id == domain_id, *lists.conditions(request, _FILTERS))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, role, request)
    return lists.listed(request, "roles", found, view)


def _ask(op: Op, rule: str, domain_rule: str, domain_id: str) -> None:
    """A role of a domain has a rule of its own; then what the route's says does not count."""
    if domain_id:
        op.can(rule)
        op.may(domain_rule, {"target.role.domain_id": domain_id})
    else:
        op.may(rule)


def _may(op: Op, verb: str, domain_id: str) -> None:
    _ask(op, f"identity:{verb}_role", f"identity:{verb}_domain_role", domain_id)


async def guarded(session: Session, op: Op, request: Request, verb: str) -> Any:
    """The role of the path, if its rule allows."""
    row = await rows.by_id(session, role, request.path["role_id"])
    _may(op, verb, row.domain_id if row is not None else "")
    return row if row is not None else await rows.found(session, role, "role", request.path["role_id"])


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        row = await guarded(session, op, request, "get")
    return json({"role": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "role", CreateRole)
    _may(op, "create", wanted.domain_id or "")
    values = new_role(wanted.name, wanted.domain_id or "") | {
        **given(wanted, "description"),
        "options": options(wanted.options),
        "extra": extra or None,
    }
    async with op.db.begin() as session:
        await bump(op, session)
        if wanted.domain_id is not None:
            await tree.domain(session, wanted.domain_id)
        row = await rows.add(session, role, "role", values)
    return json({"role": view(row, lists.api_base(request))}, 201)


def new_role(name: str, domain_id: str = "") -> dict[str, Any]:
    """A role's row."""
    return {"id": new_hex_id(), "name": name, "domain_id": domain_id}


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "role", UpdateRole)
    async with op.db.begin() as session:
        await bump(op, session)
        old = await guarded(session, op, request, "update")
        if (given(wanted, "domain_id").get("domain_id", old.domain_id) or "") != old.domain_id:
            raise BadRequest("domain_id cannot be changed.")
        opts = options(wanted.options, old.options)
        rows.refuse_immutable("role", old, unset=not (opts or {}).get("immutable"))
        values = given(wanted, "name", "description")
        values |= {"options": opts, "extra": rows.merged(old.extra, extra)}
        row = await rows.change(session, role, "role", old.id, values)
    return json({"role": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    """With every assignment of it and every implication."""
    async with op.db.begin() as session:
        await bump(op, session)
        row = await guarded(session, op, request, "delete")
        rows.refuse_immutable("role", row)
        await rows.remove(session, role, "role", row.id)
        await revocations.note(op, session, {"role_id": row.id})
    return empty()
