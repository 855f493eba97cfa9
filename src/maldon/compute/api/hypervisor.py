"""Hypervisors: what hosts have, and what runs on them. Ours are one per host and known by the host's name."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from maldon.compute.api.offered import offered, only_parameters
from maldon.compute.models.server import servers
from maldon.compute.plan.host_number import BY_UUID, shown_id
from maldon.compute.views import hypervisor as views
from maldon.kernel.errors import BadRequest, NotFound, NotOffered
from maldon.kernel.ids import is_uuid
from maldon.kernel.op import Op, Session
from maldon.placement import service as placement
from maldon.placement.service import Host
from maldon.web.paging import next_link
from maldon.web.request import Reply, Request, json, truth, whole

_P = "os_compute_api:os-hypervisors:"
PAGED = (2, 33)
NUMBERS_UNTIL, PATHS_UNTIL = (2, 87), (2, 52)


async def index(request: Request, op: Op) -> Reply:
    op.may(_P + "list")
    return await _listing(request, op, views.brief)


async def detail(request: Request, op: Op) -> Reply:
    op.may(_P + "list-detail")
    return await _listing(request, op, views.full)


async def _listing(request: Request, op: Op, view: Any) -> Reply:
    only_parameters(request, op, {"limit", "marker", "hypervisor_hostname_pattern", "with_servers"})
    async with op.db.read() as session:
        found, more = _page(request, op, await placement.hosts(session, op))
        running = await _asked_servers(session, request, op, found)
    body: dict[str, Any] = {"hypervisors": [view(host, op.version, running.get(host.id)) for host in found]}
    if more:
        link = next_link(request, str(shown_id(found[-1].id, op.version)))
        body["hypervisors_links"] = [{"rel": "next", "href": link}]
    return json(body)


def _page(request: Request, op: Op, known: list[Host]) -> tuple[list[Host], bool]:
    """The hosts asked for, and whether there may be more. There are few enough to be read at once."""
    pattern = request.param("hypervisor_hostname_pattern") if op.version >= BY_UUID else None
    limit, marker = (request.param("limit"), request.param("marker")) if op.version >= PAGED else (None, None)
    if pattern is not None:
        if limit is not None or marker is not None:
            raise BadRequest("Paginating is not supported with the hypervisor_hostname_pattern query parameter.")
        return _matching(known, pattern), False
    most = min(whole(limit, "limit"), 1000) if limit is not None else 1000
    if marker is not None:
        ids = [str(shown_id(host.id, op.version)) for host in known]
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found")
        known = known[ids.index(marker) + 1 :]
    return known[:most], op.version >= PAGED and 0 < most <= len(known)


def _matching(known: list[Host], pattern: str) -> list[Host]:
    found = [host for host in known if pattern in host.name]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


async def _asked_servers(session: Session, request: Request, op: Op, hosts: Sequence[Host]) -> dict[str, list[Any]]:
    """The servers of each host, when the query asks for them."""
    if op.version < BY_UUID or not truth(request.param("with_servers", "false") or "", "with_servers"):
        return {}
    return await _servers_of(session, hosts)


async def _servers_of(session: Session, hosts: Sequence[Host]) -> dict[str, list[Any]]:
    by_host: dict[str, list[Any]] = {host.id: [] for host in hosts}
    columns = (servers.c.id, servers.c.name, servers.c.host_id)
    living = select(*columns).where(servers.c.host_id.in_([*by_host]), servers.c.deleted_at.is_(None))
    for server in await session.all(living.order_by(servers.c.name, servers.c.id)):
        by_host[server.host_id].append(server)
    return by_host


async def _one(session: Session, request: Request, op: Op) -> Host:
    """The host named in the path. Raises NotFound."""
    wanted = request.path["id"]
    if op.version >= BY_UUID and not is_uuid(wanted):
        raise BadRequest(f"Invalid uuid {wanted[:60]}")
    for host in await placement.hosts(session, op):
        if str(shown_id(host.id, op.version)) == wanted:
            return host
    raise NotFound(f"Hypervisor with ID '{wanted}' could not be found.")


async def show(request: Request, op: Op) -> Reply:
    op.may(_P + "show")
    only_parameters(request, op, {"with_servers"})
    async with op.db.read() as session:
        host = await _one(session, request, op)
        running = await _asked_servers(session, request, op, [host])
    return json({"hypervisor": views.full(host, op.version, running.get(host.id))})


async def uptime(request: Request, op: Op) -> Reply:
    op.may(_P + "uptime")
    offered(op, until=NUMBERS_UNTIL)
    async with op.db.read() as session:
        host = await _one(session, request, op)
    raise NotOffered(f"Host {host.name} does not report for how long it has been up.")


async def statistics(_request: Request, op: Op) -> Reply:
    op.may(_P + "statistics")
    offered(op, until=NUMBERS_UNTIL)
    async with op.db.read() as session:
        known = await placement.hosts(session, op)
    return json({"hypervisor_statistics": {"count": len(known)} | views.totals(known)})


async def search(request: Request, op: Op) -> Reply:
    op.may(_P + "search")
    offered(op, until=PATHS_UNTIL)
    async with op.db.read() as session:
        found = _matching(await placement.hosts(session, op), request.path["id"])
    return json({"hypervisors": [views.brief(host, op.version) for host in found]})


async def servers_on(request: Request, op: Op) -> Reply:
    op.may(_P + "servers")
    offered(op, until=PATHS_UNTIL)
    async with op.db.read() as session:
        found = _matching(await placement.hosts(session, op), request.path["id"])
        running = await _servers_of(session, found)
    return json({"hypervisors": [views.brief(host, op.version, running[host.id]) for host in found]})
