"""What a new password must be, and what is written with it.

Its form is asked of every password. How old the present one is, and whether it is one of the last, is asked only of who
changes the own password: an administrator may reset one at any time.
"""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import delete, insert, select

from maldon.identity.accounts import DAY
from maldon.identity.models.user import past_password
from maldon.identity.passwords import Passwords
from maldon.identity.plan.user_options import has
from maldon.identity.settings import IdentitySettings
from maldon.kernel.clock import seconds_text
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op, Session

_compiled = lru_cache(maxsize=8)(re.compile)


async def new_hash(op: Op, password: str) -> str:
    """What to store of a password in good form. Raises BadRequest."""
    settings = op.use(IdentitySettings)
    if settings.password_pattern and not _compiled(settings.password_pattern).match(password):
        what = settings.password_words or f"it has to match {settings.password_pattern}"
        raise BadRequest(f"The password does not match the requirements: {what}.")
    return await op.use(Passwords).hash(password)


def columns(op: Op, hashed: str, options: Any, *, own: bool) -> dict[str, Any]:
    """A user's columns with a new password. One that somebody else has set may have to be changed first of all."""
    settings, now = op.use(IdentitySettings), op.clock.now()
    end = now + settings.password_expires_days * DAY if settings.password_expires_days else None
    if settings.change_first_password and not own:
        end = end if (options or {}).get("ignore_change_password_upon_first_use") else now
    return {"password": hashed, "password_at": now, "password_own": own, "password_expires_at": end}


NO_PASSWORD = {"password": None, "password_at": None, "password_own": None, "password_expires_at": None}


def refuse_young(op: Op, row: Any) -> None:
    """A password of the own choice is kept for a while. Raises BadRequest."""
    days = op.use(IdentitySettings).password_least_age_days
    if days and row.password_own and op.clock.now() < row.password_at + days * DAY:
        until = seconds_text(row.password_at + days * DAY)
        raise BadRequest(f"The password has to be kept for {days} days. It can be changed from {until}Z on.")


def refuse_locked(row: Any) -> None:
    """Some may not change their passwords. Raises BadRequest."""
    if has(row, "lock_password"):
        raise BadRequest("The password of this user is locked.")


async def refuse_past(op: Op, row: Any, password: str) -> None:
    """A password chosen before is not chosen again. Raises BadRequest."""
    last = op.use(IdentitySettings).password_unique_last
    async with op.db.read() as session:
        stored = [kept.password for kept in await session.all(_kept(row.id).limit(max(last - 1, 0)))]
    for hashed in stored:
        if (await op.use(Passwords).check(hashed, password))[0]:
            raise BadRequest(f"The new password cannot be identical to one of the last {last} passwords.")


async def keep_past(op: Op, session: Session, row: Any) -> None:
    """Keep the password that is being replaced, as long as it may not come back, and no longer."""
    wanted = op.use(IdentitySettings).password_unique_last - 1
    if wanted > 0 and row.password is not None:
        at = row.password_at or 0
        await session.run(
            delete(past_password).where(past_password.c.user_id == row.id, past_password.c.password_at == at)
        )
        await session.run(insert(past_password).values(user_id=row.id, password_at=at, password=row.password))
    outdated = [kept.password_at for kept in (await session.all(_kept(row.id)))[max(wanted, 0) :]]
    if outdated:
        gone = past_password.c.password_at.in_(outdated)
        await session.run(delete(past_password).where(past_password.c.user_id == row.id, gone))


def _kept(user_id: str) -> Any:
    return select(past_password).where(past_password.c.user_id == user_id).order_by(past_password.c.password_at.desc())
