"""The tree of domains and projects: what is above, what is below, what a user reaches in it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, or_, select

from maldon.identity.models.group import group
from maldon.identity.models.project import project
from maldon.identity.models.role import SYSTEM, assignment
from maldon.identity.models.user import failed_login, user
from maldon.identity.rows import among, by_id, found
from maldon.identity.standing import HELD_BY_USER
from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op, Session

DEFAULT_DOMAIN = "default"
_HELD = select(assignment.c.target_kind, assignment.c.target_id, assignment.c.inherited).where(HELD_BY_USER).distinct()


async def above(session: Session, row: Any) -> list[Any]:
    """The rows from the parent up to the domain."""
    rows = []
    while row.parent_id is not None:
        row = await found(session, project, "project", row.parent_id)
        rows.append(row)
    return rows


async def below(session: Session, ids: Iterable[str]) -> list[Any]:
    """The rows below any of these, nearest first."""
    rows: list[Any] = []
    level = list(ids)
    while level:
        found_now = await among(session, select(project), project.c.parent_id, level)
        rows.extend(found_now)
        level = [row.id for row in found_now]
    return rows


async def domain(session: Session, id_: str) -> Any:
    """The domain's row. Raises NotFound."""
    row = await by_id(session, project, id_)
    if row is None or not row.is_domain:
        raise NotFound(f"Could not find domain: {id_}.")
    return row


def own_domain(op: Op) -> str:
    """Where something goes whose maker names no domain: the one of the token's scope."""
    return op.actor.domain_id or op.actor.project_domain_id or DEFAULT_DOMAIN


def listing_domain(op: Op, asked: str | None) -> str | None:
    """The domain that a list is confined to: the one asked for, or that of a token for a domain."""
    return op.actor.domain_id or asked


async def projects_of(session: Session, user_id: str, *, enabled: bool = False) -> list[Any]:
    """The projects on which a user holds a role, by groups and from above too."""
    held = await session.all(_HELD, {"user": user_id})
    direct = {row.target_id for row in held if row.target_kind == "project" and not row.inherited}
    inherited = {row.target_id for row in held if row.inherited}
    ids = direct | {row.id for row in await below(session, inherited)}
    rows = await among(session, select(project), project.c.id, sorted(ids))
    return await _enabled(session, rows) if enabled else rows


async def domains_of(session: Session, user_id: str) -> list[Any]:
    """The enabled domains on which a user holds a role."""
    held = await session.all(_HELD, {"user": user_id})
    ids = {row.target_id for row in held if row.target_kind == "domain" and not row.inherited}
    chosen = select(project).where(project.c.id.in_(ids), project.c.enabled.is_(True)).order_by(project.c.id)
    return await session.all(chosen)


async def has_system(session: Session, user_id: str) -> bool:
    """Whether a user holds a role on the system."""
    return any(row.target_kind == SYSTEM for row in await session.all(_HELD, {"user": user_id}))


async def _enabled(session: Session, rows: list[Any]) -> list[Any]:
    domains = select(project.c.id).where(
        project.c.id.in_({row.name_scope for row in rows}), project.c.enabled.is_(False)
    )
    disabled = {row.id for row in await session.all(domains)}
    return [row for row in rows if row.enabled and row.domain_id not in disabled]


async def forget_targets(session: Session, ids: Iterable[str]) -> None:
    """Take away every role on these projects or domains, and every user's preference for them."""
    gone = list(ids)
    await session.run(
        delete(assignment).where(assignment.c.target_kind.in_(("project", "domain")), assignment.c.target_id.in_(gone))
    )
    await session.run(user.update().where(user.c.default_project_id.in_(gone)).values(default_project_id=None))


async def forget_actors(session: Session, domain_id: str) -> None:
    """Take away every role of a domain's users and groups, and what is known of failed logins."""
    users = select(user.c.id).where(user.c.domain_id == domain_id)
    await session.run(delete(failed_login).where(failed_login.c.user_id.in_(users)))
    groups = select(group.c.id).where(group.c.domain_id == domain_id)
    await session.run(
        delete(assignment).where(
            or_(
                (assignment.c.actor_kind == "user") & assignment.c.actor_id.in_(users),
                (assignment.c.actor_kind == "group") & assignment.c.actor_id.in_(groups),
            )
        )
    )
