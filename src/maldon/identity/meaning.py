"""What a token means now: its user, its scope and its roles, as the books say at this moment.

Whatever makes it mean nothing any more (user, project or domain disabled or gone, no role left, revoked, issued before
the password was changed) raises Unauthorized; the reason goes to the log only.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, or_, select

from maldon.identity.models.group import membership
from maldon.identity.models.project import project
from maldon.identity.models.role import SYSTEM, assignment
from maldon.identity.models.token import revoked
from maldon.identity.models.user import user
from maldon.identity.token import Scope, Token
from maldon.identity.world import World
from maldon.kernel.clock import micros_text
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Actor, Session

REFUSED = "The request you have made requires authentication."
_domain = project.alias("domain")

_USER = (
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
_REVOKED = select(revoked.c.audit_id).where(revoked.c.audit_id == bindparam("id"))
_PROJECT = (
    select(
        project.c.id,
        project.c.name,
        project.c.enabled,
        project.c.is_domain,
        project.c.tokens_from,
        project.c.parent_id,
        _domain.c.id.label("domain_id"),
        _domain.c.name.label("domain_name"),
        _domain.c.enabled.label("domain_enabled"),
        _domain.c.tokens_from.label("domain_from"),
    )
    .join_from(project, _domain, _domain.c.id == project.c.name_scope, isouter=True)
    .where(project.c.id == bindparam("id"))
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


@dataclass(frozen=True, slots=True)
class Meaning:
    """`shown` is the token as the API shows it, without the catalog."""

    actor: Actor
    shown: dict[str, Any]


async def read_meaning(session: Session, world: World, token: Token) -> Meaning:
    """What it means. Raises Unauthorized."""
    holder = await session.first(_USER, {"id": token.user_id})
    _live(token, holder, "user")
    if await session.first(_REVOKED, {"id": token.audit_ids[0]}) is not None:
        raise Unauthorized(REFUSED, internal=f"token {token.audit_ids[0]} was revoked")
    domain = {"id": holder.domain_id, "name": holder.domain_name}
    shown: dict[str, Any] = {
        "methods": token.methods,
        "user": {"id": holder.id, "name": holder.name, "domain": domain, "password_expires_at": _ends(holder)},
        "audit_ids": token.audit_ids,
        "expires_at": micros_text(token.expires_at) + "Z",
        "issued_at": micros_text(token.issued_at) + "Z",
    }
    place = await _place(session, token)
    if token.scope.kind != "unscoped":
        role_ids = await roles_at(session, token.user_id, token.scope, place.parent_id if place else None)
        shown["roles"] = world.effective(role_ids)
        if not shown["roles"]:
            raise Unauthorized(REFUSED, internal=f"user {holder.id} has no role on {token.scope}")
    shown |= _shown_scope(token.scope, place)
    in_project = place if token.scope.kind == "project" else None
    actor = Actor(
        holder.id,
        holder.name,
        holder.domain_id,
        in_project.id if in_project else None,
        in_project.name if in_project else None,
        (in_project.domain_id or in_project.id) if in_project else None,
        place.id if place and not in_project else None,
        token.scope.kind == "system",
        tuple(role["name"] for role in shown.get("roles", ())),
    )
    return Meaning(actor, shown)


def _ends(holder: Any) -> str | None:
    """When the holder's password ends, if it does."""
    end = holder.password_expires_at
    return None if end is None or (holder.options or {}).get("ignore_password_expiry") else micros_text(end)


def _live(token: Token, row: Any, noun: str) -> None:
    """A row that exists, is enabled and in an enabled domain, all that since before the token."""
    if row is None:
        raise Unauthorized(REFUSED, internal=f"the {noun} is gone")
    if not row.enabled or row.domain_enabled is False:
        raise Unauthorized(REFUSED, internal=f"{noun} {row.id} or its domain is disabled")
    if token.issued_at <= max(row.tokens_from, row.domain_from or 0):
        raise Unauthorized(REFUSED, internal=f"{noun} {row.id} has revoked its older tokens")


async def _place(session: Session, token: Token) -> Any:
    """The row of the project or domain it is scoped to."""
    if token.scope.kind not in {"project", "domain"}:
        return None
    place = await session.first(_PROJECT, {"id": token.scope.id})
    _live(token, place, token.scope.kind)
    if token.scope.kind == "domain" and not place.is_domain:
        raise Unauthorized(REFUSED, internal=f"project {place.id} is no domain")
    return place


def _shown_scope(scope: Scope, place: Any) -> dict[str, Any]:
    match scope.kind:
        case "project":
            domain = {"id": place.domain_id or place.id, "name": place.domain_name or place.name}
            inner = {"id": place.id, "name": place.name, "domain": domain}
            return {"project": inner, "is_domain": bool(place.is_domain)}
        case "domain":
            return {"domain": {"id": place.id, "name": place.name}}
        case "system":
            return {"system": {"all": True}}
    return {}


async def roles_at(session: Session, user_id: str, scope: Scope, parent_id: str | None) -> set[str]:
    """The ids of the roles a user holds there, by groups and from above too; not what they imply."""
    above = []
    while parent_id is not None:
        above.append(parent_id)
        parent_id = await session.scalar(_PARENT, {"id": parent_id})
    target = scope.id or SYSTEM
    rows = await session.all(_ROLES, {"user": user_id, "kind": scope.kind, "target": target, "above": above})
    return {row.role_id for row in rows}
