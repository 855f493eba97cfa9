"""The security groups of a server with what they let in, as its view shows them, in two statements."""

from msgspec import Struct
from sqlalchemy import select

from maldon.kernel.op import Session
from maldon.network.models.port import port_groups, ports
from maldon.network.models.security_group import security_group_rules as rules
from maldon.network.models.security_group import security_groups as groups


class RuleSeen(Struct, frozen=True):
    """What may come in: from a range, or from a group known by name and project."""

    id: str
    protocol: str | None
    port_min: int | None
    port_max: int | None
    cidr: str
    group: tuple[str, str] | None


class GroupSeen(Struct, frozen=True):
    """A security group and its ingress rules."""

    id: str
    name: str
    description: str
    project_id: str
    rules: tuple[RuleSeen, ...]


async def server_groups(session: Session, server_id: str) -> list[GroupSeen]:
    """The security groups of a server's ports, by name."""
    used = (
        select(port_groups.c.group_id)
        .join(ports, ports.c.id == port_groups.c.port_id)
        .where(ports.c.device_id == server_id, ports.c.host != "")
    )
    remote = groups.alias("remote")
    let_in: dict[str, list[RuleSeen]] = {}
    for row in await session.all(
        select(rules, remote.c.name.label("remote_name"), remote.c.project_id.label("remote_project"))
        .outerjoin(remote, remote.c.id == rules.c.remote_group_id)
        .where(rules.c.security_group_id.in_(used), rules.c.direction == "ingress")
        .order_by(rules.c.created_at, rules.c.id)
    ):
        anywhere = "0.0.0.0/0" if row.ethertype == "IPv4" else "::/0"
        let_in.setdefault(row.security_group_id, []).append(
            RuleSeen(
                row.id,
                row.protocol,
                row.port_range_min,
                row.port_range_max,
                row.remote_ip_prefix or anywhere,
                (row.remote_name, row.remote_project) if row.remote_group_id else None,
            )
        )
    return [
        GroupSeen(row.id, row.name, row.description, row.project_id, tuple(let_in.get(row.id, ())))
        for row in await session.all(select(groups).where(groups.c.id.in_(used)).order_by(groups.c.name, groups.c.id))
    ]
