"""The mirror: rows of our own for the users and groups of a domain's directory, as they were seen last.

So roles, tokens, trusts and everything else of ours speak of them as of any user. Looking costs a few SELECTs; it
writes only where something is another than it was, and then the tokens that may mean less are looked at anew. Who is
gone from the directory loses the row, with the tokens; the roles given stay in the books, and count again if that one
comes back.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, delete, insert, or_, select, update

from maldon.identity import revocations
from maldon.identity.models.domain_config import directory_entry, directory_seen
from maldon.identity.models.group import group, membership
from maldon.identity.models.user import user
from maldon.identity.plan.mirror import GROUP, USER, Changes, Seen, Values, plan
from maldon.identity.verifier import bump
from maldon.kernel.errors import Duplicate, Stale
from maldon.kernel.op import Op, Session

_TABLES: Mapping[str, Table] = {USER: user, GROUP: group}
_COMPARED = {USER: ("name", "enabled", "default_project_id", "extra"), GROUP: ("name", "description", "extra")}
_PART = 500  # ids in one statement


class Held(Exception):
    """Somebody else of the domain has the name."""


async def reflect(op: Op, domain_id: str, seen: Seen, *, of_users: bool, park: bool = True) -> None:
    """Have the mirror show what was seen. `of_users`: who is in which group was asked user by user.

    Without `park` a name stays with whoever has it: raises Held.
    """
    async with op.db.read() as session:
        changes = await _changes(session, domain_id, seen, of_users=of_users)
    if not changes and not seen.complete:
        return
    try:
        async with op.db.begin() as session:
            if changes:
                await bump(op, session)
                changes = await _changes(session, domain_id, seen, of_users=of_users)
                if changes.park and not park:
                    raise Held
                await _apply(op, session, domain_id, changes)
            if seen.complete:
                await _note(session, domain_id, op.clock.now())
    except Duplicate as error:
        raise Stale("Somebody else is reading the same directory; try again.", internal=error.internal) from error


async def local_of(session: Session, kind: str, id_: str) -> tuple[str, str] | None:
    """The domain and the local id behind a public id; None when it is none of a directory."""
    chosen = select(directory_entry.c.domain_id, directory_entry.c.local_id)
    row = await session.first(chosen.where(directory_entry.c.id == id_, directory_entry.c.kind == kind))
    return None if row is None else (row.domain_id, row.local_id)


async def holder(session: Session, domain_id: str, kind: str, name: str) -> str | None:
    """The local id of who has the name in the mirror."""
    table = _TABLES[kind]
    id_ = await session.scalar(select(table.c.id).where(table.c.domain_id == domain_id, table.c.name == name))
    known = await local_of(session, kind, str(id_))
    return None if known is None else known[1]


async def end_tokens(op: Op, user_id: str) -> None:
    """Those that a user has by now; the password has been changed."""
    async with op.db.begin() as session:
        await bump(op, session)
        await session.run(update(user).where(user.c.id == user_id).values(tokens_from=op.clock.now()))


async def seen_at(session: Session, domain_id: str) -> int:
    """When the whole directory was last looked at."""
    chosen = select(directory_seen.c.seen_at).where(directory_seen.c.domain_id == domain_id)
    return await session.scalar(chosen) or 0


async def forget(session: Session, domain_id: str) -> None:
    """Without a directory, a domain has no mirror."""
    for table in (user, group):
        mirrored = select(directory_entry.c.id).where(directory_entry.c.domain_id == domain_id)
        await session.run(delete(table).where(table.c.domain_id == domain_id, table.c.id.in_(mirrored)))
    await session.run(delete(directory_entry).where(directory_entry.c.domain_id == domain_id))
    await look_anew(session, domain_id)


async def look_anew(session: Session, domain_id: str) -> None:
    """Have the next listing look, however lately it was done."""
    await session.run(delete(directory_seen).where(directory_seen.c.domain_id == domain_id))


async def natives(session: Session, domain_id: str) -> int:
    """How many users and groups of the domain are our own."""
    count = 0
    for table in (user, group):
        mirrored = select(directory_entry.c.id).where(directory_entry.c.domain_id == domain_id)
        own = select(table.c.id).where(table.c.domain_id == domain_id, table.c.id.not_in(mirrored))
        count += len(await session.all(own.limit(1)))
    return count


async def _changes(session: Session, domain_id: str, seen: Seen, *, of_users: bool) -> Changes:
    stored: dict[tuple[str, str], Values] = {}
    holders: dict[tuple[str, str], str] = {}
    for kind, table in _TABLES.items():
        ids = [id_ for k, id_ in seen.things if k == kind]
        names = [values["name"] for (k, _), (_, values) in seen.things.items() if k == kind]
        for row in await _rows(session, table, domain_id, None if seen.complete else (ids, names)):
            holders[kind, row.name] = row.id
            if seen.complete or (kind, row.id) in seen.things:
                stored[kind, row.id] = {name: getattr(row, name) for name in _COMPARED[kind]}
    return plan(stored, await _members(session, domain_id, seen, of_users=of_users), holders, seen)


async def _rows(
    session: Session, table: Table, domain_id: str, wanted: tuple[list[str], list[str]] | None
) -> list[Any]:
    """The mirror's rows: all, or those with one of the ids or names."""
    chosen = select(table).where(table.c.domain_id == domain_id)
    if wanted is None:
        return await session.all(chosen.where(table.c.id.in_(select(directory_entry.c.id))))
    found: list[Any] = []
    for n in range(0, len(wanted[0]), _PART):
        ids, names = (part[n : n + _PART] for part in wanted)
        found += await session.all(chosen.where(or_(table.c.id.in_(ids), table.c.name.in_(names))))
    return found


