"""A token: who, how proven, for which scope, from when to when. Nothing that may change later is in it.

Sealed it is a Fernet token of about 200 characters. Roles, names and the catalog are looked up when it is verified.
"""

import base64
import secrets
from dataclasses import dataclass
from typing import Literal

import msgspec

from maldon.identity.keys import TokenKeys

ScopeKind = Literal["unscoped", "project", "domain", "system"]
_KINDS: tuple[ScopeKind, ...] = ("unscoped", "project", "domain", "system")
METHODS = ("password", "token", "ec2credential")
_FORM = 1


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is good for; `id` is that of the project or domain."""

    kind: ScopeKind = "unscoped"
    id: str = ""


UNSCOPED = Scope()


@dataclass(frozen=True, slots=True)
class Token:
    """The first audit id is the token's own; the last is that of the login from which it descends."""

    user_id: str
    methods: tuple[str, ...]
    scope: Scope
    issued_at: int
    expires_at: int
    audit_ids: tuple[str, ...]


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    form: int
    user: bytes
    methods: int
    kind: int
    scope: bytes
    issued_at: int
    expires_at: int
    audit_ids: tuple[bytes, ...]


def new_audit_id() -> str:
    """22 characters that name a token without being it."""
    return _audit_text(secrets.token_bytes(16))


def seal(keys: TokenKeys, token: Token) -> str:
    """The token as its holder shows it."""
    packed = _Packed(
        _FORM,
        _short(token.user_id),
        sum(1 << METHODS.index(name) for name in token.methods),
        _KINDS.index(token.scope.kind),
        _short(token.scope.id),
        token.issued_at,
        token.expires_at,
        tuple(base64.urlsafe_b64decode(audit + "==") for audit in token.audit_ids),
    )
    return keys.seal(msgspec.msgpack.encode(packed))


def unseal(keys: TokenKeys, text: str) -> Token | None:
    """The token, when one of our keys has sealed it and we know its form."""
    content = keys.open(text)
    if content is None:
        return None
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
