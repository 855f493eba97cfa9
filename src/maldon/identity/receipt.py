"""A login by several methods that is not complete: the user's rules, and the receipt for what was shown so far.

A user may have rules, each a set of methods that suffices. Rules with a method that this cloud does not offer are
passed over; when no other is left, none holds. Whoever has shown too little gets a receipt, sealed like a token, and
comes back with it and the rest.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from maldon.identity.keys import TokenKeys
from maldon.identity.token import METHODS
from maldon.kernel.clock import micros_text
from maldon.kernel.errors import Unauthorized

_FORM = 101


class MoreNeeded(Unauthorized):
    """The methods shown do not suffice. `receipt` is for the header, `body` for the client."""

    code = "more-methods-needed"

    def __init__(self, receipt: str, body: dict[str, Any]) -> None:
        super().__init__("Further methods of authentication are needed.")
        self.receipt, self.body = receipt, body


@dataclass(frozen=True, slots=True)
class Receipt:
    """Who has shown what, and until when that counts."""

    user_id: str
    methods: tuple[str, ...]
    issued_at: int
    expires_at: int


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    form: int
    user_id: str
    methods: int
    issued_at: int
    expires_at: int


def rules_of(options: dict[str, Any] | None, offered: Container[str]) -> list[list[str]]:
    """The rules that a user's logins are under; none is no rule at all."""
    if not options or not options.get("multi_factor_auth_enabled"):
        return []
    return [rule for rule in options.get("multi_factor_auth_rules") or () if all(name in offered for name in rule)]


def suffices(rules: Iterable[list[str]], methods: Iterable[str]) -> bool:
    """Whether these methods satisfy one of the rules."""
    shown = set(methods)
    return any(shown.issuperset(rule) for rule in rules)


def seal(keys: TokenKeys, receipt: Receipt) -> str:
    """The receipt as its holder shows it."""
    methods = sum(1 << METHODS.index(name) for name in receipt.methods)
    packed = _Packed(_FORM, receipt.user_id, methods, receipt.issued_at, receipt.expires_at)
    return keys.seal(msgspec.msgpack.encode(packed))


def unseal(keys: TokenKeys, text: str, now: int) -> Receipt | None:
    """The receipt, if it is one of ours and still counts."""
    content = keys.open(text)
    try:
        packed = msgspec.msgpack.decode(content or b"", type=_Packed)
    except msgspec.DecodeError:
        return None
    if packed.form != _FORM or packed.expires_at <= now:
        return None
    methods = tuple(name for n, name in enumerate(METHODS) if packed.methods & 1 << n)
    return Receipt(packed.user_id, methods, packed.issued_at, packed.expires_at)


def show(receipt: Receipt, holder: Any, rules: list[list[str]]) -> dict[str, Any]:
    """As the API shows it; `holder` is the user's row with the domain's name."""
    return {
        "receipt": {
            "methods": receipt.methods,
            "user": {
                "id": holder.id,
                "name": holder.name,
                "domain": {"id": holder.domain_id, "name": holder.domain_name},
            },
            "issued_at": micros_text(receipt.issued_at) + "Z",
            "expires_at": micros_text(receipt.expires_at) + "Z",
        },
        "required_auth_methods": rules,
    }