async def _members(session: Session, domain_id: str, seen: Seen, *, of_users: bool) -> list[tuple[str, str]]:
    """Who is in which group of the mirror, as far as what was seen would have said it."""
    groups = select(group.c.id).where(group.c.domain_id == domain_id)
    chosen = select(membership.c.group_id, membership.c.user_id).where(
        membership.c.group_id.in_(groups.where(group.c.id.in_(select(directory_entry.c.id))))
    )
    if not seen.complete:
        key = membership.c.user_id if of_users else membership.c.group_id
        chosen = chosen.where(key.in_([id_ for kind, id_ in seen.things if kind == (USER if of_users else GROUP)]))
    outside = select(directory_entry.c.id).where(directory_entry.c.domain_id == domain_id)
    return [(row.group_id, row.user_id) for row in await session.all(chosen.where(membership.c.user_id.in_(outside)))]


async def _apply(op: Op, session: Session, domain_id: str, changes: Changes) -> None:
    for group_id, user_id in sorted(changes.leave):
        await session.run(delete(membership).where(membership.c.group_id == group_id, membership.c.user_id == user_id))
    for kind, id_ in changes.remove:
        await session.run(delete(_TABLES[kind]).where(_TABLES[kind].c.id == id_))
    losers = {id_ for kind, id_ in changes.remove if kind == USER} | {user_id for _, user_id in changes.leave}
    await revocations.note(op, session, *revocations.users(sorted(losers)))
    parked = [*changes.park, *((kind, id_) for kind, id_, values in changes.change if "name" in values)]
    for kind, id_ in parked:
        await session.run(update(_TABLES[kind]).where(_TABLES[kind].c.id == id_).values(name=id_))
    for kind, id_, values in changes.change:
        dead = {"tokens_from": op.clock.now()} if values.get("enabled") is False else {}
        await session.run(update(_TABLES[kind]).where(_TABLES[kind].c.id == id_).values(**values, **dead))
    for kind, id_, local_id, values in changes.add:
        await _add(session, domain_id, kind, id_, local_id, values)
    for group_id, user_id in sorted(changes.join):
        await session.run(insert(membership).values(group_id=group_id, user_id=user_id))


async def _add(session: Session, domain_id: str, kind: str, id_: str, local_id: str, values: Values) -> None:
    made = {"domain_id": domain_id} | ({"tokens_from": 0} if kind == USER else {})
    await session.run(insert(_TABLES[kind]), made | values | {"id": id_})
    known = select(directory_entry.c.id).where(directory_entry.c.id == id_)
    if await session.first(known) is None:
        entry = {"id": id_, "domain_id": domain_id, "kind": kind, "local_id": local_id}
        await session.run(insert(directory_entry), entry)


async def _note(session: Session, domain_id: str, now: int) -> None:
    changed = update(directory_seen).where(directory_seen.c.domain_id == domain_id).values(seen_at=now)
    if not await session.run(changed):
        await session.run(insert(directory_seen).values(domain_id=domain_id, seen_at=now))
