"""The books compared with themselves: every finding is a leak or a server that is stuck; none is ever expected."""

from sqlalchemy import select

from maldon.compute.models.server import guests, servers
from maldon.compute.plan.states import State
from maldon.compute.verbs.server import LIVE_ROW, stuck
from maldon.kernel.op import Session
from maldon.network import service as network
from maldon.placement import service as placement


async def audit(session: Session) -> list[str]:
    """A sentence for every claim, port or guest without a server, and for every stuck server."""
    rows = await session.all(select(servers.c.id, servers.c.state, servers.c.host).where(LIVE_ROW))
    alive, placed = {row.id for row in rows}, {row.id for row in rows if row.state != State.ERROR and row.host}
    claimed = {row.consumer for row in await placement.claims_of(session)}
    wired = await network.servers_with_ports(session)
    wanted = {row.id for row in await session.all(select(guests.c.id).where(guests.c.wanted.is_(True)))}
    findings = [f"server {server} says something is being done to it and nothing is" for server in await stuck(session)]
    for what, owners in (("claim", claimed), ("port", wired), ("guest", wanted)):
        findings += [f"{what} of server {server} outlived it" for server in sorted(owners - alive)]
    return findings + [f"server {server} has no claim on its host" for server in sorted(placed - claimed)]
