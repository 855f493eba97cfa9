"""What is asked of, and told to, a domain's directory: before our own transaction, never within it.

The directory is looked at when somebody of it logs in (that user and its groups), when its people are listed (all of
them, unless somebody has just done so; or the one that is looked for by name), and by a loop once a minute. In between
the mirror answers. So whoever is disabled or removed there is refused at the next login, and tokens end within the
minute; what the mirror shows is a minute old at most, unless the directory does not answer.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from msgspec import UNSET, UnsetType
from sqlalchemy import select

from maldon.identity import mirror, rows
from maldon.identity.directories import Directories, limit_of
from maldon.identity.models.project import project
from maldon.identity.models.user import user as user_table
from maldon.identity.new_password import refuse_locked
from maldon.identity.plan.mirror import GROUP, USER, public_id, seen_of
from maldon.identity.schemas.token import UserRef
from maldon.identity.settings import IdentitySettings
from maldon.identity.standing import REFUSED
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest, CloudError, Duplicate, Forbidden, NotFound, Stale, Unauthorized
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op
from maldon.ports import directory as words
from maldon.ports.directory import Directory, DirectoryGroup, DirectoryUser

log = structlog.get_logger("directory")


async def log_in(op: Op, shown: UserRef) -> str | None:
    """The id of the directory's user whose password it is; None when the user would be one of ours.

    Raises Unauthorized, and Unavailable when the directory does not answer.
    """
    async with op.db.read() as session:
        known = await mirror.local_of(session, USER, shown.id) if shown.id is not None else None
        domain_id = known[0] if known is not None else await _domain_of(session, shown)
    directory = await op.use(Directories).of(op.db, domain_id) if domain_id is not None else None
    if directory is None or domain_id is None:
        return None
    user = await (directory.user(known[1]) if known is not None else directory.user_named(shown.name or ""))
    right = await directory.authenticate(user.id if user is not None else None, shown.password)
    if user is None or not right:
        raise Unauthorized(REFUSED, internal=f"no such user and password in the directory of {domain_id}")
    groups = await directory.groups_of(user.id)
    seen = seen_of(domain_id, [user], groups, {one.id: [user.id] for one in groups})
    await mirror.reflect(op, domain_id, seen, of_users=True)
    return public_id(domain_id, USER, user.id)


async def _domain_of(session: Any, shown: UserRef) -> str | None:
    """The domain that a login names by id or name."""
    if shown.id is not None or shown.name is None or shown.domain is None:
        return None
    if shown.domain.id is not None:
        return shown.domain.id
    named = select(project.c.id).where(project.c.name == shown.domain.name, project.c.is_domain.is_(True))
    found: str | None = await session.scalar(named)
    return found


async def look(op: Op, domain_id: str | None, *, user_name: str | None = None) -> None:
    """Bring the mirror of a domain up to date for a listing; nothing to do where its people are ours."""
    directory = await op.use(Directories).of(op.db, domain_id) if domain_id is not None else None
    if directory is None or domain_id is None:
        return
    if user_name is not None and (user := await directory.user_named(user_name)) is not None:
        groups = await directory.groups_of(user.id)
        seen = seen_of(domain_id, [user], groups, {one.id: [user.id] for one in groups})
        await mirror.reflect(op, domain_id, seen, of_users=True)
        return
    async with op.db.read() as session:
        last = await mirror.seen_at(session, domain_id)
    if not 0 <= op.clock.now() - last < op.use(IdentitySettings).directory_listing_s * SECOND:
        await look_at_all(op, domain_id, directory)


async def look_at_all(op: Op, domain_id: str, directory: Directory) -> None:
    """Every user, group and membership, up to the limit."""
    async with op.db.read() as session:
        config = await op.use(Directories).config(session, domain_id)
    limit = limit_of(config, op.use(IdentitySettings).directory_limit)
    users, groups = await directory.users(limit), await directory.groups(limit)
    complete = len(users) < limit and len(groups) < limit
    if not complete:
        log.warning("a directory has more than is fetched", domain=domain_id, limit=limit)
    seen = seen_of(domain_id, users, groups, await directory.memberships(), complete=complete)
    await mirror.reflect(op, domain_id, seen, of_users=False)


async def look_everywhere(op: Op) -> None:
    """Once a minute, whatever anybody asks. A directory that does not answer keeps no other from being looked at."""
    directories = op.use(Directories)
    async with op.db.read() as session:
        domain_ids = await directories.outside(session)
    for domain_id in domain_ids:
        try:
            directory = await directories.of(op.db, domain_id)
            if directory is not None:
                await look_at_all(op, domain_id, directory)
        except CloudError as error:
            log.warning("a directory was not read", domain=domain_id, why=error.public, internal=error.internal)


async def look_around(op: Op, kind: str, id_: str) -> None:
    """The same for a listing of a group's users or a user's groups."""
    found = await directory_of(op, kind, id_)
    if found is not None:
        await look(op, found[1])


async def directory_of(op: Op, kind: str, id_: str) -> tuple[Directory, str, str] | None:
    """The directory that a user or group is in, its domain and its local id; None for those of ours."""
    async with op.db.read() as session:
        known = await mirror.local_of(session, kind, id_)
    directory = await op.use(Directories).of(op.db, known[0]) if known is not None else None
    return None if known is None or directory is None else (directory, *known)


# what is told to it; afterwards our own transaction does to the mirror what it does to any row


async def add_user(op: Op, domain_id: str, values: Mapping[str, Any], password: str | None) -> str | None:
    """The id of a user made in the domain's directory and mirrored; None where users are ours."""
    directory = await _writable(op, domain_id, words.CREATE_USERS)
    if directory is None:
        return None
    _refuse_taken(await directory.user_named(values["name"]), "user", values["name"])
    made = await directory.add_user(_user(new_hex_id(), values), password)
    if await _lost(op, domain_id, directory, USER, made):
        await directory.remove_user(made.id)
        _refuse_taken(made, "user", made.name)
    return public_id(domain_id, USER, made.id)


