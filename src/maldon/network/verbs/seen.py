"""The ports of servers as their views show them, in four statements however many servers there are."""

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import select

from maldon.kernel.op import Session
from maldon.network.collection import Below
from maldon.network.models.network import networks
from maldon.network.models.port import port_groups, ports
from maldon.network.models.router import floating_ips
from maldon.network.models.security_group import security_groups
from maldon.network.views.port import FIXED_IPS


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


_PORTS = Below(
    select(ports.c.id, ports.c.device_id, ports.c.network_id, ports.c.mac_address, ports.c.status, networks.c.name)
    .join(networks, networks.c.id == ports.c.network_id)
    .where(ports.c.host != "")  # anybody may write any device into an unbound port
    .order_by(ports.c.position, ports.c.created_at, ports.c.id),
    ports.c.device_id,
)
FLOATING = Below(
    select(floating_ips.c.port_id, floating_ips.c.fixed_ip_address, floating_ips.c.floating_ip_address),
    floating_ips.c.port_id,
)
NAMED_GROUPS = Below(
    select(port_groups.c.port_id, security_groups.c.id, security_groups.c.name).join(
        security_groups, security_groups.c.id == port_groups.c.group_id
    ),
    port_groups.c.port_id,
)


async def server_nets(session: Session, server_ids: Sequence[str]) -> dict[str, list[PortSeen]]:
    """The ports of these servers, by server, in the order of their places."""
    by_server = await _PORTS.of(session, server_ids)
    ids = [port.id for some in by_server.values() for port in some]
    if not ids:
        return {}
    fixed, floating = await FIXED_IPS.of(session, ids), await FLOATING.of(session, ids)
    groups = await NAMED_GROUPS.of(session, ids)
    seen: dict[str, list[PortSeen]] = defaultdict(list)
    for server_id, some in by_server.items():
        for port in some:
            leads = {f.fixed_ip_address: f.floating_ip_address for f in floating.get(port.id, ())}
            places = fixed.get(port.id, ())
            seen[server_id].append(
                PortSeen(
                    port.id,
                    port.network_id,
                    port.name,
                    port.mac_address,
                    port.status,
                    tuple(FixedSeen(f.ip_address, f.subnet_id, leads.get(f.ip_address)) for f in places),
                    tuple((g.id, g.name) for g in groups.get(port.id, ())),
                )
            )
    return dict(seen)


async def servers_with_ports(session: Session) -> set[str]:
    """The ids of servers that ports say they belong to."""
    owned = select(ports.c.device_id).where(ports.c.device_owner.like("compute:%"), ports.c.device_id != "")
    return {row.device_id for row in await session.all(owned.distinct())}
