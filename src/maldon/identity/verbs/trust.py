"""Trusts: made by a trustor, used by a trustee, handed on as often as the trustor allows.

A trust gives roles that the trustor has on the project. One made with the token of another trust hangs on that one: it
gives no more, ends no later and goes with it. A use is counted when the token is made, not when it is asked for.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select, update

from maldon.identity import revocations, rows
from maldon.identity.models.project import project
from maldon.identity.models.role import role
from maldon.identity.models.trust import trust, trust_role
from maldon.identity.models.user import user
from maldon.identity.named import role_id
from maldon.identity.plan.effective import closure
from maldon.identity.schemas.trust import CreateTrust
from maldon.identity.settings import IdentitySettings
from maldon.identity.standing import roles_at
from maldon.identity.token import Delegation, Scope, Token
from maldon.identity.verifier import TokenVerifier, Verified, bump
from maldon.kernel.errors import BadRequest, Forbidden, NotFound, Unauthorized
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session


def usable(now: int) -> Any:
    """Of a row: it has neither ended nor been used up."""
    return and_(
        or_(trust.c.expires_at.is_(None), trust.c.expires_at > now),
        or_(trust.c.remaining_uses.is_(None), trust.c.remaining_uses > 0),
    )


async def find(session: Session, trust_id: str, now: int) -> Any:
    """The row of a trust that is still good for something. Raises NotFound."""
    row = await session.first(select(trust).where(trust.c.id == trust_id, usable(now)))
    if row is None:
        raise NotFound(f"Could not find trust: {trust_id}.")
    return row


async def roles_of(session: Session, trust_ids: Iterable[str]) -> dict[str, list[Any]]:
    """The rows of the roles that trusts give, by the trust's id."""
    chosen = select(trust_role.c.trust_id, role.c.id, role.c.name, role.c.description)
    chosen = chosen.join(role, role.c.id == trust_role.c.role_id).where(trust_role.c.trust_id.in_([*trust_ids]))
    found: dict[str, list[Any]] = {}
    for row in await session.all(chosen.order_by(role.c.id)):
        found.setdefault(row.trust_id, []).append(row)
    return found


async def create(op: Op, own: Verified, wanted: CreateTrust, ends_at: int | None) -> Any:
    """The row of a new trust. `own` is the token of whoever makes it."""
    now = op.clock.now()
    if ends_at is not None and ends_at <= now:
        raise BadRequest("expires_at must be in the future.")
    async with op.db.begin() as session:
        ended = (trust.c.trustor_user_id == wanted.trustor_user_id) & (trust.c.expires_at <= now)
        await session.run(delete(trust).where(ended))
        parent = await _parent(session, own.token, now)
        await rows.found(session, user, "user", wanted.trustee_user_id)
        role_ids = await _chosen_roles(session, own, wanted, parent)
        values = {
            "id": new_hex_id(),
            "trustor_user_id": wanted.trustor_user_id,
            "trustee_user_id": wanted.trustee_user_id,
            "project_id": wanted.project_id,
            "impersonation": wanted.impersonation,
            "expires_at": ends_at,
            "remaining_uses": wanted.remaining_uses,
            "redelegation_count": _further(wanted, parent, op.use(IdentitySettings).trust_redelegations),
            "redelegated_trust_id": None,
        }
        if parent is not None:
            values |= _within(wanted, ends_at, parent)
        row = await rows.add(session, trust, "trust", values)
        if role_ids:
            await session.run(insert(trust_role), [{"trust_id": row.id, "role_id": id_} for id_ in sorted(role_ids)])
    return row


async def _parent(session: Session, token: Token, now: int) -> Any:
    """The trust that is handed on, if the token is that of one."""
    if token.delegation is None or token.delegation.kind != "trust":
        return None
    parent = await find(session, token.delegation.id, now)
    if not parent.redelegation_count:
        raise Forbidden(f"The trust {parent.id} may not be handed on.")
    return parent


