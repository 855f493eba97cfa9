"""Op: whoever asks, and everything the asking may touch.

Requests, saga steps and loops get the same Op. Nothing else is global: no configuration, clock, session or client of a
module's own. The protocols here are what `store` and `web` provide.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from maldon.kernel.clock import Clock
from maldon.kernel.errors import Forbidden

T = TypeVar("T")


class Session(Protocol):
    """One transaction. It awaits nothing but its own statements: no file, no network, no sleep within."""

    async def all(self, statement: Any, params: Any = None) -> list[Any]:
        """Every row."""

    async def first(self, statement: Any, params: Any = None) -> Any:
        """The first row, or None."""

    async def scalar(self, statement: Any, params: Any = None) -> Any:
        """The first column of the first row, or None."""

    async def run(self, statement: Any, params: Any = None) -> int:
        """Execute an INSERT, UPDATE or DELETE (a list of params repeats it); the number of rows it matched.

        Raises Duplicate for a broken constraint and Stale when the database asks for a repeat.
        """

    async def lock(self, name: str) -> None:
        """Wait for whoever holds the same name in a transaction; then hold it until the end of this one."""

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` made once the transaction is committed; never, when it is not."""


class Database(Protocol):
    """Where sessions come from."""

    def begin(self) -> AbstractAsyncContextManager[Session]:
        """A transaction that may write: committed at the end of the block, rolled back by an exception."""

    def read(self) -> AbstractAsyncContextManager[Session]:
        """A transaction that only reads, from one snapshot where the database has them."""


class Rules(Protocol):
    """The policy: who may do what."""

    def allows(self, name: str, creds: Mapping[str, Any], target: Mapping[str, Any]) -> bool: ...


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `scope` fields are None where the token has none; roles are names, implied ones included."""

    user_id: str
    user_name: str = ""
    user_domain_id: str = "default"
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    roles: tuple[str, ...] = ()
    is_admin: bool = field(init=False, default=False)
    creds: Mapping[str, Any] = field(init=False, compare=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_admin", "admin" in self.roles)
        creds = {
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "project_domain_id": self.project_domain_id,
            "domain_id": self.domain_id,
            "system_scope": "all" if self.system else None,
            "roles": list(self.roles),
            "is_admin": self.is_admin,
            "is_admin_project": True,
        }
        object.__setattr__(self, "creds", creds)


NOBODY = Actor(user_id="")


class Op(msgspec.Struct, frozen=True, eq=False):  # made for every request: five times as quick as a frozen dataclass
    """One asking. `version` is the microversion in force, (0, 0) where the API has none.

    `kit` holds what a room needs beside the database, by type: its settings, its store of bytes, its keys.
    """

    actor: Actor
    request_id: str
    db: Database
    wake: Callable[[str], None]
    clock: Clock
    policy: Rules
    kit: Mapping[type, Any] = {}
    version: tuple[int, int] = (0, 0)
    asked: set[str] = msgspec.field(default_factory=set)

    def may(self, rule: str, target: Mapping[str, Any] | None = None) -> None:
        """Go on, or raise Forbidden naming the rule. Without a target it is the actor's own project and user."""
        if not self.can(rule, target):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.", internal=f"roles {self.actor.roles}")

    def can(self, rule: str, target: Mapping[str, Any] | None = None) -> bool:
        """Whether the policy allows it."""
        self.asked.add(rule)
        known = self.actor.creds if target is None else target
        # What a target does not have equals nothing: else nobody's thing would be everybody's without a project.
        return self.policy.allows(rule, self.actor.creds, {k: v for k, v in known.items() if v is not None})

    def use(self, kind: type[T]) -> T:
        """The process's one object of that type."""
        thing: T = self.kit[kind]
        return thing
