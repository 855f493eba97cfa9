"""Users change their passwords here, with the old one and without a token: it may have expired."""

from sqlalchemy import update

from maldon.identity.accounts import ACCOUNTS, proven
from maldon.identity.models.user import user
from maldon.identity.new_password import columns, keep_past, new_hash, refuse_locked, refuse_past, refuse_young
from maldon.identity.schemas.fields import load
from maldon.identity.schemas.user import ChangePassword
from maldon.identity.standing import REFUSED
from maldon.identity.verbs import directory
from maldon.identity.verifier import bump
from maldon.kernel.errors import BadRequest, Stale, Unauthorized
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty


async def change(request: Request, op: Op) -> Reply:
    """Whoever knows the old password may set a new one. It takes as long, and says as little, as a login."""
    wanted, _ = await load(request, "user", ChangePassword)
    if await directory.change_password(op, request.path["user_id"], wanted.original_password, wanted.password):
        return empty()
    chosen = ACCOUNTS.where(user.c.id == request.path["user_id"])
    row = await proven(op, chosen, wanted.original_password, expired_too=True)
    if not row.enabled or not row.domain_enabled:
        raise Unauthorized(REFUSED, internal=f"user {row.id} or the domain is disabled")
    refuse_locked(row)
    if wanted.password == wanted.original_password:
        raise BadRequest("The new password cannot be identical to the original password.")
    refuse_young(op, row)
    await refuse_past(op, row, wanted.password)
    values = columns(op, await new_hash(op, wanted.password), row.options, own=True)
    async with op.db.begin() as session:
        await bump(op, session)
        same = (user.c.id == row.id) & (user.c.password_at.is_not_distinct_from(row.password_at))
        if not await session.run(update(user).where(same).values(**values, tokens_from=op.clock.now())):
            raise Stale("The password has just been changed by somebody else.")
        await keep_past(op, session, row)
    return empty()
