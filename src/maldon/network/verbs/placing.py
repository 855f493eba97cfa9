"""Where routers are: one host each, chosen when the router first has something to carry."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select, update

from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op, Session
from maldon.network.models.port import ports
from maldon.network.models.router import routers
from maldon.network.verbs.carriers import ROUTER_OWNERS, wake_networks
from maldon.network.verbs.wake import wake_hosts
from maldon.placement import service as placement


@dataclass(frozen=True, slots=True)
class Choice:
    """The living hosts with their zones, and how many routers each host has."""

    zones: dict[str, str]
    load: Counter[str]

    def least(self, hints: Sequence[str], but: str | None = None) -> str | None:
        """The host with the fewest routers in the zones hinted at, none being any; never `but`."""
        fit = [name for name, zone in self.zones.items() if name != but and (not hints or zone in hints)]
        return min(fit, key=lambda name: (self.load[name], name), default=None)


async def choice(session: Session, op: Op) -> Choice:
    zones = {h.name: h.availability_zone for h in await placement.hosts(session, op) if h.alive and h.enabled}
    counted = select(routers.c.host, func.count()).where(routers.c.host.is_not(None)).group_by(routers.c.host)
    return Choice(zones, Counter({host: int(n) for host, n in await session.all(counted)}))


async def check_zones(session: Session, op: Op, hints: Sequence[str]) -> None:
    """Raises NotFound for a zone in which there is no host."""
    known = {host.availability_zone for host in await placement.hosts(session, op)} if hints else set()
    for zone in hints:
        if zone not in known:
            raise NotFound(f"AvailabilityZone {zone} could not be found.", kind="AvailabilityZoneNotFound")


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
        host = await move(session, op, router.id, (await choice(session, op)).least(router.az_hints))
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
        select(routers.c.id, routers.c.host, routers.c.az_hints)
        .where(routers.c.id.in_(needed), or_(routers.c.host.is_(None), routers.c.host.not_in(alive)))
        .order_by(routers.c.id)
    )
