"""What is the same for every resource's row: how it is born, who owns it, how it changes.

A change names the revision it saw: the UPDATE's WHERE holds it, so two changes cannot both win.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, update

from maldon.kernel.errors import BadRequest, Stale
from maldon.kernel.ids import new_id
from maldon.kernel.op import Op, Session


class Record(dict[str, Any]):
    """A row that was just written, read like one that comes from the database: by attribute."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return self[name]


def born(op: Op, given: Mapping[str, Any], project_id: str, item_id: str | None = None) -> Record:
    """The standard columns of a new row."""
    now = op.clock.now()
    return Record(
        id=item_id or new_id(),
        project_id=project_id,
        name=given.get("name", ""),
        description=given.get("description") or "",
        revision_number=1,
        created_at=now,
        updated_at=now,
        tags=[],
    )


def owner(op: Op, given: Mapping[str, Any], rule: str) -> str:
    """Whose the new item will be, once the asker may make it for them. Raises Forbidden."""
    named = {given[key] for key in ("project_id", "tenant_id") if key in given}
    if len(named) > 1:
        raise BadRequest("'project_id' and 'tenant_id' must not differ.")
    project_id = named.pop() if named else op.actor.project_id
    op.may(rule, {"project_id": project_id, "tenant_id": project_id})
    if not project_id:
        raise BadRequest("Running without keystone AuthN requires that tenant_id is specified: say whose it is.")
    return str(project_id)


def guard(op: Op, rule: str, given: Mapping[str, Any], guarded: frozenset[str], target: Mapping[str, Any]) -> None:
    """Ask the rule of every guarded attribute that is given: "create_network:shared". Raises Forbidden."""
    for name in given:
        if name in guarded:
            op.may(f"{rule}:{name}", target)


async def change(session: Session, op: Op, table: Table, row: Any, values: Mapping[str, Any]) -> Record:
    """Write the values and the next revision; the row as it is now. Raises Stale when it changed since it was read."""
    revision = row.revision_number
    fresh = {**values, "revision_number": revision + 1, "updated_at": op.clock.now()}
    changed = await session.run(
        update(table).where(table.c.id == row.id, table.c.revision_number == revision).values(**fresh)
    )
    if changed != 1:
        raise Stale(f"{table.name} {row.id} changed while we looked; please try again.")
    before = row if isinstance(row, dict) else row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it

    return Record({**before, **fresh})
