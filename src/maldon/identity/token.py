"""A token: who, how proven, for which scope, from when to when. Nothing that may change later is in it.

Roles, names and the catalog are looked up when it is verified. What its holder shows is in `providers`.
"""

import base64
import secrets
from dataclasses import dataclass
from typing import Literal

import msgspec

ScopeKind = Literal["unscoped", "project", "domain", "system"]
DelegationKind = Literal["trust", "application_credential", "oauth1"]
# Tokens hold places in these three: new words go to their ends.
_KINDS: tuple[ScopeKind, ...] = ("unscoped", "project", "domain", "system")
_DELEGATIONS: tuple[DelegationKind, ...] = ("trust", "application_credential", "oauth1")
METHODS = ("password", "token", "totp", "application_credential", "external", "oauth1", "ec2credential")
_FORM = 1


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is good for; `id` is that of the project or domain."""

    kind: ScopeKind = "unscoped"
    id: str = ""


UNSCOPED = Scope()


@dataclass(frozen=True, slots=True)
class Delegation:
    """What somebody has handed on, and by what: a token under it can do no more than that."""

    kind: DelegationKind
    id: str


@dataclass(frozen=True, slots=True)
class Token:
    """The first audit id is the token's own; the last is that of the login from which it descends."""

    user_id: str
    methods: tuple[str, ...]
    scope: Scope
    issued_at: int
    expires_at: int
    audit_ids: tuple[str, ...]
    delegation: Delegation | None = None


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    form: int
    user: bytes
    methods: int
    kind: int
    scope: bytes
    issued_at: int
    expires_at: int
    audit_ids: tuple[bytes, ...]
    delegation: int = 0
    delegation_id: bytes = b""


def new_audit_id() -> str:
    """22 characters that name a token without being it."""
    return _audit_text(secrets.token_bytes(16))


def pack(token: Token) -> bytes:
    """The token in few bytes."""
    handed = token.delegation
    packed = _Packed(
        _FORM,
        _short(token.user_id),
        sum(1 << METHODS.index(name) for name in token.methods),
        _KINDS.index(token.scope.kind),
        _short(token.scope.id),
        token.issued_at,
        token.expires_at,
        tuple(base64.urlsafe_b64decode(audit + "==") for audit in token.audit_ids),
        0 if handed is None else _DELEGATIONS.index(handed.kind) + 1,
        b"" if handed is None else _short(handed.id),
    )
    return msgspec.msgpack.encode(packed)


def unpack(content: bytes) -> Token | None:
    """The token, when it is one of a form that we know."""
    try:
        packed = msgspec.msgpack.decode(content, type=_Packed)
    except msgspec.DecodeError:
        return None
    if packed.form != _FORM:
        return None
    return Token(
        _long(packed.user),
        tuple(name for n, name in enumerate(METHODS) if packed.methods & 1 << n),
        Scope(_KINDS[packed.kind], _long(packed.scope)),
        packed.issued_at,
        packed.expires_at,
        tuple(_audit_text(audit) for audit in packed.audit_ids),
        Delegation(_DELEGATIONS[packed.delegation - 1], _long(packed.delegation_id)) if packed.delegation else None,
    )


def _audit_text(audit: bytes) -> str:
    return base64.urlsafe_b64encode(audit).decode().rstrip("=")


def _short(id_: str) -> bytes:
    """Half the length for the ids that we make ourselves, behind a byte that says so."""
    try:
        packed = bytes.fromhex(id_)
    except ValueError:
        return b"t" + id_.encode()
    return b"x" + packed if packed.hex() == id_ else b"t" + id_.encode()


def _long(packed: bytes) -> str:
    return packed[1:].hex() if packed[:1] == b"x" else packed[1:].decode()
