"""How routers and floating IPs look, and who sees which."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from maldon.kernel.op import Op, Session
from maldon.network.collection import ASKER, Below, Collection
from maldon.network.models.port import ports
from maldon.network.models.router import floating_ips, routers
from maldon.network.views.port import FIXED_IPS
from maldon.network.views.standard import owned, standard
from maldon.placement import service as placement

_NETWORKS = Below(select(ports.c.id, ports.c.network_id), ports.c.id)


def router(row: Any, gateway_network: str | None, fixed: Iterable[Any], zone: str | None) -> dict[str, Any]:
    gateway = None
    if gateway_network is not None:
        gateway = {
            "network_id": gateway_network,
            "enable_snat": row.enable_snat,
            "external_fixed_ips": [{"subnet_id": f.subnet_id, "ip_address": f.ip_address} for f in fixed],
        }
    return {
        **standard(row),
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "external_gateway_info": gateway,
        "routes": row.routes,
        "availability_zone_hints": row.az_hints,
        "availability_zones": [zone] if zone else [],
        "flavor_id": None,
    }


async def shape(session: Session, op: Op, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows with their ways out and the zones they are in."""
    ids = [row.gateway_port_id for row in rows if row.gateway_port_id is not None]
    networks = await _NETWORKS.of(session, ids)
    fixed = await FIXED_IPS.of(session, ids)
    placed = any(row.host for row in rows)
    zones = {host.name: host.availability_zone for host in await placement.hosts(session, op)} if placed else {}
    return [
        router(
            row,
            networks[row.gateway_port_id][0].network_id if row.gateway_port_id in networks else None,
            fixed.get(row.gateway_port_id, ()),
            zones.get(row.host),
        )
        for row in rows
    ]


ROUTERS = Collection("router", "routers", "Router", routers, routers.c.project_id == ASKER, shape)


def floating(row: Any) -> dict[str, Any]:
    return {
        **owned(row),
        "floating_network_id": row.floating_network_id,
        "floating_ip_address": row.floating_ip_address,
        "port_id": row.port_id,
        "fixed_ip_address": row.fixed_ip_address,
        "router_id": row.router_id,
        "status": row.status,
    }


async def floating_shape(_session: Session, _op: Op, rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [floating(row) for row in rows]


FLOATING_IPS = Collection(
    "floatingip", "floatingips", "FloatingIP", floating_ips, floating_ips.c.project_id == ASKER, floating_shape
)
