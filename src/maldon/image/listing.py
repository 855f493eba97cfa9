"""Lists of images: what the query asks for as SQL, and one page of it.

Every query word that is no word of ours is a property and its value. Several tags must all be there. `in:a,b` holds for
either. Times are compared by the second, as they are shown.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, or_, select

from maldon.image.models.image import images, property_index, tag_index
from maldon.image.models.member import members
from maldon.kernel.clock import SECOND, parse_time
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Actor, Session
from maldon.store.paging import Page, fetch
from maldon.web.request import truth, whole

Clause = ColumnElement[bool]

SORTABLE = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
SORTED = (("created_at", "desc"),)
_PAGING = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir"})
_VISIBILITIES = ("public", "private", "shared", "community", "all")
_MEMBER_STATUSES = ("pending", "accepted", "rejected", "all")
_STATUSES = (
    "queued",
    "saving",
    "active",
    "deactivated",
    "uploading",
    "importing",
    "killed",
    "deleted",
    "pending_delete",
)
_LARGEST = 2**63 - 1
_MOST_FILTERS = 100


def query_of(actor: Actor, query: Sequence[tuple[str, str]]) -> tuple[Select[Any], dict[str, Any] | None]:
    """The images that the actor may see and the query asks for; the parameters, if the statement is one to be kept.

    Raises BadRequest.
    """
    if len(query) > _MOST_FILTERS:
        raise BadRequest(f"A list takes at most {_MOST_FILTERS} filters.")
    given = dict(reversed(query))
    visibility = _one_of(given, "visibility", _VISIBILITIES)
    member_status = _one_of(given, "member_status", _MEMBER_STATUSES) or "accepted"
    everything = actor.is_admin or "agent" in actor.roles
    hidden = truth(given.get("os_hidden", "false"), "os_hidden")
    statement = _seen(visibility, member_status, everything=everything, hidden=hidden)
    params = {"project": actor.project_id or ""}
    clauses = [
        _FILTERS[name](value) if name in _FILTERS else _property(name, value)
        for name, value in query
        if name not in _PAGING and name not in _TOLD
    ]
    return (statement.where(*clauses).params(params), None) if clauses else (statement, params)


async def page_of(
    session: Session, statement: Select[Any], page: Page, params: dict[str, Any] | None
) -> tuple[list[Any], bool]:
    """The rows of one page, and whether there are more. Raises BadRequest for an unknown marker."""
    if page.limit == 0:
        return [], False
    limit = page.limit or 1000
    sort = [*page.sort, ("id", page.sort[0][1])]
    sort = sort[: [key for key, _ in sort].index("id") + 1]  # an id is unique: nothing is left to order after it
    columns = [(images.c[key], direction) for key, direction in sort]
    unknown = BadRequest(f"Invalid marker: there is no image {str(page.marker)[:64]!r} in this list.")
    rows = await fetch(session, statement, replace(page, limit=limit + 1), columns, unknown, params)
    return rows[:limit], len(rows) > limit


def _one_of(given: dict[str, str], name: str, known: Sequence[str]) -> str | None:
    value = given.get(name)
    if value is not None and value not in known:
        raise BadRequest(f"Invalid {name} value: {value[:50]!r}; it is one of {', '.join(known)}.")
    return value


@cache
def _seen(visibility: str | None, member_status: str, *, everything: bool, hidden: bool) -> Select[Any]:
    """The images that `project` sees, or everybody's. Made once per form: making it costs more than running it."""
    statement = select(images).where(images.c.os_hidden.is_(hidden))
    if visibility not in {None, "all"}:
        statement = statement.where(images.c.visibility == visibility)
    if everything:
        return statement
    project = bindparam("project", type_=images.c.owner.type)
    mine = (members.c.image_id == images.c.id) & (members.c.member_id == project)
    if member_status != "all":
        mine &= members.c.status == member_status
    open_to = [images.c.owner == project, images.c.visibility == "public"]
    open_to.append((images.c.visibility == "shared") & exists().where(mine))
    if visibility in {"community", "all"}:
        open_to.append(images.c.visibility == "community")
    return statement.where(or_(*open_to))


def _property(name: str, value: str) -> Clause:
    at = property_index.c
    return exists().where((at.image_id == images.c.id) & (at.name == name) & (at.value == value))


def _tag(value: str) -> Clause:
    return exists().where((tag_index.c.image_id == images.c.id) & (tag_index.c.tag == value))


def _text(name: str) -> Callable[[str], Clause]:
    """Equal, or one of several."""

    def clause(value: str) -> Clause:
        if not value.startswith("in:"):
            return images.c[name] == value
        try:
            (several,) = csv.reader([value[3:]], strict=True)
        except (csv.Error, ValueError) as error:
            raise BadRequest(f"{name} wants in:one,another with names that hold a comma in quotes.") from error
        return images.c[name].in_(several)

    return clause


def _status(value: str) -> Clause:
    for one in value.removeprefix("in:").split(","):
        if one.strip('"') not in _STATUSES:
            raise BadRequest(f"Invalid status value: {one[:50]!r}; it is one of {', '.join(_STATUSES)}.")
    return _text("status")(value)


def _number(name: str, column: str, compare: Callable[[Any, int], Clause]) -> Callable[[str], Clause]:
    def clause(value: str) -> Clause:
        return compare(images.c[column], whole(value, name, 0, _LARGEST))

    return clause


def _truth(name: str) -> Callable[[str], Clause]:
    def clause(value: str) -> Clause:
        return images.c[name].is_(truth(value, name))

    return clause


def _time(name: str) -> Callable[[str], Clause]:
    def clause(value: str) -> Clause:
        word, colon, rest = value.partition(":")
        word, text = (word, rest) if colon and word in _COMPARISONS else ("eq", value)
        try:
            at = parse_time(text) // SECOND * SECOND
        except (ValueError, OverflowError) as error:
            raise BadRequest(f"{name} wants a time such as gt:2024-01-01T00:00:00Z, not {value[:60]!r}.") from error
        return _COMPARISONS[word](images.c[name], at)

    return clause


_COMPARISONS: dict[str, Callable[[Any, int], Clause]] = {
    "gt": lambda column, at: column >= at + SECOND,
    "gte": lambda column, at: column >= at,
    "lt": lambda column, at: column < at,
    "lte": lambda column, at: column < at + SECOND,
    "eq": lambda column, at: column.between(at, at + SECOND - 1),
    "neq": lambda column, at: ~column.between(at, at + SECOND - 1),
}
_TOLD = frozenset({"visibility", "member_status", "os_hidden"})
_FILTERS: dict[str, Callable[[str], Clause]] = {
    **{name: _text(name) for name in ("id", "name", "container_format", "disk_format", "owner", "checksum")},
    "os_hash_value": _text("os_hash_value"),
    "status": _status,
    "tag": _tag,
    "size": _number("size", "size", lambda column, n: column == n),
    "size_min": _number("size_min", "size", lambda column, n: column >= n),
    "size_max": _number("size_max", "size", lambda column, n: column <= n),
    "min_disk": _number("min_disk", "min_disk", lambda column, n: column == n),
    "min_ram": _number("min_ram", "min_ram", lambda column, n: column == n),
    "protected": _truth("protected"),
    "created_at": _time("created_at"),
    "updated_at": _time("updated_at"),
}
