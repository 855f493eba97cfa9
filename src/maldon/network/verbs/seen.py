"""The ports of servers as their views show them, in one statement however many servers there are."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from msgspec import Struct
from sqlalchemy import select

from maldon.kernel.op import Session
from maldon.network.collection import Below
from maldon.network.models.network import networks
from maldon.network.models.port import fixed_ips, port_groups, ports
from maldon.network.models.router import floating_ips
from maldon.network.models.security_group import security_groups


class FixedSeen(Struct, frozen=True):
    """An address of a port, its IP version, and the floating address that leads to it."""

    address: str
    subnet_id: str
    floating: str | None = None

    @property
    def version(self) -> int:
        return 6 if ":" in self.address else 4


class PortSeen(Struct, frozen=True):
    """A server's port."""

    id: str
    network_id: str
    network_name: str
    mac: str
    status: str
    fixed: tuple[FixedSeen, ...]
    groups: tuple[tuple[str, str], ...]  # (id, name)


_LEADS = (floating_ips.c.port_id == ports.c.id) & (floating_ips.c.fixed_ip_address == fixed_ips.c.ip_address)
_PLACES = Below(
    select(
        ports.c.device_id,
        ports.c.id,
        ports.c.network_id,
        networks.c.name.label("network_name"),
        ports.c.mac_address,
        ports.c.status,
        fixed_ips.c.ip_address,
        fixed_ips.c.subnet_id,
        floating_ips.c.floating_ip_address,
        security_groups.c.id.label("group_id"),
        security_groups.c.name.label("group_name"),
    )
    .join(networks, networks.c.id == ports.c.network_id)
    .join(fixed_ips, fixed_ips.c.port_id == ports.c.id, isouter=True)
    .join(floating_ips, _LEADS, isouter=True)
    .join(port_groups, port_groups.c.port_id == ports.c.id, isouter=True)
    .join(security_groups, security_groups.c.id == port_groups.c.group_id, isouter=True)
    .where(ports.c.host != "")  # anybody may write any device into an unbound port
    .order_by(ports.c.position, ports.c.created_at, ports.c.id, fixed_ips.c.position, fixed_ips.c.ip_address),
    ports.c.device_id,
)
_NO_FIXED, _NO_GROUP = (None,) * 3, (None,) * 2
_PORT, _FIXED, _GROUP = itemgetter(1, 2, 3, 4, 5), itemgetter(6, 7, 8), itemgetter(9, 10)


async def server_places(session: Session, server_ids: Sequence[str]) -> dict[str, list[Any]]:
    """The ports of these servers as rows, by server, in the order of their places.

    There is a row for each address of a port (or none) with each of its groups (or none): `id`, `network_name`,
    `mac_address`, `ip_address`, `floating_ip_address`, `group_name` and more. Long lists of servers are made of these.
    """
    return await _PLACES.of(session, server_ids)


async def server_nets(session: Session, server_ids: Sequence[str]) -> dict[str, list[PortSeen]]:
    """The ports of these servers, by server, in the order of their places."""
    found = await server_places(session, server_ids)
    return {server_id: [_port(*port) for port in groupby(rows, _PORT)] for server_id, rows in found.items()}


def _port(words: tuple[str, str, str, str, str], rows: Iterable[Any]) -> PortSeen:
    pairs = [(_FIXED(row), _GROUP(row)) for row in rows]
    fixed, groups = dict.fromkeys(fixed for fixed, _ in pairs), dict.fromkeys(group for _, group in pairs)
    return PortSeen(
        *words,
        tuple(FixedSeen(*one) for one in fixed if one != _NO_FIXED),
        tuple(group for group in groups if group != _NO_GROUP),
    )


async def servers_with_ports(session: Session) -> set[str]:
    """The ids of servers that ports say they belong to."""
    owned = select(ports.c.device_id).where(ports.c.device_owner.like("compute:%"), ports.c.device_id != "")
    return {row.device_id for row in await session.all(owned.distinct())}
