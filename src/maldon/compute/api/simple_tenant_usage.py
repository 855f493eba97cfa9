"""What projects used in a period: their servers' hours, counted from the rows of living and lately deleted servers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select

from maldon.compute.api.offered import only_parameters
from maldon.compute.models.server import servers
from maldon.compute.plan.tenant_usage import Period, ServerUsage, usage_of
from maldon.compute.views import simple_tenant_usage as views
from maldon.kernel.clock import parse_time
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.store.paging import Page, fetch
from maldon.web.paging import next_link, page_of
from maldon.web.request import Reply, Request, json

_P = "os_compute_api:os-simple-tenant-usage:"
PAGED = (2, 40)


async def index(request: Request, op: Op) -> Reply:
    op.may(_P + "list", {})
    only_parameters(request, op, {"start", "end", "detailed", "limit", "marker"})
    period, detailed = _period(request, op), request.param("detailed") == "1"
    usages, more = await _used(request, op, period, _within(period))
    by_project: dict[str, list[ServerUsage]] = {}
    for usage in usages:
        by_project.setdefault(usage.server.project_id, []).append(usage)
    shown = [views.project(owner, its, period, detailed=detailed) for owner, its in sorted(by_project.items())]
    return json({"tenant_usages": shown} | _links("tenant_usages_links", request, usages, more=more))


async def show(request: Request, op: Op) -> Reply:
    project_id = request.path["id"]
    op.may(_P + "show", {"project_id": project_id})
    only_parameters(request, op, {"start", "end", "limit", "marker"})
    period = _period(request, op)
    usages, more = await _used(request, op, period, _within(period).where(servers.c.project_id == project_id))
    shown = views.project(project_id, usages, period, detailed=True)
    return json({"tenant_usage": shown} | _links("tenant_usage_links", request, usages, more=more))


def _period(request: Request, op: Op) -> Period:
    """The period asked for; both ends are now, when they are left out. Raises BadRequest."""
    now = op.clock.now()
    start, stop = _time(request, "start", now), _time(request, "end", now)
    if start > stop:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return Period(start, stop, now)


def _time(request: Request, name: str, otherwise: int) -> int:
    text = request.param(name)
    if not text:
        return otherwise
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise BadRequest(f"Invalid datetime format for {name}: {text[:60]!r}.") from None


def _within(period: Period) -> Select[Any]:
    """Servers that lived in the period."""
    ended = func.coalesce(servers.c.terminated_at, servers.c.deleted_at)
    return select(servers).where(
        servers.c.launched_at.is_not(None),
        servers.c.launched_at <= period.stop,
        (ended.is_(None)) | (ended >= period.start),
    )


async def _used(request: Request, op: Op, period: Period, statement: Select[Any]) -> tuple[list[ServerUsage], bool]:
    """Usages, and whether there may be more."""
    page = page_of(request, [], []) if op.version >= PAGED else Page()
    columns = [(servers.c.created_at, "asc"), (servers.c.id, "asc")]
    async with op.db.read() as session:
        rows = await fetch(session, statement, page, columns, BadRequest(f"marker [{page.marker}] not found"))
    return [usage_of(row, period) for row in rows], bool(rows) and len(rows) == page.limit


def _links(name: str, request: Request, usages: Sequence[ServerUsage], *, more: bool) -> dict[str, Any]:
    return {name: [{"rel": "next", "href": next_link(request, usages[-1].server.id)}]} if more else {}
