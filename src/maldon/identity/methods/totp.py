"""A one-time passcode by time, from a secret that the user has as a credential of type totp.

A passcode is taken once. Failures count like wrong passwords do where those are counted, for six digits are soon tried.
"""

import hmac
from typing import Any

from sqlalchemy import delete, insert

from maldon.identity.accounts import ACCOUNTS, count_failure, is_counted, is_locked
from maldon.identity.methods.proven import Proven
from maldon.identity.models.token import used_passcode
from maldon.identity.models.user import NOBODY
from maldon.identity.named import is_user
from maldon.identity.plan.passcode import STEP_S, passcode, secret_of
from maldon.identity.schemas.token import Proof
from maldon.identity.settings import IdentitySettings
from maldon.identity.standing import REFUSED
from maldon.identity.verbs.credential import blobs_of
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import Duplicate, Unauthorized
from maldon.kernel.op import Op
from maldon.web.request import Request

_NOBODYS = bytes(20)


async def prove(op: Op, _request: Request, proof: Proof) -> Proven:
    """The user whose secret has made the passcode."""
    assert proof.totp is not None
    shown = proof.totp.user
    async with op.db.read() as session:
        row = await session.first(ACCOUNTS.where(is_user(shown)))
        blobs = await blobs_of(op, session, row.id if row is not None else NOBODY, "totp")
    secrets = [secret for blob in blobs if (secret := secret_of(blob)) is not None]
    step = _matching(op, secrets or [_NOBODYS], shown.passcode)
    if row is None or not secrets or step is None or is_locked(op, row):
        await count_failure(op, row.id if row is not None and is_counted(op, row) else NOBODY)
        raise Unauthorized(REFUSED, internal=f"wrong passcode, locked out or unknown: {row.id if row else 'nobody'}")
    await _use_up(op, row, step)
    return Proven(str(row.id))


def _matching(op: Op, secrets: list[bytes], shown: str) -> int | None:
    """The step of time that the passcode is of; every one is compared, whichever it is."""
    now = op.clock.now() // (STEP_S * SECOND)
    steps = range(now, now - op.use(IdentitySettings).passcode_steps_back - 1, -1)
    tries = [(step, passcode(secret, step)) for step in steps for secret in secrets]
    right = [step for step, one in tries if hmac.compare_digest(one.encode(), shown.encode())]
    return right[0] if right else None


async def _use_up(op: Op, row: Any, step: int) -> None:
    oldest = op.clock.now() // (STEP_S * SECOND) - op.use(IdentitySettings).passcode_steps_back
    try:
        async with op.db.begin() as session:
            await session.run(insert(used_passcode).values(user_id=row.id, step=step))
            await session.run(
                delete(used_passcode).where(used_passcode.c.user_id == row.id, used_passcode.c.step < oldest)
            )
    except Duplicate as error:
        raise Unauthorized(REFUSED, internal=f"user {row.id} has used the passcode already") from error
