"""Security groups within a transaction: the default group on first use, rules without duplicates."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select

from maldon.kernel.errors import Conflict, Duplicate, InUse, NotFound, Stale
from maldon.kernel.ids import is_uuid
from maldon.kernel.op import Op, Session
from maldon.network.models.port import port_groups, ports
from maldon.network.models.security_group import security_group_rules as rules
from maldon.network.models.security_group import security_groups as groups
from maldon.network.plan.rules import checked, fingerprint
from maldon.network.verbs.quota import check_quota
from maldon.network.verbs.record import Record, born
from maldon.network.verbs.wake import wake_all, wake_hosts

_ANY: dict[str, Any] = {
    "protocol": None,
    "port_range_min": None,
    "port_range_max": None,
    "remote_ip_prefix": None,
    "remote_group_id": None,
}
_THERE = select(groups.c.id).where(groups.c.id.in_(bindparam("wanted", expanding=True)))
_THERE_OF_PROJECT = _THERE.where(groups.c.project_id == bindparam("project"))
_DEFAULT = select(groups.c.id).where(groups.c.default_of == bindparam("project"))


async def default_group(session: Session, op: Op, project_id: str) -> str:
    """The id of the project's default group, which is made on first use: its members hear each other."""
    found = await session.scalar(_DEFAULT, {"project": project_id})
    if found is not None:
        return str(found)
    given = {"name": "default", "description": "Default security group"}
    group = Record({**born(op, given, project_id), "default_of": project_id, "stateful": True})
    try:
        await session.run(insert(groups), group)
    except Duplicate as error:
        raise Stale("The default security group is being made; please try again.") from error
    sent = [{**_ANY, "direction": "egress", "ethertype": e} for e in ("IPv4", "IPv6")]
    heard = [{**_ANY, "direction": "ingress", "ethertype": e, "remote_group_id": group.id} for e in ("IPv4", "IPv6")]
    await _write(session, op, group, [*sent, *heard])
    return str(group.id)


async def create_group(session: Session, op: Op, given: dict[str, Any], project_id: str) -> tuple[Record, list[Record]]:
    """A new group, whose ports may send anything, and its rules."""
    await default_group(session, op, project_id)
    if given["name"] == "default":
        raise Conflict("Default security group already exists.", kind="SecurityGroupDefaultAlreadyExists")
    await check_quota(session, op, project_id, "security_group")
    group = Record({**born(op, given, project_id), "default_of": None, "stateful": given["stateful"]})
    await session.run(insert(groups), group)
    sent = [{**_ANY, "direction": "egress", "ethertype": e} for e in ("IPv4", "IPv6")]
    return group, await _write(session, op, group, sent)


async def _write(session: Session, op: Op, group: Any, wanted: Sequence[dict[str, Any]]) -> list[Record]:
    rows = [
        Record(
            {
                **born(op, one, group.project_id),
                **{k: one[k] for k in ("direction", "ethertype", *_ANY)},
                "security_group_id": group.id,
                "fingerprint": fingerprint(one),
            }
        )
        for one in wanted
    ]
    await session.run(insert(rules), rows)
    return rows


async def create_rules(session: Session, op: Op, group: Any, wanted: Sequence[dict[str, Any]]) -> list[Record]:
    """Further rules of a group. Raises BadRequest, NotFound for the remote group, Conflict for one that exists."""
    made = [checked(one) for one in wanted]
    await check_quota(session, op, group.project_id, "security_group_rule", len(made))
    remote = {one["remote_group_id"] for one in made if one["remote_group_id"]} - {group.id}
    await check_groups(session, op, remote, group.project_id)
    taken = set()
    known = {fingerprint(one) for one in made}
    for row in await session.all(
        select(rules.c.id, rules.c.fingerprint).where(
            rules.c.security_group_id == group.id, rules.c.fingerprint.in_(known)
        )
    ):
        taken.add(row.id)
    if taken or len(known) < len(made):
        raise Conflict(
            f"Security group rule already exists. Rule id is {', '.join(sorted(taken)) or 'in the same request'}.",
            kind="SecurityGroupRuleExists",
        )
    try:
        rows = await _write(session, op, group, made)
    except Duplicate as error:
        raise Stale("The security group is being changed; please try again.") from error
    await wake_group(session, op, [group.id])
    return rows


async def check_groups(session: Session, op: Op, ids: Iterable[str], project_id: str) -> None:
    """Raises NotFound unless every id is a group of this project (or the asker sees all)."""
    wanted = set(ids)
    if not wanted:
        return
    statement = _THERE if op.actor.is_admin else _THERE_OF_PROJECT
    found = {row.id for row in await session.all(statement, {"wanted": [*wanted], "project": project_id})}
    for missing in sorted(wanted - found):
        raise NotFound(f"Security group {missing} does not exist.", kind="SecurityGroupNotFound")


async def groups_for(session: Session, op: Op, names_or_ids: Sequence[str]) -> list[str]:
    """The asker's groups by name or id, each once; the default group when none is named.

    Raises NotFound, and Conflict when a name fits several.
    """
    project_id = op.actor.project_id or ""
    default = await default_group(session, op, project_id)
    if not names_or_ids:
        return [default]
    wanted = list(dict.fromkeys(names_or_ids))
    rows = await session.all(
        select(groups.c.id, groups.c.name).where(
            groups.c.project_id == project_id, or_(groups.c.id.in_(wanted), groups.c.name.in_(wanted))
        )
    )
    chosen: dict[str, None] = {}
    for word in wanted:
        fits = [r.id for r in rows if r.id == word] if is_uuid(word) else []
        fits = fits or [r.id for r in rows if r.name == word]
        if not fits:
            raise NotFound(f"Security group {word} not found.", kind="SecurityGroupNotFound")
        if len(fits) > 1:
            raise Conflict(f"Multiple security groups found matching '{word}'. Use an ID to be more specific.")
        chosen[fits[0]] = None
    return list(chosen)


async def delete_group(session: Session, op: Op, group: Any) -> None:
    """Take a group away, with its rules and those that name it. Raises Conflict for one in use or the default one."""
    if group.default_of is not None and group.project_id == op.actor.project_id and not op.actor.is_admin:
        raise Conflict(
            "Insufficient rights for removing default security group.", kind="SecurityGroupCannotRemoveDefault"
        )
    if await session.first(select(port_groups.c.port_id).where(port_groups.c.group_id == group.id).limit(1)):
        raise InUse(f"Security Group {group.id} in use.", kind="SecurityGroupInUse")
    await wake_group(session, op, [group.id])
    await session.run(
        delete(rules).where(or_(rules.c.security_group_id == group.id, rules.c.remote_group_id == group.id))
    )
    await session.run(delete(groups).where(groups.c.id == group.id))


async def wake_group(session: Session, op: Op, ids: Iterable[str]) -> None:
    """Wake the hosts whose ports are in these groups, or in groups whose rules name them."""
    wanted = sorted(ids)
    if not wanted:
        return
    naming = select(rules.c.security_group_id).where(rules.c.remote_group_id.in_(wanted))
    hosts = await session.all(
        select(ports.c.host)
        .join(port_groups, port_groups.c.port_id == ports.c.id)
        .where(ports.c.host != "", or_(port_groups.c.group_id.in_(wanted), port_groups.c.group_id.in_(naming)))
        .distinct()
    )
    if len(hosts) > 50:
        wake_all(session, op)
    else:
        wake_hosts(session, op, [row.host for row in hosts])
