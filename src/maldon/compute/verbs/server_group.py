"""Server groups within a transaction: found, made, joined, deleted. Members are the servers that live."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from maldon.compute.models.server import servers
from maldon.compute.models.server_group import server_group_members, server_groups
from maldon.compute.verbs.quota_set import quota_limits
from maldon.kernel.errors import NotFound, QuotaExceeded
from maldon.kernel.ids import new_id
from maldon.kernel.op import Op, Session


def target(group: Any) -> dict[str, Any]:
    """A group as the policy sees it."""
    return {"project_id": group.project_id, "user_id": group.user_id}


async def find_group(session: Session, op: Op, group_id: str, rule: str) -> Any:
    """The group, if the asker may do `rule` to it. Raises NotFound when it is none of the asker's, else Forbidden."""
    group = await session.first(select(server_groups).where(server_groups.c.id == group_id))
    if group is None or not op.can("os_compute_api:os-server-groups:show", target(group)):
        raise NotFound(f"Instance group {group_id} could not be found.", kind="InstanceGroupNotFound")
    op.may(rule, target(group))
    return group


async def create_group(session: Session, op: Op, name: str, policy: str, most: int | None) -> Any:
    """The new group's row. Raises QuotaExceeded."""
    project_id = op.actor.project_id or ""
    await session.lock(f"quota:{project_id}")
    limit = (await quota_limits(session, op, project_id))["server_groups"]
    mine = select(func.count()).select_from(server_groups).where(server_groups.c.project_id == project_id)
    if 0 <= limit <= await session.scalar(mine):
        raise QuotaExceeded(f"Quota exceeded, too many server groups: {limit} are allowed.")
    row = {"id": new_id(), "project_id": project_id, "user_id": op.actor.user_id, "created_at": op.clock.now()}
    await session.run(insert(server_groups), row | {"name": name, "policy": policy, "max_server_per_host": most})
    return await session.first(select(server_groups).where(server_groups.c.id == row["id"]))


async def delete_group(session: Session, group_id: str) -> None:
    """Its servers live on without it."""
    await session.run(delete(server_groups).where(server_groups.c.id == group_id))


async def join_group(session: Session, op: Op, group: Any, server_ids: Iterable[str]) -> None:
    """Put new servers into a group. Raises QuotaExceeded when they are too many for it."""
    ids = [*server_ids]
    await session.lock(f"group:{group.id}")
    limit = (await quota_limits(session, op, group.project_id))["server_group_members"]
    present = len((await members_of(session, [group.id])).get(group.id, ()))
    if 0 <= limit < present + len(ids):
        raise QuotaExceeded(f"Quota exceeded, too many servers in group: {limit} are allowed, {present} are in it.")
    await session.run(insert(server_group_members), [{"server_id": one, "group_id": group.id} for one in ids])


async def members_of(session: Session, group_ids: Iterable[str]) -> dict[str, list[str]]:
    """The ids of the living servers of each group, oldest first."""
    members: dict[str, list[str]] = {}
    for row in await session.all(_living(group_ids).order_by(servers.c.created_at, servers.c.id)):
        members.setdefault(row.group_id, []).append(row.id)
    return members


async def hosts_of_members(session: Session, group_id: str) -> dict[str, int]:
    """How many living servers of the group each host has."""
    hosts: dict[str, int] = {}
    for row in await session.all(_living([group_id]).where(servers.c.host.is_not(None))):
        hosts[row.host] = hosts.get(row.host, 0) + 1
    return hosts


@dataclass(frozen=True, slots=True)
class Bounds:
    """The hosts a group leaves for one more server; a soft group only prefers them."""

    among: frozenset[str] | None
    avoid: frozenset[str]
    soft: bool


async def bounds_of(session: Session, group_id: str) -> Bounds:
    """Where the group's next server may be. Holds its members where they are until the transaction ends."""
    await session.lock(f"group:{group_id}")
    group = await session.first(select(server_groups).where(server_groups.c.id == group_id))
    if group is None:
        return Bounds(None, frozenset(), soft=True)
    hosts, soft = await hosts_of_members(session, group_id), group.policy.startswith("soft-")
    if not group.policy.endswith("anti-affinity"):
        return Bounds(frozenset(hosts) or None, frozenset(), soft)
    return Bounds(None, frozenset(h for h, n in hosts.items() if n >= (group.max_server_per_host or 1)), soft)


async def settle_member(session: Session, server_id: str, host: str) -> None:
    """Say at once where a member will be, for those who come next."""
    await session.run(update(servers).where(servers.c.id == server_id).values(host=host))


_MEMBERS = select(server_group_members.c.server_id, server_group_members.c.group_id).where(
    server_group_members.c.server_id.in_(bindparam("servers", expanding=True))
)


async def groups_of(session: Session, server_ids: Iterable[str]) -> dict[str, str]:
    """The group of each server that is in one."""
    return {row.server_id: row.group_id for row in await session.all(_MEMBERS, {"servers": [*server_ids]})}


def _living(group_ids: Iterable[str]) -> Any:
    return (
        select(server_group_members.c.group_id, servers.c.id, servers.c.host)
        .join(servers, servers.c.id == server_group_members.c.server_id)
        .where(server_group_members.c.group_id.in_([*group_ids]), servers.c.deleted_at.is_(None))
    )
