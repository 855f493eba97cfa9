"""What services that look at tokens on their own are to hear of: `/v3/OS-REVOKE/events`.

Whoever is disabled, or has a new password, says in the own row from when on its tokens count, and a single token is
noted where it is revoked. What is gone, or was taken away, has no row to say it in: it is noted here, in the
transaction in which it goes, for as long as a token from before may live. Our own check of a token asks the books and
never these notes.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, insert, select

from maldon.identity.models.group import membership
from maldon.identity.models.token import revocation
from maldon.identity.settings import IdentitySettings
from maldon.kernel.clock import SECOND
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session

About = dict[str, str]
"""Which tokens are meant: those that have all of these, such as a `user_id` and a `project_id`."""


def oldest(op: Op) -> int:
    """No token from before this moment is valid, whatever happened."""
    return op.clock.now() - op.use(IdentitySettings).token_lifetime_s * SECOND + 1


async def note(op: Op, session: Session, *events: About) -> None:
    """Write down that tokens like these, made until now, may mean less."""
    await session.run(delete(revocation).where(revocation.c.revoked_at < oldest(op)))
    made = [{"id": new_hex_id(), "revoked_at": op.clock.now(), "about": about} for about in events]
    if made:
        await session.run(insert(revocation), made)


async def noted(session: Session, since: int) -> list[Any]:
    """The notes since a moment, oldest first."""
    chosen = select(revocation).where(revocation.c.revoked_at >= since)
    return await session.all(chosen.order_by(revocation.c.revoked_at, revocation.c.id))


async def held_by(session: Session, actor_kind: str, actor_id: str) -> list[str]:
    """The ids of the users whose tokens lose what is taken from an actor: the user, or the members of the group."""
    if actor_kind == "user":
        return [actor_id]
    members = select(membership.c.user_id).where(membership.c.group_id == actor_id).order_by(membership.c.user_id)
    return [row.user_id for row in await session.all(members)]


def users(ids: Iterable[str]) -> list[About]:
    """One event for each."""
    return [{"user_id": id_} for id_ in ids]
