"""Servers: list, create, show, change, delete."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace
from sqlalchemy import ColumnElement

from maldon.compute.models.server import servers
from maldon.compute.schemas import server as schemas
from maldon.compute.verbs import listing
from maldon.compute.verbs.action import delete_server
from maldon.compute.verbs.birth import create_servers
from maldon.compute.verbs.guest import change_details
from maldon.compute.verbs.nics import Net, net_of, nets_of, places_of
from maldon.compute.verbs.server import change_server, find_server, see_server, seen_columns, tags_of
from maldon.compute.verbs.server_group import groups_of
from maldon.compute.views.server import Beside, Shape, brief, created
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op, Session
from maldon.placement import service as placement
from maldon.store.paging import Page, fetch
from maldon.web.paging import next_link, page_of
from maldon.web.request import Reply, Request, empty, json, part, truth

_NOBODY = Net({}, ())
MOST = 1000
_BRIEF = (servers.c.id, servers.c.name)


def shape(request: Request, op: Op) -> Shape:
    """How this request's asker sees servers."""
    return Shape(op.version, request.base, operator=is_operator(op))


def is_operator(op: Op) -> bool:
    """Whether the asker sees hosts and what else is for operators."""
    return op.can("os_compute_api:os-extended-server-attributes", {})


async def beside(session: Session, op: Op, rows: Sequence[Any]) -> Callable[[Any], Beside]:
    """Tells what belongs to each of these servers and is no column of it: three statements however many they are."""
    ids = [row.id for row in rows]
    places = await places_of(session, [row.id for row in rows if row.host])
    tags = await tags_of(session, ids) if op.version >= (2, 26) else {}
    hosts = await _host_states(session, op, rows)

    def of(server: Any) -> Beside:
        net = net_of(places.get(server.id, ()))
        status = hosts.get(server.host, "UNKNOWN") if server.host else ""
        return Beside(net.addresses, net.groups, tags.get(server.id, ()), status)

    return of


async def _beside_one(session: Session, op: Op, server: Any) -> Beside:
    """What belongs to a server that is shown alone."""
    there = (await beside(session, op, [server]))(server)
    if op.version < (2, 71):
        return there
    return replace(there, server_groups=[*(await groups_of(session, [server.id])).values()])


async def _host_states(session: Session, op: Op, rows: Sequence[Any]) -> dict[str, str]:
    """UP, DOWN or MAINTENANCE by host, for those who may see it."""
    if op.version < (2, 16) or not op.can("os_compute_api:servers:show:host_status", {}):
        return {}
    there = {row.host for row in rows if row.host}
    known = await placement.host_states(session, op, there) if there else {}
    return {name: ("UP" if on else "MAINTENANCE") if alive else "DOWN" for name, (on, alive) in known.items()}


async def index(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        rows, more = await _page(session, request, op, "os_compute_api:servers:index", _BRIEF)
    return _listing(request, [brief(row, request.base) for row in rows], rows, more=more)


async def detail(request: Request, op: Op) -> Reply:
    columns, view = seen_columns(operator=is_operator(op)), shape(request, op)
    async with op.db.read() as session:
        rows, more = await _page(session, request, op, "os_compute_api:servers:detail", columns)
        there = await beside(session, op, rows)
    return _listing(request, [part(view.full(row, there(row))) for row in rows], rows, more=more)


def _listing(request: Request, shown: list[Any], rows: Sequence[Any], *, more: bool) -> Reply:
    body: dict[str, Any] = {"servers": shown}
    if more:
        body["servers_links"] = [{"rel": "next", "href": next_link(request, rows[-1].id)}]
    return json(body)


async def _page(
    session: Session, request: Request, op: Op, rule: str, columns: tuple[ColumnElement[Any], ...]
) -> tuple[list[Any], bool]:
    """One page of servers, and whether the list goes on."""
    op.may(rule)
    filters = listing.usable(request, op)
    everybody = _all_projects(request, op, rule, filters)
    project_id = None if everybody else op.actor.project_id or ""
    statement, params = listing.matching(filters, op.version, columns, project_id)
    page = page_of(
        request, (*listing.SORTABLE.values(),), (("created_at", "desc"),), most=MOST, aliases=listing.SORTABLE
    )
    page = Page(page.limit, page.marker, (*page.sort, ("id", page.sort[-1][1])), page.reverse)
    order = [(servers.c[name], direction) for name, direction in page.sort]
    by_address = "ip" in filters or "ip6" in filters
    limit = page.limit if page.limit is not None else MOST
    wider = Page(None if by_address else limit + 1, page.marker, page.sort)
    unknown = BadRequest(f"marker [{(page.marker or '')[:64]}] not found")
    rows = await fetch(session, statement, wider, order, unknown, params)
    if by_address:
        nets = await nets_of(session, [row.id for row in rows])
        rows = [row for row in rows if listing.address_matches(nets.get(row.id, _NOBODY).addresses, filters)]
    shown = rows[:limit]
    # a page that is full says so even at the end of the list, as clients expect of this API
    more = bool(shown) and (len(rows) > limit or (request.param("limit") is not None and len(shown) == limit))
    return shown, more


def _all_projects(request: Request, op: Op, rule: str, filters: Mapping[str, str]) -> bool:
    """Whether servers of all projects are wanted; a project named by an admin counts as that."""
    text = filters.get("all_tenants")
    wanted = text is not None and (not text or truth(text, "all_tenants"))
    if wanted:
        op.may(f"{rule}:get_all_tenants", {})
    if request.param("deleted") and not wanted and truth(request.param("deleted", "") or "false", "deleted"):
        return False
    return wanted


async def create(request: Request, op: Op) -> Reply:
    body = await request.load(schemas.CreateServer)
    wanted = schemas.create(body, op.version)
    op.may("os_compute_api:servers:create")
    async with op.db.begin() as session:
        born = await create_servers(session, op, wanted)
    if schemas.truthful(wanted.return_reservation_id):
        return json({"reservation_id": born.reservation_id}, 202)
    first = born.rows[0]
    location = ("Location", f"{request.base}/v2.1/servers/{first['id']}")
    return json({"server": created(first, born.groups, born.password, request.base)}, 202, (location,))


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        rule = "os_compute_api:servers:show"
        server = await see_server(session, op, request.path["id"], rule, operator=is_operator(op))
        there = await _beside_one(session, op, server)
    return json({"server": shape(request, op).one(server, there)})


async def update(request: Request, op: Op) -> Reply:
    body = (await request.load(schemas.UpdateServer)).server
    schemas.known(body, op.version)
    schemas.usual_addresses(body)
    values = {
        name: value
        for name in ("name", "disk_config", "access_ip_v4", "access_ip_v6", "description", "hostname")
        if (value := getattr(body, name)) is not UNSET
    }
    if "name" in values:
        schemas.plain_name(values["name"])
    schemas.check_hostname(body.hostname, op.version)
    async with op.db.begin() as session:
        server = await find_server(session, op, request.path["id"], "os_compute_api:servers:update")
        server = await change_server(session, op, server.id, values)
        if "hostname" in values:
            await change_details(session, op, server.id, hostname=values["hostname"])
        there = await _beside_one(session, op, server)
    return json({"server": shape(request, op).updated(server, there)})


async def delete(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        server = await find_server(session, op, request.path["id"], "os_compute_api:servers:delete")
        await delete_server(session, op, server)
    return empty()
