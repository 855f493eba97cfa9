"""Lists page by key, never by offset.

A page is ordered by its sort keys and, to make the order total, by the id. The next page starts after the marker row:
the WHERE compares its values key by key. A missing value sorts as the smallest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, asc, desc, false, func, or_

from maldon.kernel.op import Session


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is wanted: `sort` holds (column name, "asc" or "desc"); `limit` None means all."""

    limit: int | None = None
    marker: str | None = None
    sort: tuple[tuple[str, str], ...] = ()
    reverse: bool = False


def _comparable(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column with its NULL replaced by the smallest value, where it may hold one."""
    if not getattr(column, "nullable", False):
        return column
    return func.coalesce(column, 0 if column.type.python_type in {int, bool} else "")


def ordered(
    statement: Select[Any], columns: Sequence[tuple[ColumnElement[Any], str]], page: Page, after: Sequence[Any] | None
) -> Select[Any]:
    """`statement` in order and cut to the page. `after` holds the marker row's values of `columns`.

    `columns` ends with a unique one. A reverse page is read backwards; the caller turns its rows round.
    """
    keys = [(_comparable(c), (d == "desc") != page.reverse) for c, d in columns]
    if after is not None:
        beyond: ColumnElement[bool] = false()
        for n, (column, down) in enumerate(keys):
            equal = [k == _smallest(keys[i][0], after[i]) for i, (k, _) in enumerate(keys[:n])]
            value = _smallest(column, after[n])
            beyond = or_(beyond, and_(*equal, column < value if down else column > value))
        statement = statement.where(beyond)
    statement = statement.order_by(*(desc(c) if down else asc(c) for c, down in keys))
    return statement.limit(page.limit) if page.limit is not None else statement


def _smallest(column: ColumnElement[Any], value: Any) -> Any:
    if value is not None:
        return value
    return 0 if column.type.python_type in {int, bool} else ""


@lru_cache(maxsize=512)
def _first_page(statement: Select[Any], columns: tuple[tuple[ColumnElement[Any], str], ...], page: Page) -> Select[Any]:
    return ordered(statement, columns, page, None)


async def fetch(
    session: Session,
    statement: Select[Any],
    page: Page,
    columns: Sequence[tuple[ColumnElement[Any], str]],
    unknown_marker: Exception,
    params: Mapping[str, Any] | None = None,
) -> list[Any]:
    """The rows of one page, in the order asked for. Raises `unknown_marker` when the marker is no row of the list.

    The last of `columns` is the one that markers name. A row may come out only if `statement` lets it. Where the
    values of a statement come in `params`, it is one object for all requests, and its first page is built only once:
    building a statement costs several times what SQLite takes to answer it.
    """
    if page.marker is None and params is not None:
        rows = await session.all(_first_page(statement, tuple(columns), page), params)
        return rows[::-1] if page.reverse else rows
    after = None
    if page.marker is not None:
        identity = columns[-1][0]
        after = await session.first(
            statement.with_only_columns(*(c for c, _ in columns)).where(identity == page.marker).order_by(None), params
        )
        if after is None:
            raise unknown_marker
    rows = await session.all(ordered(statement, columns, page, after), params)
    return rows[::-1] if page.reverse else rows
