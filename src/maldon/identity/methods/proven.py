"""What a method of authentication has shown."""

from dataclasses import dataclass

from maldon.identity.token import Delegation, Scope, Token


@dataclass(frozen=True, slots=True)
class Proven:
    """Who it is. No token may live beyond `expires_at`; one under a delegation has its scope and no other."""

    user_id: str
    expires_at: int | None = None
    parent: Token | None = None
    delegation: Delegation | None = None
    scope: Scope | None = None
