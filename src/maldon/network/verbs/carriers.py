"""Which hosts carry a network: those with a port of it, and those of the routers that touch it."""

from collections.abc import Collection

from sqlalchemy import select, union

from maldon.kernel.op import Op, Session
from maldon.network.models.port import ports
from maldon.network.models.router import routers
from maldon.network.verbs.wake import wake_all, wake_hosts

ROUTER_OWNERS = ("network:router_interface", "network:router_gateway")
MANY = 50  # hosts from which on one topic for all is cheaper


async def carriers(session: Session, network_ids: Collection[str]) -> dict[str, set[str]]:
    """Host names by network."""
    bound = select(ports.c.network_id, ports.c.host).where(ports.c.network_id.in_(network_ids), ports.c.host != "")
    routed = (
        select(ports.c.network_id, routers.c.host)
        .join(routers, routers.c.id == ports.c.device_id)
        .where(
            ports.c.network_id.in_(network_ids),
            ports.c.device_owner.in_(ROUTER_OWNERS),
            routers.c.host.is_not(None),
        )
    )
    found: dict[str, set[str]] = {}
    for network_id, host in await session.all(union(bound, routed)):
        found.setdefault(network_id, set()).add(host)
    return found


async def wake_networks(session: Session, op: Op, network_ids: Collection[str]) -> None:
    """Wake the hosts that carry these networks."""
    hosts = set().union(*(await carriers(session, network_ids)).values()) if network_ids else set()
    if len(hosts) > MANY:
        wake_all(session, op)
    else:
        wake_hosts(session, op, hosts)