async def change_user(op: Op, row: Any, values: Mapping[str, Any], password: str | UnsetType | None) -> bool:
    """Change what the directory keeps of a user, whose `row` is as yet without `values`. False for one of ours."""
    found = await directory_of(op, USER, row.id)
    if found is None:
        return False
    directory, domain_id, local_id = found
    if password is None:
        raise BadRequest(f"A user in the directory of domain {domain_id} cannot be without a password.")
    if not values and password is UNSET:
        return True  # options are ours
    _allow(directory, words.UPDATE_USERS, domain_id)
    user = _user(local_id, _as_changed(row, values, ("name", "enabled", "default_project_id")))
    await directory.change_user(user, password if isinstance(password, str) else None)
    return True


async def remove_user(op: Op, id_: str) -> None:
    """Out of its directory, if it is in one; one whom the directory does not know any more may go."""
    found = await directory_of(op, USER, id_)
    if found is not None:
        directory, domain_id, local_id = found
        _allow(directory, words.DELETE_USERS, domain_id)
        with suppress(NotFound):
            await directory.remove_user(local_id)


async def change_password(op: Op, id_: str, old: str, new: str) -> bool:
    """By the user, who knows the old one. False for a user of ours. Raises Unauthorized."""
    found = await directory_of(op, USER, id_)
    if found is None:
        return False
    directory, domain_id, local_id = found
    user = await directory.user(local_id)
    right = await directory.authenticate(user.id if user is not None else None, old)
    if user is None or not right or not user.enabled:
        raise Unauthorized(REFUSED, internal=f"no such password in the directory of {domain_id}")
    _allow(directory, words.UPDATE_USERS, domain_id)
    async with op.db.read() as session:
        refuse_locked(await rows.found(session, user_table, "user", id_))
    if new == old:
        raise BadRequest("The new password cannot be identical to the original password.")
    await directory.change_user(user, new)
    await mirror.end_tokens(op, id_)
    return True


async def add_group(op: Op, domain_id: str, values: Mapping[str, Any]) -> str | None:
    """The id of a group made in the domain's directory and mirrored; None where groups are ours."""
    directory = await _writable(op, domain_id, words.CREATE_GROUPS)
    if directory is None:
        return None
    _refuse_taken(await _group_named(op, directory, values["name"]), "group", values["name"])
    made = await directory.add_group(_group(new_hex_id(), values))
    if await _lost(op, domain_id, directory, GROUP, made):
        await directory.remove_group(made.id)
        _refuse_taken(made, "group", made.name)
    return public_id(domain_id, GROUP, made.id)


