"""Rows of this room: found or 404, inserted or 409, changed or 404."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, delete, insert, select, update

from maldon.kernel.errors import Duplicate, Forbidden, NotFound
from maldon.kernel.op import Session

_PORTION = 10_000
_by_id: dict[str, Any] = {}  # a statement per table, made once


async def by_id(session: Session, table: Table, id_: str) -> Any:
    """The row, or None."""
    if table.name not in _by_id:
        _by_id[table.name] = select(table).where(table.c.id == bindparam("wanted_id"))
    return await session.first(_by_id[table.name], {"wanted_id": id_})


async def found(session: Session, table: Table, noun: str, id_: str) -> Any:
    """The row. Raises NotFound."""
    row = await by_id(session, table, id_)
    if row is None:
        raise NotFound(f"Could not find {noun}: {id_}.")
    return row


async def among(session: Session, chosen: Select[Any], column: ColumnElement[Any], values: Iterable[Any]) -> list[Any]:
    """The rows of `chosen` whose column has one of the values, in portions: PostgreSQL takes 32,767 of them at once."""
    wanted, rows = list(values), []
    for begin in range(0, len(wanted), _PORTION):
        rows += await session.all(chosen.where(column.in_(wanted[begin : begin + _PORTION])))
    return rows


async def add(session: Session, table: Table, noun: str, values: Mapping[str, Any]) -> Any:
    """The row made of the values. Raises Duplicate naming what is taken."""
    try:
        await session.run(insert(table), dict(values))
    except Duplicate as error:
        what = values.get("name") or values["id"]
        raise Duplicate(
            f"Conflict occurred attempting to store {noun} - Duplicate entry found with name or ID {what}.",
            internal=error.internal,
        ) from error
    return await found(session, table, noun, values["id"])


def equal(table: Table, key: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """That the row has this key."""
    return [table.c[name] == value for name, value in key.items()]


async def first(session: Session, table: Table, key: Mapping[str, Any]) -> Any:
    """A row with this key, or None."""
    return await session.first(select(table).where(*equal(table, key)))


async def need(session: Session, table: Table, key: Mapping[str, Any], missing: str) -> Any:
    """The row with this key. Raises NotFound, which says that it is missing."""
    row = await first(session, table, key)
    if row is None:
        raise NotFound(missing)
    return row


async def drop(session: Session, table: Table, key: Mapping[str, Any], missing: str) -> None:
    """Without the row with this key. Raises NotFound, which says that it is missing."""
    if not await session.run(delete(table).where(*equal(table, key))):
        raise NotFound(missing)


async def ensure(session: Session, table: Table, key: Mapping[str, Any]) -> None:
    """A row of nothing but this key, which may be there already."""
    if await first(session, table, key) is None:
        await session.run(insert(table), dict(key))


async def change(session: Session, table: Table, noun: str, id_: str, values: Mapping[str, Any]) -> Any:
    """The row with the values put in. Raises NotFound, Duplicate."""
    if values:
        try:
            await session.run(update(table).where(table.c.id == id_).values(**values))
        except Duplicate as error:
            raise Duplicate(
                f"Conflict occurred attempting to store {noun} - Duplicate entry found with name {values.get('name')}.",
                internal=error.internal,
            ) from error
    return await found(session, table, noun, id_)


async def remove(session: Session, table: Table, noun: str, id_: str) -> None:
    """Without the row. Raises NotFound."""
    if not await session.run(delete(table).where(table.c.id == id_)):
        raise NotFound(f"Could not find {noun}: {id_}.")


def merged(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any] | None:
    """Documents put together key by key; None when nothing is in them."""
    return {**(old or {}), **new} or None


def refuse_immutable(noun: str, row: Any, *, unset: bool = False) -> None:
    """An immutable thing may only be made mutable again, which `unset` says is happening. Raises Forbidden."""
    if (row.options or {}).get("immutable") and not unset:
        raise Forbidden(f"Cannot change or delete {noun} {row.id}: it has the option immutable. Unset that first.")
