"""Where routers are: one host each, chosen when the router first has something to carry."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, or_, select, update

from maldon.kernel.op import Op, Session
from maldon.network.models.port import ports
from maldon.network.models.router import routers
from maldon.network.verbs.carriers import ROUTER_OWNERS, wake_networks
from maldon.network.verbs.wake import wake_hosts
from maldon.placement import service as placement


async def least_loaded(session: Session, op: Op, but: str | None = None) -> str | None:
    """The living host with the fewest routers; None when no other than `but` lives."""
    alive = [h.name for h in await placement.hosts(session, op) if h.alive and h.enabled and h.name != but]
    if not alive:
        return None
    counted = await session.all(
        select(routers.c.host, func.count()).where(routers.c.host.is_not(None)).group_by(routers.c.host)
    )
    load = {host: int(n) for host, n in counted}
    return min(alive, key=lambda name: (load.get(name, 0), name))


async def settle(session: Session, op: Op, router: Any) -> str | None:
    """After a change of the router's legs: it has a host if it needs one, and all who carry its networks look again.

    The host it has now.
    """
    touched = await session.all(
        select(ports.c.network_id)
        .where(ports.c.device_id == router.id, ports.c.device_owner.in_(ROUTER_OWNERS))
        .distinct()
    )
    host = router.host
    if host is None and touched:
        host = await move(session, op, router.id, await least_loaded(session, op))
    wake_hosts(session, op, [host] if host else [])
    await wake_networks(session, op, [row.network_id for row in touched])
    return None if host is None else str(host)


async def move(session: Session, op: Op, router_id: str, host: str | None) -> str | None:
    """Write where the router is from now on; the host."""
    await session.run(update(routers).where(routers.c.id == router_id).values(host=host, updated_at=op.clock.now()))
    return host


async def misplaced(session: Session, op: Op) -> Sequence[Any]:
    """The routers that have something to carry and no living host."""
    alive = [h.name for h in await placement.hosts(session, op) if h.alive]
    needed = select(ports.c.device_id).where(ports.c.device_owner.in_(ROUTER_OWNERS)).distinct().scalar_subquery()
    return await session.all(
        select(routers.c.id, routers.c.host)
        .where(routers.c.id.in_(needed), or_(routers.c.host.is_(None), routers.c.host.not_in(alive)))
        .order_by(routers.c.id)
        .limit(100)
    )
