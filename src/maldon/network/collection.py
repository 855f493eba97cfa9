"""Reading a collection of the network API: one description per noun, one way to list and to show.

Every attribute is a filter (repeated: any of the values), `fields` narrows what is told, `sort_key`, `limit` and
`marker` page by key with links. What the asker may not see does not exist: `visible` is part of every WHERE. Who may
see everything is asked of the policy itself: whoever may read what belongs to nobody.

Building an SQL statement costs more than running it, so the usual ones are built once, with parameters.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    func,
    literal,
    not_,
    or_,
    select,
    type_coerce,
)

from maldon.kernel.errors import BadRequest, NotFound, PreconditionFailed
from maldon.kernel.op import Op, Session
from maldon.store.paging import Page, fetch
from maldon.store.schema import Json
from maldon.web.paging import page_of
from maldon.web.request import Reply, Request, json, truth

NO_LIMIT = 2**31 - 1
_AT_ONCE = 5000  # values of one IN: every database takes that many
_NOBODYS = {"project_id": "", "tenant_id": "", "network:project_id": ""}
_PAGING = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir", "sort"})

Where = ColumnElement[bool]
ASKER: ColumnElement[Any] = bindparam("asker")
Filter = Callable[[Op, Sequence[str]], Where]


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """One noun: "network", "networks", its exception name, its table, who sees what, how it looks.

    `visible` says it with ASKER for the asking project.
    """

    one: str
    many: str
    kind: str
    table: Table
    visible: Where
    shape: Callable[[Session, Op, Sequence[Any]], Awaitable[list[dict[str, Any]]]]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def absent(self, item_id: str) -> NotFound:
        """The error for an item that is not there for the asker."""
        return NotFound(f"{self.kind} {item_id} could not be found.", kind=f"{self.kind}NotFound")

    def column(self, name: str) -> Column[Any] | None:
        """The column behind an attribute that can be compared and sorted by."""
        column = self.table.c.get(self.aliases.get(name, "project_id" if name == "tenant_id" else name))
        return None if column is None or isinstance(column.type, Json) else column


def sees_all(op: Op, collection: Collection) -> bool:
    """Whether the asker may read every project's items."""
    return op.can(f"get_{collection.one}", _NOBODYS)


@cache
def _rows(collection: Collection, *, every: bool) -> Select[Any]:
    """What may be seen of the collection."""
    statement = select(collection.table)
    return statement if every else statement.where(collection.visible)


@cache
def _row(collection: Collection, *, every: bool, lock: bool) -> Select[Any]:
    """One row, if it may be seen."""
    statement = select(collection.table).where(collection.table.c.id == bindparam("wanted"))
    statement = statement if every else statement.where(collection.visible)
    return statement.with_for_update() if lock else statement


async def index(collection: Collection, request: Request, op: Op) -> Reply:
    """GET of the collection."""
    op.may(f"get_{collection.one}")
    page = _page(collection, request)
    conditions = _conditions(collection, request, op)
    statement = _rows(collection, every=sees_all(op, collection))
    params: dict[str, Any] | None = {"asker": op.actor.project_id}
    if conditions:
        statement, params = statement.where(*conditions).params(params), None
    columns = [(collection.column(name), direction) for name, direction in page.sort]
    columns.append((collection.table.c.id, "asc"))
    async with op.db.read() as session:
        rows = await fetch(session, statement, page, columns, collection.absent(page.marker or ""), params)  # type: ignore[arg-type]
        items = await collection.shape(session, op, rows)
    body: dict[str, Any] = {collection.many: narrowed(items, request.params("fields"))}
    if page.limit is not None and rows:
        body[f"{collection.many}_links"] = _links(request, page, rows)
    return json(body)


async def show(collection: Collection, request: Request, op: Op) -> Reply:
    """GET of one item."""
    op.may(f"get_{collection.one}")
    async with op.db.read() as session:
        row = await find(session, op, collection, request.path["id"])
        (item,) = await collection.shape(session, op, [row])
    return json({collection.one: narrowed([item], request.params("fields"))[0]})


async def find(session: Session, op: Op, collection: Collection, item_id: str, *, lock: bool = False) -> Any:
    """The row, as far as the asker may see it. Raises NotFound."""
    statement = _row(collection, every=sees_all(op, collection), lock=lock)
    row = await session.first(statement, {"wanted": item_id, "asker": op.actor.project_id})
    if row is None:
        raise collection.absent(item_id)
    return row


async def allowed(session: Session, op: Op, collection: Collection, item_id: str, rule: str) -> Any:
    """The row, if the asker may do `rule` to it. Raises NotFound when it may not even be seen, else Forbidden."""
    row = await find(session, op, collection, item_id, lock=True)
    op.may(rule, target_of(row))
    return row


async def asked_for(session: Session, request: Request, op: Op, collection: Collection, rule: str) -> Any:
    """The row that the request's path names, if the asker may do `rule` to it, and if it is as If-Match has it."""
    row = await allowed(session, op, collection, request.path["id"], rule)
    _check_revision(request, row)
    return row


