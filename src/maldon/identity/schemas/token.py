"""The body of a login: who, how proven, for which scope."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from maldon.identity.schemas.fields import Password

Ref = Annotated[str, Meta(max_length=255)]


class DomainRef(msgspec.Struct):
    id: Ref | None = None
    name: Ref | None = None


class ProjectRef(msgspec.Struct):
    id: Ref | None = None
    name: Ref | None = None
    domain: DomainRef | None = None


class UserRef(msgspec.Struct):
    password: Password
    id: Ref | None = None
    name: Ref | None = None
    domain: DomainRef | None = None


class ByPassword(msgspec.Struct):
    user: UserRef


class ByToken(msgspec.Struct):
    id: Annotated[str, Meta(max_length=2048)]


class Proof(msgspec.Struct):
    methods: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(min_length=1, max_length=8)]
    password: ByPassword | None = None
    token: ByToken | None = None


class System(msgspec.Struct):
    all: bool


class ScopeRef(msgspec.Struct):
    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: System | None = None
    unscoped: dict[str, Any] | None = None
    trust: Any = msgspec.field(default=None, name="OS-TRUST:trust")


class Auth(msgspec.Struct):
    identity: Proof
    scope: ScopeRef | Literal["unscoped"] | None = None


class Login(msgspec.Struct):
    auth: Auth
