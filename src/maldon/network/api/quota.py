"""Handlers of quotas."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct
from sqlalchemy import delete, func, insert, select

from maldon.kernel.op import Op, Session
from maldon.network.models.quota import quota_overrides as overrides
from maldon.network.schemas.body import load_one
from maldon.network.verbs.quota import COUNTED, default_limit
from maldon.web.request import Reply, Request, empty, json

Limit = Annotated[int, Meta(ge=-1, le=2**31 - 1)]
Limits: type[Struct] = defstruct(
    "Limits",
    [(name, Limit | UnsetType, UNSET) for name in COUNTED],
    forbid_unknown_fields=True,
)


def _target(request: Request) -> dict[str, str]:
    project_id = request.path["project"]
    return {"project_id": project_id, "tenant_id": project_id}


async def _in_force(session: Session, op: Op, project_id: str) -> dict[str, int]:
    rows = await session.all(select(overrides).where(overrides.c.project_id == project_id))
    limits = {name: default_limit(op, name) for name in COUNTED}
    return limits | {row.resource: row.limit for row in rows if row.resource in limits}


async def listing(_request: Request, op: Op) -> Reply:
    """The projects whose quotas differ from the defaults."""
    op.may("get_quota", {"project_id": "", "tenant_id": ""})
    async with op.db.read() as session:
        ids = await session.all(select(overrides.c.project_id).distinct().order_by(overrides.c.project_id))
        quotas = [
            {**await _in_force(session, op, row.project_id), "project_id": row.project_id, "tenant_id": row.project_id}
            for row in ids
        ]
    return json({"quotas": quotas})


async def shown(request: Request, op: Op) -> Reply:
    op.may("get_quota", _target(request))
    async with op.db.read() as session:
        return json({"quota": await _in_force(session, op, request.path["project"])})


async def defaults(request: Request, op: Op) -> Reply:
    op.may("get_quota", _target(request))
    return json({"quota": {name: default_limit(op, name) for name in COUNTED}})


async def details(request: Request, op: Op) -> Reply:
    """Limit and use of every resource; nothing is ever reserved, since use is counted."""
    op.may("get_quota", _target(request))
    project_id = request.path["project"]
    async with op.db.read() as session:
        limits = await _in_force(session, op, project_id)
        counts = [
            select(func.count()).select_from(t).where(t.c.project_id == project_id).scalar_subquery()
            for t in COUNTED.values()
        ]
        used = await session.first(select(*counts))
    items: dict[str, Any] = {
        name: {"limit": limits[name], "used": n, "reserved": 0} for name, n in zip(COUNTED, used, strict=True)
    }
    return json({"quota": items})


async def update(request: Request, op: Op) -> Reply:
    given = await load_one(request, "quota", Limits)
    op.may("update_quota", _target(request))
    project_id = request.path["project"]
    async with op.db.begin() as session:
        await session.lock(f"quota:{project_id}")
        for name, limit in given.items():
            mine = (overrides.c.project_id == project_id, overrides.c.resource == name)
            await session.run(delete(overrides).where(*mine))
            await session.run(insert(overrides), {"project_id": project_id, "resource": name, "limit": limit})
        limits = await _in_force(session, op, project_id)
    return json({"quota": limits})


async def reset(request: Request, op: Op) -> Reply:
    op.may("delete_quota", _target(request))
    async with op.db.begin() as session:
        await session.run(delete(overrides).where(overrides.c.project_id == request.path["project"]))
    return empty()
