"""Application credentials, and the access rules that confine them."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, insert, select

from maldon.identity import rows
from maldon.identity.models.application_credential import (
    access_rule,
    application_credential,
    application_credential_access_rule,
    application_credential_role,
)
from maldon.identity.models.role import role
from maldon.identity.named import role_id
from maldon.identity.schemas.application_credential import CreateApplicationCredential, RuleRef
from maldon.identity.verifier import Verified, bump
from maldon.kernel.errors import BadRequest, Forbidden, NotFound
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session

_t, _rules = application_credential, access_rule
_MISSING = "Could not find Application Credential: {}."
_CALL = ("service", "method", "path")


async def create(
    op: Op, own: Verified, wanted: CreateApplicationCredential, hashed: str, ends_at: int | None
) -> tuple[Any, list[Any], list[Any]]:
    """A new one of the token's user, for the token's project: its row, and those of its roles and access rules."""
    project_id = own.meaning.actor.project_id
    if project_id is None:
        raise BadRequest("An application credential is for a project: a token for one is needed to make it.")
    user_id = own.token.user_id
    async with op.db.begin() as session:
        role_ids = await _chosen_roles(session, own, wanted)
        rule_ids = [await _rule_id(session, user_id, one) for one in wanted.access_rules or ()]
        values = {
            "id": new_hex_id(),
            "name": wanted.name,
            "user_id": user_id,
            "project_id": project_id,
            "description": wanted.description,
            "secret": hashed,
            "expires_at": ends_at,
            "unrestricted": bool(wanted.unrestricted),
            "ruled": wanted.access_rules is not None,
        }
        row = await rows.add(session, _t, "application_credential", values)
        given = [{"credential_id": row.id, "role_id": id_} for id_ in sorted(role_ids)]
        await session.run(insert(application_credential_role), given)
        if rule_ids:
            confined = [{"credential_id": row.id, "rule_id": id_} for id_ in sorted(set(rule_ids))]
            await session.run(insert(application_credential_access_rule), confined)
        roles, rules = await roles_of(session, [row.id]), await rules_of(session, [row.id])
    return row, roles.get(row.id, []), rules.get(row.id, [])


async def _chosen_roles(session: Session, own: Verified, wanted: CreateApplicationCredential) -> set[str]:
    """The ids of the roles asked for, all of which the token has; without a wish they are the token's."""
    held = {one["id"] for one in own.meaning.shown["roles"]}
    if not wanted.roles:
        return held
    try:
        given = {await role_id(session, one) for one in wanted.roles}
    except NotFound as error:
        raise BadRequest(f"Invalid application credential: {error.public}") from error
    if missing := given - held:
        raise BadRequest(f"Invalid application credential: you do not have the role {min(missing)} on this project.")
    return given


async def _rule_id(session: Session, user_id: str, shown: RuleRef) -> str:
    """The id of the user's access rule, which is made if there is none like it."""
    if shown.id is not None:
        found = await session.scalar(select(_rules.c.id).where(_rules.c.id == shown.id, _rules.c.user_id == user_id))
        if found is None:
            raise BadRequest(f"Invalid application credential: you have no access rule {shown.id}.")
        return str(found)
    call = {"service": shown.service, "method": shown.method, "path": shown.path}
    if None in call.values():
        raise BadRequest("An access rule has service, method and path, or the id of one that is there.")
    same = [_rules.c[name] == value for name, value in call.items()]
    found = await session.scalar(select(_rules.c.id).where(_rules.c.user_id == user_id, *same))
    if found is None:
        found = new_hex_id()
        await session.run(insert(_rules).values(id=found, user_id=user_id, **call))
    return str(found)


async def roles_of(session: Session, credential_ids: Iterable[str]) -> dict[str, list[Any]]:
    """The rows of the roles of credentials, by the credential's id."""
    link = application_credential_role
    chosen = select(link.c.credential_id, role.c.id, role.c.name, role.c.domain_id)
    chosen = chosen.join(role, role.c.id == link.c.role_id).where(link.c.credential_id.in_([*credential_ids]))
    return _grouped(await session.all(chosen.order_by(role.c.id)))


async def rules_of(session: Session, credential_ids: Iterable[str]) -> dict[str, list[Any]]:
    """The rows of the access rules of credentials, by the credential's id."""
    link = application_credential_access_rule
    chosen = select(link.c.credential_id, _rules.c.id, *(_rules.c[name] for name in _CALL))
    chosen = chosen.join(_rules, _rules.c.id == link.c.rule_id).where(link.c.credential_id.in_([*credential_ids]))
    return _grouped(await session.all(chosen.order_by(_rules.c.id)))


def _grouped(found: Iterable[Any]) -> dict[str, list[Any]]:
    by_credential: dict[str, list[Any]] = {}
    for row in found:
        by_credential.setdefault(row.credential_id, []).append(row)
    return by_credential


async def find(session: Session, user_id: str, id_: str) -> Any:
    """The row of one of a user's. Raises NotFound."""
    return await rows.need(session, _t, {"id": id_, "user_id": user_id}, _MISSING.format(id_))


async def remove(op: Op, user_id: str, id_: str) -> None:
    """Without the credential and its tokens; its access rules stay."""
    async with op.db.begin() as session:
        await bump(op, session)
        await rows.drop(session, _t, {"id": id_, "user_id": user_id}, _MISSING.format(id_))


async def find_rule(session: Session, user_id: str, id_: str) -> Any:
    """The row of one of a user's access rules. Raises NotFound."""
    return await rows.need(session, _rules, {"id": id_, "user_id": user_id}, f"Could not find Access Rule: {id_}.")


async def remove_rule(op: Op, user_id: str, id_: str) -> None:
    """Without the rule, unless a credential still has it. Raises Forbidden, NotFound."""
    link = application_credential_access_rule
    async with op.db.begin() as session:
        await find_rule(session, user_id, id_)
        if await session.first(select(link).where(link.c.rule_id == id_)) is not None:
            raise Forbidden(f"Access rule {id_} is in use by an application credential: delete that first.")
        await session.run(delete(_rules).where(_rules.c.id == id_))
