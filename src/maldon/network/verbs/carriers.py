"""Which hosts carry a network: those with a port of it, and those of the routers that touch it."""

from collections.abc import Collection

from sqlalchemy import select

from maldon.kernel.op import Op, Session
from maldon.network.collection import Below
from maldon.network.models.port import ports
from maldon.network.models.router import routers
from maldon.network.verbs.wake import wake_all, wake_hosts

ROUTER_OWNERS = ("network:router_interface", "network:router_gateway")
MANY = 50  # hosts from which on one topic for all is cheaper


_BOUND = Below(select(ports.c.network_id, ports.c.host).where(ports.c.host != "").distinct(), ports.c.network_id)
_ROUTED = Below(
    select(ports.c.network_id, routers.c.host)
    .join(routers, routers.c.id == ports.c.device_id)
    .where(ports.c.device_owner.in_(ROUTER_OWNERS), routers.c.host.is_not(None))
    .distinct(),
    ports.c.network_id,
)


async def carriers(session: Session, network_ids: Collection[str]) -> dict[str, set[str]]:
    """Host names by network."""
    found: dict[str, set[str]] = {}
    for where in (_BOUND, _ROUTED):
        for network_id, rows in (await where.of(session, [*network_ids])).items():
            found.setdefault(network_id, set()).update(row.host for row in rows)
    return found


async def wake_networks(session: Session, op: Op, network_ids: Collection[str]) -> None:
    """Wake the hosts that carry these networks."""
    hosts = set().union(*(await carriers(session, network_ids)).values()) if network_ids else set()
    if len(hosts) > MANY:
        wake_all(session, op)
    else:
        wake_hosts(session, op, hosts)
