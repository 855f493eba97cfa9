"""Refuses paths with characters, lengths or patterns that an operator does not want. Off unless asked for."""

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from maldon.kernel.errors import BadRequest
from maldon.kernel.settings import option
from maldon.objectstore.middleware.layer import Handler, Layer
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store


@dataclass(frozen=True, slots=True)
class NameCheckSettings:
    forbidden_chars: str = option("'\"`<>", "Characters that no path may hold.")
    maximum_length: int = option(255, "Longest path in characters.")
    forbidden_regexp: str = option(r"/\./|/\.\./|/\.$|/\.\.$", "Pattern that no path may match; empty for none.")


def make(store: Store, below: Handler) -> Handler:
    wanted = store.option(NameCheckSettings)
    characters = set(wanted.forbidden_chars)
    pattern = re.compile(wanted.forbidden_regexp) if wanted.forbidden_regexp else None

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.path.account:
            _check(request.where)
        return below(request)

    def _check(where: str) -> None:
        if not characters.isdisjoint(where):
            raise BadRequest(f"Object/Container/Account name contains forbidden chars from {wanted.forbidden_chars}")
        if len(where) > wanted.maximum_length:
            raise BadRequest(f"Object/Container/Account name longer than the allowed maximum {wanted.maximum_length}")
        if pattern is not None and pattern.search(where):
            raise BadRequest(f"Object/Container/Account name contains a forbidden substring: {wanted.forbidden_regexp}")

    return handle


def info(store: Store) -> dict[str, Any]:
    wanted = store.option(NameCheckSettings)
    return {
        "forbidden_chars": wanted.forbidden_chars,
        "maximum_length": wanted.maximum_length,
        "forbidden_regexp": wanted.forbidden_regexp,
    }


LAYER = Layer("name_check", make, info, NameCheckSettings)
