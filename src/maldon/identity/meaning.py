"""What a token means now: its user, its scope and its roles, as the books say at this moment.

Whatever makes it mean nothing any more (user, project or domain disabled or gone, no role left, revoked, issued before
the password was changed) raises Unauthorized; the reason goes to the log only.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from maldon.identity.delegated import Handed, read_delegation
from maldon.identity.models.project import project
from maldon.identity.models.token import revoked
from maldon.identity.plan.access_rules import AccessRule
from maldon.identity.plan.user_options import password_end
from maldon.identity.standing import REFUSED, USER, check_live, roles_at
from maldon.identity.token import Scope, Token
from maldon.identity.world import World
from maldon.kernel.clock import micros_text
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Actor, Session

_domain = project.alias("domain")

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


@dataclass(frozen=True, slots=True)
class Meaning:
    """`shown` is the token as the API shows it, without the catalog.

    A `restricted` holder may not hand on what it has; `rules` are the only calls it may make, None for any.
    """

    actor: Actor
    shown: dict[str, Any]
    restricted: bool = False
    rules: tuple[AccessRule, ...] | None = None


async def read_meaning(session: Session, world: World, token: Token) -> Meaning:
    """What it means. Raises Unauthorized."""
    holder = await session.first(USER, {"id": token.user_id})
    check_live(token, holder, "user")
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
    handed: Handed | None = None
    if token.delegation is not None:
        handed = await read_delegation(session, world, token, token.delegation, place.parent_id if place else None)
        shown |= handed.shown
    if token.scope.kind != "unscoped":
        if handed is not None:
            role_ids = handed.role_ids
        else:
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
    if handed is None:
        return Meaning(actor, shown)
    return Meaning(actor, shown, handed.restricted, handed.rules)


def _ends(holder: Any) -> str | None:
    """When the holder's password ends, if it does."""
    end = password_end(holder)
    return None if end is None else micros_text(end)


async def _place(session: Session, token: Token) -> Any:
    """The row of the project or domain it is scoped to."""
    if token.scope.kind not in {"project", "domain"}:
        return None
    place = await session.first(_PROJECT, {"id": token.scope.id})
    check_live(token, place, token.scope.kind)
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