async def change_group(op: Op, row: Any, values: Mapping[str, Any]) -> None:
    """Change what the directory keeps of a group, whose `row` is as yet without `values`; nothing for one of ours."""
    found = await directory_of(op, GROUP, row.id)
    if found is not None and values:
        directory, domain_id, local_id = found
        _allow(directory, words.UPDATE_GROUPS, domain_id)
        await directory.change_group(_group(local_id, _as_changed(row, values, ("name", "description"))))


def _as_changed(row: Any, values: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """What a row will say."""
    kept = {name: values.get(name, getattr(row, name)) for name in fields}
    return kept | {"extra": rows.merged(row.extra, values.get("extra", {}))}


async def remove_group(op: Op, id_: str) -> None:
    """Out of its directory, if it is in one."""
    found = await directory_of(op, GROUP, id_)
    if found is not None:
        directory, domain_id, local_id = found
        _allow(directory, words.DELETE_GROUPS, domain_id)
        with suppress(NotFound):
            await directory.remove_group(local_id)


async def change_member(op: Op, group_id: str, user_id: str, *, inside: bool) -> None:
    """Have a user be in a directory's group, or not. A group of a directory takes users of that directory only."""
    found = await directory_of(op, GROUP, group_id)
    if found is None:
        return
    directory, domain_id, local_id = found
    _allow(directory, words.UPDATE_GROUPS, domain_id)
    async with op.db.read() as session:
        user = await mirror.local_of(session, USER, user_id)
    if user is None or user[0] != domain_id:
        raise Forbidden(f"The group is in the directory of domain {domain_id}, the user is not: they cannot be joined.")
    if inside:
        await directory.add_member(local_id, user[1])
    else:
        with suppress(NotFound):
            await directory.remove_member(local_id, user[1])


async def _lost(op: Op, domain_id: str, directory: Directory, kind: str, made: Any) -> bool:
    """Mirror one that has just been made. Not every directory minds names, our tables do: whether another was first."""
    seen = seen_of(domain_id, [made] if kind == USER else [], [made] if kind == GROUP else [], {})
    try:
        await mirror.reflect(op, domain_id, seen, of_users=kind == USER, park=False)
    except (mirror.Held, Stale):
        async with op.db.read() as session:
            local_id = await mirror.holder(session, domain_id, kind, made.name)
        if local_id is not None:
            other = await (directory.user(local_id) if kind == USER else directory.group(local_id))
            if other is not None and other.id != made.id and other.name == made.name:
                return True
        await mirror.reflect(op, domain_id, seen, of_users=kind == USER)
    return False


async def _writable(op: Op, domain_id: str, feature: str) -> Directory | None:
    directory = await op.use(Directories).of(op.db, domain_id)
    if directory is not None:
        _allow(directory, feature, domain_id)
    return directory


def _allow(directory: Directory, feature: str, domain_id: str) -> None:
    if feature not in directory.features:
        what = feature.replace("-", " ")
        raise Forbidden(f"The directory of domain {domain_id} is kept elsewhere: it does not let this cloud {what}.")


def _refuse_taken(found: Any, noun: str, name: str) -> None:
    if found is not None:
        raise Duplicate(f"Conflict occurred attempting to store {noun} - Duplicate entry found with name {name}.")


async def _group_named(op: Op, directory: Directory, name: str) -> DirectoryGroup | None:
    limit = op.use(IdentitySettings).directory_limit
    return next((one for one in await directory.groups(limit) if one.name == name), None)


def _user(local_id: str, values: Mapping[str, Any]) -> DirectoryUser:
    extra = {name: value for name, value in (values.get("extra") or {}).items() if value is not None}
    return DirectoryUser(local_id, values["name"], values.get("enabled", True), values.get("default_project_id"), extra)


def _group(local_id: str, values: Mapping[str, Any]) -> DirectoryGroup:
    extra = {name: value for name, value in (values.get("extra") or {}).items() if value is not None}
    return DirectoryGroup(local_id, values["name"], values.get("description") or None, extra)
