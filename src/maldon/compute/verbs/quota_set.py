"""Quotas within a transaction: the limits in force, and what is counted against them.

A limit is a user's own, else the project's, else the class "default", else the settings'. -1 is no limit. What is used
is counted from the rows there are, never kept.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, insert, select

from maldon.compute.models.keypair import keypairs
from maldon.compute.models.quota_set import quotas
from maldon.compute.models.server import servers
from maldon.compute.models.server_group import server_groups
from maldon.compute.settings import QuotaSettings
from maldon.kernel.op import Op, Session

RESOURCES = tuple(QuotaSettings.__dataclass_fields__)
DEFAULT_CLASS = "default"
_SETTINGS = QuotaSettings()


_KINDS = ("class", "project", "user")

# Made once, with their values left open: making one takes longer than answering it.
_IN_FORCE = select(quotas.c.kind, quotas.c.resource, quotas.c.limit).where(
    and_(quotas.c.kind == "class", quotas.c.owner == DEFAULT_CLASS)
    | and_(quotas.c.kind == "project", quotas.c.owner == bindparam("project_id"))
    | and_(
        quotas.c.kind == "user",
        quotas.c.owner == bindparam("project_id"),
        quotas.c.user_id == bindparam("user_id"),
    )
)
_LIVE = and_(servers.c.project_id == bindparam("project_id"), servers.c.deleted_at.is_(None))
_GROUPS = server_groups.c.project_id == bindparam("project_id")
_KEYS = select(func.count()).select_from(keypairs).where(keypairs.c.user_id == bindparam("user_id"))


def _counts(live: Any, groups: Any) -> dict[str, Any]:
    """What is counted of each resource."""
    return {
        "instances": select(func.count()).select_from(servers).where(live),
        "cores": select(func.coalesce(func.sum(servers.c.vcpus), 0)).where(live),
        "ram": select(func.coalesce(func.sum(servers.c.memory_mb), 0)).where(live),
        "server_groups": select(func.count()).select_from(server_groups).where(groups),
        "key_pairs": _KEYS,
    }


_COUNTED = tuple(_counts(_LIVE, _GROUPS))
_USED, _USED_BY_USER = (
    select(*(one.scalar_subquery() for one in _counts(live, groups).values()))
    for live, groups in (
        (_LIVE, _GROUPS),
        (
            _LIVE & (servers.c.user_id == bindparam("user_id")),
            _GROUPS & (server_groups.c.user_id == bindparam("user_id")),
        ),
    )
)


def _settings(op: Op) -> dict[str, int]:
    settings = op.kit.get(QuotaSettings, _SETTINGS)
    return {name: getattr(settings, name) for name in RESOURCES}


async def quota_limits(session: Session, op: Op, project_id: str, user_id: str = "") -> Mapping[str, int]:
    """Every limit of a project, or of a user in it, by name. One statement."""
    rows = await session.all(_IN_FORCE, {"project_id": project_id, "user_id": user_id})
    limits = _settings(op)
    for kind in _KINDS:
        limits |= {row.resource: row.limit for row in rows if row.kind == kind}
    return limits


async def class_limits(session: Session, op: Op, name: str) -> Mapping[str, int]:
    """The limits of a class; those of an unknown one are the settings'."""
    mine = select(quotas.c.resource, quotas.c.limit).where(quotas.c.kind == "class", quotas.c.owner == name)
    return _settings(op) | {row.resource: row.limit for row in await session.all(mine)}


async def set_limits(session: Session, kind: str, owner: str, user_id: str, limits: Mapping[str, int]) -> None:
    """Write limits over those there are."""
    if not limits:
        return
    await session.lock(f"quota:{owner}")
    mine = _owned(kind, owner, user_id)
    await session.run(delete(quotas).where(mine, quotas.c.resource.in_([*limits])))
    row = {"kind": kind, "owner": owner, "user_id": user_id}
    await session.run(insert(quotas), [row | {"resource": name, "limit": limit} for name, limit in limits.items()])


async def drop_limits(session: Session, project_id: str, user_id: str = "") -> None:
    """A project, or a user in it, has what everybody has. A project's users lose their own limits too."""
    mine = and_(quotas.c.kind != "class", quotas.c.owner == project_id)
    await session.run(delete(quotas).where(_owned("user", project_id, user_id) if user_id else mine))


def _owned(kind: str, owner: str, user_id: str) -> Any:
    return and_(quotas.c.kind == kind, quotas.c.owner == owner, quotas.c.user_id == user_id)


async def quota_used(session: Session, project_id: str, user_id: str = "") -> Mapping[str, int]:
    """What is used of every limit, counted. One statement; what belongs to one server or key only is shown as 0."""
    statement = _USED_BY_USER if user_id else _USED
    row = await session.first(statement, {"project_id": project_id, "user_id": user_id})
    return dict.fromkeys(RESOURCES, 0) | dict(zip(_COUNTED, map(int, row), strict=True))
