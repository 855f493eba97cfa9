"""What was done to a server: its operations, newest first, each with the journal lines of its steps as events."""

from typing import Any

from sqlalchemy import select

from maldon.compute.verbs.server import find_server
from maldon.compute.views.server import host_token
from maldon.kernel.clock import SECOND, micros_text, parse_time
from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.op import Op
from maldon.store.paging import Page, fetch
from maldon.web.paging import next_link
from maldon.web.request import Reply, Request, json, whole
from maldon.work.models import journal, operations

_P = "os_compute_api:os-instance-actions:"


def _view(row: Any, op: Op) -> dict[str, Any]:
    shown = {
        "action": row.kind.removeprefix("server."),
        "instance_uuid": row.subject,
        "request_id": row.request_id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "start_time": micros_text(row.created_at),
        "message": "Error" if row.fault else None,
    }
    if op.version >= (2, 58):
        shown["updated_at"] = micros_text(row.updated_at)
    return shown


def _time(request: Request, name: str) -> int | None:
    text = request.param(name)
    if text is None:
        return None
    try:
        return parse_time(text.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise BadRequest(f"Invalid input for query parameter {name}. {text[:60]!r} is no ISO 8601 time.") from None


async def index(request: Request, op: Op) -> Reply:
    statement = select(operations).where(operations.c.subject == request.path["id"])
    page = Page(sort=(("created_at", "desc"), ("request_id", "desc")))
    limit = 1000
    if op.version >= (2, 58):
        limit = min(whole(request.param("limit", "1000") or "1000", "limit"), 1000)
        page = Page(limit + 1, request.param("marker"), page.sort)
        if (since := _time(request, "changes-since")) is not None:
            statement = statement.where(operations.c.updated_at >= since)
        if op.version >= (2, 66) and (before := _time(request, "changes-before")) is not None:
            if since is not None and before < since:
                raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
            statement = statement.where(operations.c.updated_at <= before)
    columns = [(operations.c[name], direction) for name, direction in page.sort]
    async with op.db.read() as session:
        await find_server(session, op, request.path["id"], _P + "list", deleted=op.version >= (2, 21))
        unknown = BadRequest(f"marker [{(page.marker or '')[:64]}] not found")
        rows = await fetch(session, statement, page, columns, unknown)
    body: dict[str, Any] = {"instanceActions": [_view(row, op) for row in rows[:limit]]}
    if len(rows) > limit > 0:
        body["links"] = [{"rel": "next", "href": next_link(request, rows[limit - 1].request_id)}]
    return json(body)


async def show(request: Request, op: Op) -> Reply:
    where = (operations.c.subject == request.path["id"], operations.c.request_id == request.path["request_id"])
    async with op.db.read() as session:
        server = await find_server(session, op, request.path["id"], _P + "show", deleted=op.version >= (2, 21))
        row = await session.first(select(operations).where(*where).order_by(operations.c.created_at).limit(1))
        if row is None:
            raise NotFound(f"Action for request_id {request.path['request_id']} on instance {server.id} not found")
        lines = await session.all(select(journal).where(journal.c.operation_id == row.id).order_by(journal.c.id))
    shown = _view(row, op)
    if op.version >= (2, 51) or op.can(_P + "events", {}):
        shown["events"] = [_event(line, server, op) for line in lines if line.step != "accepted"]
    return json({"instanceAction": shown})


def _event(line: Any, server: Any, op: Op) -> dict[str, Any]:
    """One step as an event: steps are short, so it ends in the second in which it was written down."""
    failed = line.outcome in {"failed", "undone"}
    shown: dict[str, Any] = {
        "event": f"{line.kind}.{line.step}".replace(".", "_").replace("-", "_"),
        "start_time": micros_text(line.at - line.at % SECOND),
        "finish_time": micros_text(line.at),
        "result": "Error" if failed else "Success",
    }
    operator = op.can(_P + "events", {})
    if operator:
        shown["traceback"] = None
    if op.version >= (2, 62):
        shown["hostId"] = host_token(server.project_id, server.host)
        if op.can(_P + "events:details", {}) and server.host:
            shown["host"] = server.host
    if op.version >= (2, 84):
        shown["details"] = line.note.get("message") if failed and line.note else None
    return shown
