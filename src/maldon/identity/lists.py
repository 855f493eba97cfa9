"""Lists of this API: exact filters, `name__contains` and its kin, limit and marker, links."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select, Table, func, literal

from maldon.kernel.clock import parse_time
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Session
from maldon.store.paging import fetch
from maldon.store.schema import Time
from maldon.web.paging import next_link, page_of
from maldon.web.request import Reply, Request, json

_END = "\x01"  # no text of ours holds it, so it marks where one begins or ends
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})
_COMPARED: Mapping[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}
Columns = Mapping[str, ColumnElement[Any]]


def truthy(text: str) -> bool:
    """A query parameter that is there means yes unless it says no."""
    return text.strip().lower() not in _FALSE


def flag(request: Request, name: str) -> bool:
    """Whether a query parameter is there and does not say no."""
    text = request.param(name)
    return text is not None and truthy(text)


def conditions(request: Request, columns: Columns) -> list[ColumnElement[bool]]:
    """What the query asks of a row. Parameters that name no column are passed over."""
    found: list[ColumnElement[bool]] = []
    for key, value in request.query:
        name, _, how = key.partition("__")
        column = columns.get(name)
        if column is None:
            continue
        if isinstance(column.type, Boolean):
            found.append(column.is_(truthy(value)))
        elif isinstance(column.type, Time):
            found.append(_compared(name, column, value))
        else:
            found.append(_matches(column, how, value))
    return found


def _compared(name: str, column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
    """A moment, or how one relates to it: `lt:2030-01-01T00:00:00Z`."""
    how, _, text = value.partition(":")
    if how not in _COMPARED:
        how, text = "eq", value
    try:
        moment = parse_time(text)
    except ValueError as error:
        ways = ", ".join(_COMPARED)
        raise BadRequest(
            f"{name} wants a time as in 2030-01-31T12:00:00Z, perhaps after {ways} and a colon."
        ) from error
    return _COMPARED[how](column, moment)  # type: ignore[no-any-return]


def _matches(column: ColumnElement[Any], how: str, value: str) -> ColumnElement[bool]:
    """LIKE would mind case on one database and not on another, REPLACE minds it on all."""
    text: ColumnElement[str] = func.coalesce(column, "")
    if how.startswith("i"):
        text, value, how = func.lower(text), value.lower(), how[1:]
    match how:
        case "" | "exact" | "equals":
            return text == value if how else column == value
        case "contains":
            pattern = value
        case "startswith":
            text, pattern = literal(_END) + text, _END + value
        case "endswith":
            text, pattern = text + literal(_END), value + _END
        case _:
            raise BadRequest(f"{how[:50]!r} is no way to compare; there are contains, startswith, endswith.")
    return func.replace(text, pattern, "") != text if pattern else literal(1) == literal(1)


async def page(session: Session, statement: Select[Any], table: Table, request: Request) -> list[Any]:
    """The rows of the page asked for, all of them without a limit. Raises BadRequest for an unknown marker."""
    wanted = page_of(request, (), (), unbounded=True)
    return await fetch(
        session, statement, wanted, [(table.c.id, "asc")], BadRequest(f"There is no marker {wanted.marker!r} here.")
    )


def listed(request: Request, noun: str, rows: Sequence[Any], view: Callable[[Any, str], Any]) -> Reply:
    """A page as the API shows it."""
    base = api_base(request)
    following = None
    limit = page_of(request, (), (), unbounded=True).limit
    if rows and len(rows) == limit:
        following = next_link(request, rows[-1].id)
    return json({noun: [view(row, base) for row in rows], "links": links(request) | {"next": following}})


def links(request: Request) -> dict[str, str | None]:
    """Where this is; nothing before, nothing after."""
    query = f"?{request.query_string}" if request.query_string else ""
    return {"self": f"{request.base}{request.url}{query}", "previous": None, "next": None}


def api_base(request: Request) -> str:
    """The root of the API, which links begin with."""
    return f"{request.base}/v3"