async def _chosen_roles(session: Session, own: Verified, wanted: CreateTrust, parent: Any) -> set[str]:
    """The ids of the roles to be given, all of which the trustor has on the project by the token."""
    if wanted.project_id is None:
        if wanted.roles:
            raise BadRequest("A trust that gives roles needs a project_id.")
        return set()
    place = await rows.found(session, project, "project", wanted.project_id)
    if not wanted.roles:
        raise Forbidden("At least one role should be specified.")
    given = {await role_id(session, one) for one in wanted.roles}
    if parent is None:
        held = await roles_at(session, wanted.trustor_user_id, Scope("project", place.id), place.parent_id)
    else:
        held = {row.id for row in (await roles_of(session, [parent.id])).get(parent.id, ())}
    if missing := given - closure(held, own.world.implied):
        raise (NotFound if parent is None else Forbidden)(
            f"The trustor does not have the role {min(missing)} on the project."
        )
    return given


def _further(wanted: CreateTrust, parent: Any, most: int) -> int:
    """How many further links may follow."""
    if not wanted.allow_redelegation:
        return 0
    if wanted.remaining_uses is not None:
        raise Forbidden("remaining_uses must not be set if redelegation is allowed.")
    left = most if parent is None else parent.redelegation_count - 1
    if wanted.redelegation_count is not None and wanted.redelegation_count > left:
        raise Forbidden(f"The redelegation_count may be at most {left} here.")
    return left if wanted.redelegation_count is None else wanted.redelegation_count


def _within(wanted: CreateTrust, ends_at: int | None, parent: Any) -> dict[str, Any]:
    """What follows from the trust that this one hangs on."""
    if wanted.impersonation and not parent.impersonation:
        raise Forbidden("Impersonation is not allowed because the trust handed on does not have it.")
    if wanted.project_id != parent.project_id:
        raise Forbidden("A trust that is handed on is for the same project.")
    if parent.expires_at is not None and (ends_at or parent.expires_at) > parent.expires_at:
        raise Forbidden("A trust that is handed on ends no later than the one it comes from.")
    return {"redelegated_trust_id": parent.id, "expires_at": ends_at or parent.expires_at}


async def remove(op: Op, session: Session, trust_id: str) -> None:
    """Without the trust, those that hang on it, and their tokens."""
    await bump(op, session)
    await session.run(delete(trust).where(trust.c.id == trust_id))
    await revocations.note(op, session, {"trust_id": trust_id})


async def issue_by_trust(op: Op, token: Token, trust_id: str) -> tuple[str, Verified]:
    """A token of the trust for its trustee, who is `token`'s user. Counts as a use."""
    if token.delegation is not None:
        raise Forbidden("A token that was delegated cannot be used to make another token.")
    async with op.db.read() as session:
        row = await find(session, trust_id, op.clock.now())
    if row.trustee_user_id != token.user_id:
        raise Forbidden("User is not a trustee.")
    scoped = replace(
        token,
        user_id=row.trustor_user_id if row.impersonation else row.trustee_user_id,
        scope=Scope("project", row.project_id) if row.project_id is not None else token.scope,
        expires_at=min(token.expires_at, row.expires_at or token.expires_at),
        delegation=Delegation("trust", row.id),
    )
    try:
        issued = await op.use(TokenVerifier).issue(scoped)
    except Unauthorized as error:
        why = "The trust gives nothing: the trustor is disabled, or has lost the roles or the project."
        raise Forbidden(why, internal=error.internal) from error
    if row.remaining_uses is not None:
        await _count_use(op, trust_id)
    return issued


async def _count_use(op: Op, trust_id: str) -> None:
    async with op.db.begin() as session:
        used = update(trust).where(trust.c.id == trust_id, trust.c.remaining_uses > 0)
        if not await session.run(used.values(remaining_uses=trust.c.remaining_uses - 1)):
            raise Forbidden("No remaining uses for trust.", internal=f"trust {trust_id}")
