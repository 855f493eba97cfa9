"""From a request that was signed with an EC2 credential to a token: what EC2 and S3 services ask on a user's behalf.

The token is for the credential's project. Whether the credential exists or its signature is wrong is not told, and
takes the same time. Who may ask is guarded by the routes' rules: a signed request seen on its way would otherwise be
as good as a login.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from maldon.identity.credential_keys import CredentialKeys
from maldon.identity.delegated import delegation_end
from maldon.identity.settings import IdentitySettings
from maldon.identity.standing import REFUSED
from maldon.identity.token import Delegation, Scope, Token, new_audit_id
from maldon.identity.verbs import credential as credentials
from maldon.identity.verifier import TokenVerifier, Verified
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Op

_NOBODYS = "0" * 32


async def login_signed(op: Op, access: str, is_right: Callable[[str], bool]) -> tuple[str, Verified]:
    """A token for whoever's secret `is_right` accepts. Raises Unauthorized, never saying why."""
    async with op.db.read() as session:
        row = await credentials.by_access(session, access)
        held = _opened(op, row)
        right = is_right(held.get("secret", _NOBODYS))
        if row is None or not held or not right:
            raise Unauthorized(REFUSED, internal=f"no credential {access[:40]} has signed this")
        handed = credentials.delegation(held)
        ends_at = None if handed is None else await delegation_end(session, handed)
    return await op.use(TokenVerifier).issue(_token(op, row, handed, ends_at))


def _opened(op: Op, row: Any) -> dict[str, Any]:
    blob = op.use(CredentialKeys).reveal(row.sealed if row is not None else None)
    return {} if blob is None else msgspec.json.decode(blob, type=dict[str, Any])


def _token(op: Op, row: Any, handed: Delegation | None, ends_at: int | None) -> Token:
    """The token for the credential's project; it does not outlive what it was made under."""
    now = op.clock.now()
    expires_at = now + op.use(IdentitySettings).token_lifetime_s * SECOND
    if ends_at is not None and ends_at <= now:
        raise Unauthorized(REFUSED, internal=f"what credential {row.id} was made under has expired")
    return Token(
        row.user_id,
        ("ec2credential",),
        Scope("project", row.project_id),
        now,
        expires_at if ends_at is None else min(expires_at, ends_at),
        (new_audit_id(),),
        handed,
    )
