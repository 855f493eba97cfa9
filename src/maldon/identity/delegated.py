"""What was handed on to the holder of a token, and is still there: the roles, and how the token shows it.

A trust gives its roles as long as the trustor has them all; an application credential, and an OAuth access token, as
long as its user has. Whoever handed on must be alive like the holder. Anything else raises Unauthorized.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from maldon.identity.models.application_credential import (
    access_rule,
    application_credential,
    application_credential_access_rule,
    application_credential_role,
)
from maldon.identity.models.oauth1 import access_token
from maldon.identity.models.trust import trust, trust_role
from maldon.identity.plan.access_rules import AccessRule
from maldon.identity.plan.effective import closure
from maldon.identity.standing import REFUSED, USER, check_live, roles_at
from maldon.identity.token import Delegation, Scope, Token
from maldon.identity.world import World
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Session

_TRUST = select(trust).where(trust.c.id == bindparam("id"))
_TRUST_ROLES = select(trust_role.c.role_id).where(trust_role.c.trust_id == bindparam("id"))
_ACCESS_TOKEN = select(access_token).where(access_token.c.id == bindparam("id"))
_CREDENTIAL = select(application_credential).where(application_credential.c.id == bindparam("id"))
_CREDENTIAL_ROLES = select(application_credential_role.c.role_id).where(
    application_credential_role.c.credential_id == bindparam("id")
)
_CREDENTIAL_RULES = (
    select(access_rule.c.id, access_rule.c.service, access_rule.c.method, access_rule.c.path)
    .join(application_credential_access_rule, application_credential_access_rule.c.rule_id == access_rule.c.id)
    .where(application_credential_access_rule.c.credential_id == bindparam("id"))
    .order_by(access_rule.c.id)
)


@dataclass(frozen=True, slots=True)
class Handed:
    """`restricted` holders hand nothing further on; `rules` confine the holder to some calls, None to none."""

    role_ids: set[str]
    shown: dict[str, Any]
    restricted: bool = True
    rules: tuple[AccessRule, ...] | None = None


Reader = Callable[[Session, World, Token, Delegation, str | None], Awaitable[Handed]]


async def read_delegation(
    session: Session, world: World, token: Token, handed: Delegation, parent_id: str | None
) -> Handed:
    """What the token's delegation gives; `parent_id` is what is above the project of its scope."""
    reader = _READERS.get(handed.kind)
    if reader is None:
        raise Unauthorized(REFUSED, internal=f"nobody reads what is delegated by {handed.kind}")
    return await reader(session, world, token, handed, parent_id)


async def delegation_end(session: Session, handed: Delegation) -> int | None:
    """When it ends, None for never. Raises Unauthorized where it is gone already."""
    table = _TABLES[handed.kind]
    row = await session.first(select(table.c.expires_at).where(table.c.id == handed.id))
    if row is None:
        raise Unauthorized(REFUSED, internal=f"{handed.kind} {handed.id} is gone")
    end: int | None = row.expires_at
    return end


async def _trust(session: Session, world: World, token: Token, handed: Delegation, parent_id: str | None) -> Handed:
    row = await session.first(_TRUST, {"id": handed.id})
    if row is None:
        raise Unauthorized(REFUSED, internal=f"trust {handed.id} is gone")
    holder = row.trustor_user_id if row.impersonation else row.trustee_user_id
    if token.user_id != holder or (token.scope.kind == "project" and token.scope.id != row.project_id):
        raise Unauthorized(REFUSED, internal=f"trust {row.id} is of somebody else, or for another project")
    first = row
    while first.redelegated_trust_id is not None:
        first = await session.first(_TRUST, {"id": first.redelegated_trust_id})
    for user_id in sorted({row.trustor_user_id, row.trustee_user_id, first.trustor_user_id} - {token.user_id}):
        check_live(token, await session.first(USER, {"id": user_id}), "user")
    role_ids = {one.role_id for one in await session.all(_TRUST_ROLES, {"id": row.id})}
    if token.scope.kind == "project":
        held = await roles_at(session, first.trustor_user_id, token.scope, parent_id)
        _check_held(world, role_ids, held, f"trustor {first.trustor_user_id} of trust {row.id}")
    shown = {
        "id": row.id,
        "impersonation": row.impersonation,
        "trustee_user": {"id": row.trustee_user_id},
        "trustor_user": {"id": row.trustor_user_id},
    }
    if row.redelegated_trust_id is not None:
        shown |= {"redelegated_trust_id": row.redelegated_trust_id, "redelegation_count": row.redelegation_count}
    return Handed(role_ids, {"OS-TRUST:trust": shown})


async def _application_credential(
    session: Session, world: World, token: Token, handed: Delegation, parent_id: str | None
) -> Handed:
    row = await session.first(_CREDENTIAL, {"id": handed.id})
    if row is None or row.user_id != token.user_id or token.scope != Scope("project", row.project_id):
        raise Unauthorized(REFUSED, internal=f"application credential {handed.id} is gone, or another's")
    role_ids = {one.role_id for one in await session.all(_CREDENTIAL_ROLES, {"id": row.id})}
    held = await roles_at(session, token.user_id, token.scope, parent_id)
    _check_held(world, role_ids, held, f"user {token.user_id} of application credential {row.id}")
    shown: dict[str, Any] = {"id": row.id, "name": row.name, "restricted": not row.unrestricted}
    rules = None
    if row.ruled:
        rules = tuple(AccessRule(*one) for one in await session.all(_CREDENTIAL_RULES, {"id": row.id}))
        shown["access_rules"] = [
            {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path} for rule in rules
        ]
    return Handed(role_ids, {"application_credential": shown}, not row.unrestricted, rules)


def _check_held(world: World, handed: set[str], held: set[str], who: str) -> None:
    if lost := handed - closure(held, world.implied):
        raise Unauthorized(REFUSED, internal=f"{who} has lost the roles {', '.join(sorted(lost))}")


async def _oauth1(session: Session, world: World, token: Token, handed: Delegation, parent_id: str | None) -> Handed:
    row = await session.first(_ACCESS_TOKEN, {"id": handed.id})
    if row is None or row.user_id != token.user_id:
        raise Unauthorized(REFUSED, internal=f"access token {handed.id} is gone")
    held = await roles_at(session, token.user_id, token.scope, parent_id)
    _check_held(world, set(row.role_ids), held, f"user {token.user_id} of access token {row.id}")
    shown = {"access_token_id": row.id, "consumer_id": row.consumer_id}
    return Handed(set(row.role_ids), {"OS-OAUTH1": shown})


_TABLES = {"trust": trust, "application_credential": application_credential, "oauth1": access_token}
_READERS: Mapping[str, Reader] = {
    "trust": _trust,
    "application_credential": _application_credential,
    "oauth1": _oauth1,
}
