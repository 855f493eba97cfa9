"""Where somebody stands now: who is alive, and which roles a user holds at a place."""

from typing import Any

from sqlalchemy import and_, bindparam, or_, select

from maldon.identity.models.group import membership
from maldon.identity.models.project import project
from maldon.identity.models.role import SYSTEM, assignment
from maldon.identity.models.user import user
from maldon.identity.token import Scope, Token
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Session

REFUSED = "The request you have made requires authentication."
_domain = project.alias("domain")

USER = (
    select(
        user.c.id,
        user.c.name,
        user.c.enabled,
        user.c.tokens_from,
        user.c.domain_id,
        user.c.password_expires_at,
        user.c.options,
        _domain.c.name.label("domain_name"),
        _domain.c.enabled.label("domain_enabled"),
        _domain.c.tokens_from.label("domain_from"),
    )
    .join_from(user, _domain, _domain.c.id == user.c.domain_id)
    .where(user.c.id == bindparam("id"))
)
_PARENT = select(project.c.parent_id).where(project.c.id == bindparam("id"))
_groups = select(membership.c.group_id).where(membership.c.user_id == bindparam("user"))
HELD_BY_USER = or_(
    and_(assignment.c.actor_kind == "user", assignment.c.actor_id == bindparam("user")),
    and_(assignment.c.actor_kind == "group", assignment.c.actor_id.in_(_groups)),
)
_ROLES = select(assignment.c.role_id).where(
    HELD_BY_USER,
    or_(
        and_(
            assignment.c.target_kind == bindparam("kind"),
            assignment.c.target_id == bindparam("target"),
            assignment.c.inherited.is_(False),
        ),
        and_(assignment.c.target_id.in_(bindparam("above", expanding=True)), assignment.c.inherited.is_(True)),
    ),
)


def check_live(token: Token, row: Any, noun: str) -> None:
    """A row that exists, is enabled and in an enabled domain, all that since before the token. Raises Unauthorized."""
    if row is None:
        raise Unauthorized(REFUSED, internal=f"the {noun} is gone")
    if not row.enabled or row.domain_enabled is False:
        raise Unauthorized(REFUSED, internal=f"{noun} {row.id} or its domain is disabled")
    if token.issued_at <= max(row.tokens_from, row.domain_from or 0):
        raise Unauthorized(REFUSED, internal=f"{noun} {row.id} has revoked its older tokens")


async def roles_at(session: Session, user_id: str, scope: Scope, parent_id: str | None) -> set[str]:
    """The ids of the roles a user holds there, by groups and from above too; not what they imply."""
    above = []
    while parent_id is not None:
        above.append(parent_id)
        parent_id = await session.scalar(_PARENT, {"id": parent_id})
    target = scope.id or SYSTEM
    rows = await session.all(_ROLES, {"user": user_id, "kind": scope.kind, "target": target, "above": above})
    return {row.role_id for row in rows}
