"""Whether somebody knows a user's password, and what follows from that.

Wrong passwords are counted where the settings ask for it; whoever has had too many is refused for a while, rightly or
not. An answer takes as long and says as little whether there is such a user, and whether that one is locked out: the
password is compared with something, and a failure written down somewhere. Only who knows the password hears that it has
expired.

A password is hashed outside of any transaction, so the count is looked at before and after, and a failure is counted
before the next password is looked at: guesses made at the same time gain no more than are hashed at the same time.
"""

from typing import Any

from sqlalchemy import Select, case, delete, insert, select, update

from maldon.identity.models.user import NOBODY, failed_login, user
from maldon.identity.named import DOMAIN
from maldon.identity.passwords import Passwords
from maldon.identity.plan.user_options import has, password_end
from maldon.identity.settings import IdentitySettings
from maldon.identity.standing import REFUSED
from maldon.identity.verifier import bump
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import Duplicate, Stale, Unauthorized
from maldon.kernel.op import Op

_NO_ROW = "-"
DAY = 24 * 60 * 60 * SECOND
ACCOUNTS = (
    select(user, DOMAIN.c.enabled.label("domain_enabled"), failed_login.c.times, failed_login.c.failed_at)
    .join_from(user, DOMAIN, DOMAIN.c.id == user.c.domain_id)
    .join(failed_login, failed_login.c.user_id == user.c.id, isouter=True)
)


def today(op: Op) -> int:
    """Days since 1970."""
    return op.clock.now() // DAY


async def proven(op: Op, chosen: Select[Any], password: str, *, expired_too: bool = False) -> Any:
    """The row that `chosen`, some of ACCOUNTS, gives, if that is the password. Raises Unauthorized."""
    row = await _look(op, chosen)
    known = row is not None and row.password is not None and not is_locked(op, row)
    passwords = op.use(Passwords)
    async with passwords.turn:
        right, fresh = await passwords.check_in_turn(row.password if known else None, password)
        right = known and right and await _still_open(op, chosen)
        if not right:
            await count_failure(op, row.id if known and is_counted(op, row) else NOBODY)
    if not right:
        raise Unauthorized(REFUSED, internal=f"wrong password, locked out or unknown: {row.id if row else 'nobody'}")
    await _note(op, row, fresh)
    end = password_end(row)
    if end is not None and end <= op.clock.now() and not expired_too:
        what = f"The password is expired and needs to be changed for user: {row.id}."
        raise Unauthorized(what, code="password-expired")
    return row


async def _look(op: Op, chosen: Select[Any]) -> Any:
    async with op.db.read() as session:
        return await session.first(chosen)


def is_counted(op: Op, row: Any) -> bool:
    """Whether the user's failures are counted."""
    return op.use(IdentitySettings).lockout_attempts > 0 and not has(row, "ignore_lockout_failure_attempts")


def is_locked(op: Op, row: Any) -> bool:
    """Whether the user has failed too often of late."""
    settings = op.use(IdentitySettings)
    many = row.times is not None and row.times >= settings.lockout_attempts
    return many and is_counted(op, row) and row.failed_at > op.clock.now() - settings.lockout_s * SECOND


async def _still_open(op: Op, chosen: Select[Any]) -> bool:
    """Whether the account has not been locked while the password was looked at."""
    if not op.use(IdentitySettings).lockout_attempts:
        return True
    row = await _look(op, chosen)
    return row is not None and not is_locked(op, row)


async def count_failure(op: Op, user_id: str) -> None:
    """One more wrong password in a row; a row ends when the lock would."""
    settings, now = op.use(IdentitySettings), op.clock.now()
    if not settings.lockout_attempts:
        return
    old = failed_login.c.failed_at <= now - settings.lockout_s * SECOND
    more = update(failed_login).values(times=case((old, 1), else_=failed_login.c.times + 1), failed_at=now)
    again = more.where(failed_login.c.user_id == user_id)
    try:
        async with op.db.begin() as session:
            if not await session.run(again):
                await session.run(insert(failed_login).values(user_id=user_id, times=1, failed_at=now))
            else:  # as many statements as the first time, and one row written
                await session.run(more.where(failed_login.c.user_id == _NO_ROW))
    except Duplicate:  # the first one of somebody else came between
        async with op.db.begin() as session:
            await session.run(again)


async def _note(op: Op, row: Any, fresh: str | None) -> None:
    """Write down what a right password changes: mostly nothing. Raises Unauthorized for who was away too long."""
    days = op.use(IdentitySettings).inactive_days
    values: dict[str, Any] = {} if fresh is None else {"password": fresh}
    if days and row.active_day != today(op):
        away = row.active_day is not None and today(op) - row.active_day > days
        if away and not has(row, "ignore_user_inactivity"):
            await _disable(op, row)
        values["active_day"] = today(op)
    if not values and row.times is None:
        return
    async with op.db.begin() as session:
        await session.run(delete(failed_login).where(failed_login.c.user_id == row.id))
        if values:
            same = (user.c.id == row.id) & (user.c.password == row.password)
            if not await session.run(update(user).where(same).values(**values)):
                raise Stale("The password has just been changed.")


async def _disable(op: Op, row: Any) -> None:
    async with op.db.begin() as session:
        await bump(op, session)
        same = (user.c.id == row.id) & (user.c.active_day == row.active_day)
        await session.run(update(user).where(same).values(enabled=False, tokens_from=op.clock.now()))
    raise Unauthorized(REFUSED, internal=f"user {row.id} was away too long and is disabled now")
