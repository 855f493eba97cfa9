"""What every layer and the core of a proxy are given: nothing else is global."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Actor
from maldon.objectstore.node import Book
from maldon.objectstore.policies import Policies
from maldon.objectstore.proxy.acl import BY_NAME, NAMES, admitted, parse, realm
from maldon.objectstore.proxy.known import Known
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.recon.answers import Recon
from maldon.objectstore.settings import ObjectSettings

T = TypeVar("T")


class Verifier(Protocol):
    """Turns a token into whoever holds it."""

    async def actor(self, token: str) -> Actor:
        """Raises Unauthorized."""

    def remembered(self, token: str) -> Actor | None:
        """Whoever holds a token that was seen just now: no await, for the hot paths."""


@dataclass(frozen=True, slots=True)
class Store:
    """One proxy. `options` holds the layers' own settings by their type."""

    settings: ObjectSettings
    policies: Policies
    placing: Placing
    known: Known
    verifier: Verifier | None = None
    auth_url: str = ""
    options: Mapping[type, Any] = field(default_factory=dict)
    recon: Recon | None = None

    def option(self, kind: type[T]) -> T:
        """A layer's own settings."""
        chosen: T | None = self.options.get(kind)
        return kind() if chosen is None else chosen

    def permit(self, request: ObjectRequest, book: Book | None, acl: str = "") -> None:
        """Go on, or raise what the layer that knows the asker says. `acl` names the list that may admit others."""
        if request.trusted:
            return
        headers = book.headers if book is not None else {}
        if request.authorize is not None:
            request.authorize(request, lists_of(headers, acl) if acl in headers else {})
        elif acl not in headers or not admitted(request, parse(headers[acl][0])):
            error = Unauthorized("")
            error.headers = (("WWW-Authenticate", f'Swift realm="{realm(request)}"'),)
            raise error


def lists_of(headers: Mapping[str, tuple[str, int]], acl: str) -> dict[str, str]:
    """An access list of a container, first, and whether it may have names."""
    text, names = headers[acl][0], NAMES.get(acl)
    return {acl: text, BY_NAME: ""} if names in headers else {acl: text}