def _check_revision(request: Request, row: Any) -> None:
    """Hold the row against the request's If-Match. Raises PreconditionFailed."""
    text = request.header("If-Match")
    if not text:
        return
    name, _, number = text.strip('" ').partition("=")
    if name != "revision_number" or not number.isascii() or not number.isdigit():
        raise BadRequest("If-Match wants revision_number=N.")
    if int(number) != row.revision_number:
        raise PreconditionFailed(f"Constrained to {number}, but current revision is {row.revision_number}.")


def target_of(row: Any) -> dict[str, Any]:
    """What a rule may ask about an item."""
    return {"project_id": row.project_id, "tenant_id": row.project_id}


def narrowed(items: list[dict[str, Any]], fields: Sequence[str]) -> list[dict[str, Any]]:
    """Only the attributes asked for; all of them when none is."""
    wanted = [name for name in fields if name]
    if not wanted:
        return items
    return [{name: item[name] for name in wanted if name in item} for item in items]


@cache
def _sortable(collection: Collection) -> tuple[str, ...]:
    names = (*collection.table.c.keys(), *collection.aliases, "tenant_id")
    return tuple(name for name in names if collection.column(name) is not None)


def _page(collection: Collection, request: Request) -> Page:
    page = page_of(request, _sortable(collection), (), most=NO_LIMIT, unbounded=True)
    reverse = request.param("page_reverse")
    return replace(page, reverse=True) if reverse is not None and truth(reverse, "page_reverse") else page


def _links(request: Request, page: Page, rows: Sequence[Any]) -> list[dict[str, str]]:
    """A link forward unless this is the last page, and one back unless it was read backwards to the first."""
    full = len(rows) >= (page.limit or 0)
    kept = [(k, v) for k, v in request.query if k not in {"marker", "page_reverse"}]
    where = f"{request.base}{request.url}"
    links = []
    if full or page.reverse:
        links.append({"rel": "next", "href": f"{where}?{urlencode([*kept, ('marker', rows[-1].id)])}"})
    if full or not page.reverse:
        back = urlencode([*kept, ("marker", rows[0].id), ("page_reverse", "True")])
        links.append({"rel": "previous", "href": f"{where}?{back}"})
    return links


def _conditions(collection: Collection, request: Request, op: Op) -> list[Where]:
    """Every attribute in the query as a condition; a name that is no attribute is ignored."""
    given: dict[str, list[str]] = {}
    for name, value in request.query:
        if name not in _PAGING:
            given.setdefault(name, []).append(value)
    conditions = []
    for name, values in given.items():
        if name in collection.filters:
            conditions.append(collection.filters[name](op, values))
        elif name in _TAGS:
            if tags := _split(values):
                conditions.append(_TAGS[name](collection.table.c.tags, tags))
        elif (column := collection.column(name)) is not None:
            conditions.append(_any_of(column, name, values))
    return conditions


def _any_of(column: Column[Any], name: str, values: Sequence[str]) -> Where:
    kind = column.type.python_type
    if kind is bool:
        return column.in_([truth(value, name) for value in values])
    if kind is int:
        numbers = [int(v) for v in values if v.isascii() and v.isdigit() and len(v) < 18]
        return column.in_(numbers)
    found = column.in_(values)
    return or_(found, column.is_(None)) if "" in values and column.nullable else found


def _split(values: Sequence[str]) -> list[str]:
    return [tag for value in values for tag in value.split(",") if tag]


def _has_tag(column: ColumnElement[Any], tag: str) -> Where:
    """Whether the JSON list holds the tag.

    A quote within a JSON text follows a backslash, so only a whole tag follows a bracket or comma and its quote.
    REPLACE compares byte by byte in all three databases, unlike LIKE.
    """
    quoted = str(Json().process_bind_param(tag, None))
    text = type_coerce(column, Text)
    return or_(*(func.replace(text, literal(mark + quoted), literal("")) != text for mark in ("[", ",")))


_TAGS: dict[str, Callable[[ColumnElement[Any], list[str]], Where]] = {
    "tags": lambda column, tags: and_(*(_has_tag(column, tag) for tag in tags)),
    "tags-any": lambda column, tags: or_(*(_has_tag(column, tag) for tag in tags)),
    "not-tags": lambda column, tags: not_(and_(*(_has_tag(column, tag) for tag in tags))),
    "not-tags-any": lambda column, tags: not_(or_(*(_has_tag(column, tag) for tag in tags))),
}


class Below:
    """The rows that belong to given parents: one statement for a page, a few for a very long list."""

    def __init__(self, statement: Select[Any], parent: Column[Any]) -> None:
        self._statement = statement.where(parent.in_(bindparam("parents", expanding=True)))
        self._key = parent.key

    async def of(self, session: Session, parents: Sequence[str]) -> dict[str, list[Any]]:
        """The rows by parent."""
        found: dict[str, list[Any]] = {}
        for start in range(0, len(parents), _AT_ONCE):
            for row in await session.all(self._statement, {"parents": parents[start : start + _AT_ONCE]}):
                found.setdefault(getattr(row, self._key), []).append(row)
        return found
