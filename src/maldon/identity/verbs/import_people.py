"""People from another cloud, out of a file: all of its lines, or none when one of them is bad.

What is here is read, what to add is planned, and it is written, in one transaction.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, insert, select

from maldon.identity.directories import Directories
from maldon.identity.models.group import group, membership
from maldon.identity.models.project import project
from maldon.identity.models.role import assignment, implied_role, role
from maldon.identity.models.user import user
from maldon.identity.plan.import_people import Books, Numbered, Plan, plan
from maldon.identity.schemas.import_line import read
from maldon.identity.verifier import bump
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op, Session

TABLES: dict[str, Table] = {
    "domain": project,
    "project": project,
    "role": role,
    "implied_role": implied_role,
    "group": group,
    "user": user,
    "membership": membership,
    "assignment": assignment,
}
_LINKS = {kind: TABLES[kind] for kind in ("implied_role", "membership", "assignment")}
_PORTION = 1000


@dataclass(frozen=True, slots=True)
class Imported:
    """How much was added and was here already, by kind; who is taken for whom; the bad lines, if any."""

    added: dict[str, int]
    kept: Counter[str]
    same: list[str]
    bad: list[str]


async def import_people(op: Op, file: Iterable[bytes]) -> Imported:
    """Add what the lines say. Nothing, when one is bad."""
    numbered, bad = _lines(file)
    async with op.db.begin() as session:
        await bump(op, session)
        planned = plan(await _books(op, session), numbered)
        bad += planned.bad
        if not bad:
            await _write(session, planned)
    added = {} if bad else {kind: len(planned.rows[kind]) for kind in TABLES if kind in planned.rows}
    return Imported(added, planned.kept, planned.same, [f"line {number}: {why}" for number, why in sorted(bad)])


def _lines(file: Iterable[bytes]) -> tuple[list[Numbered], list[tuple[int, str]]]:
    """The lines that can be read, with their numbers, and what is wrong with the others."""
    numbered: list[Numbered] = []
    bad: list[tuple[int, str]] = []
    for number, raw in enumerate(file, 1):
        try:
            if raw.strip():
                numbered.append((number, read(raw)))
        except BadRequest as error:
            bad.append((number, error.public))
    return numbered, bad


async def _books(op: Op, session: Session) -> Books:
    """What is here."""
    books = Books(outside=frozenset(await op.use(Directories).outside(session)))
    for noun, table in (("role", role), ("group", group), ("user", user)):
        for row in await session.all(select(table.c.id, table.c.name, table.c.domain_id)):
            books.hold(noun, row.id, row.domain_id, row.name)
    for row in await session.all(select(project.c.id, project.c.name, project.c.name_scope, project.c.is_domain)):
        books.hold("domain" if row.is_domain else "project", row.id, row.name_scope, row.name)
    for kind, table in _LINKS.items():
        books.links[kind] = {tuple(row) for row in await session.all(select(table))}
    return books


async def _write(session: Session, planned: Plan) -> None:
    for kind, table in TABLES.items():
        for part in _parts(planned.rows.get(kind, [])):
            await session.run(insert(table), part)


def _parts(made: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (made[begin : begin + _PORTION] for begin in range(0, len(made), _PORTION))
