"""Every router that carries something sits on a living host: those of dead hosts move, new ones get their first."""

from sqlalchemy import select

from maldon.kernel.op import Op
from maldon.network.models.port import ports
from maldon.network.verbs.carriers import ROUTER_OWNERS, wake_networks
from maldon.network.verbs.placing import choice, misplaced, move
from maldon.network.verbs.wake import wake_hosts

BATCH = 100


async def place_routers(op: Op) -> int:
    """Give the misplaced routers a living host; how many got one. Without a living host in its zones one stays."""
    async with op.db.read() as session:
        if not await misplaced(session, op):
            return 0
    placed = 0
    async with op.db.begin() as session:
        await session.lock("place-routers")
        hosts = await choice(session, op)
        for router in await misplaced(session, op):
            host = hosts.least(router.az_hints, but=router.host)
            if host is None or placed == BATCH:
                continue
            legs = select(ports.c.network_id).where(
                ports.c.device_id == router.id, ports.c.device_owner.in_(ROUTER_OWNERS)
            )
            networks = {row.network_id for row in await session.all(legs)}
            await wake_networks(session, op, networks)
            await move(session, op, router.id, host)
            hosts.load[host] += 1
            wake_hosts(session, op, [host])
            placed += 1
    return placed
