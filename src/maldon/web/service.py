"""One API as data: its routes, its rules, its way to refuse. `app.py` makes it answer.

A route table maps a path to methods, and a method to a handler and the name of the policy rule that the handler asks.
A handler that answers without having asked its rule is our bug and is answered 500: nothing is served unguarded. Two
words stand where no rule is asked: PUBLIC needs no token, AUTHENTICATED any valid one.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from maldon.kernel.op import Op
from maldon.web.dialects import Dialect
from maldon.web.microversion import Versions
from maldon.web.policy import Rule
from maldon.web.request import Reply, Request

PUBLIC = "(public)"
AUTHENTICATED = "(authenticated)"

Handler = Callable[[Request, Op], Awaitable[Reply]]
Routes = Mapping[str, Mapping[str, tuple[Handler, str]]]


@dataclass(frozen=True, slots=True)
class Service:
    """One API. `prefix` is its place on the shared port ("/compute"), `port` its native one.

    `ends_in_slash` says that a slash at a path's end means nothing; otherwise it is followed by an id that is missing.
    """

    name: str
    prefix: str
    port: int
    routes: Routes
    rules: tuple[Rule, ...]
    dialect: Dialect
    versions: Versions | None = None
    ends_in_slash: bool = True
    aliases: Mapping[str, str] = field(default_factory=dict)
