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


class NamedUser(msgspec.Struct):
    id: Ref | None = None
    name: Ref | None = None
    domain: DomainRef | None = None


class UserRef(NamedUser, kw_only=True):
    password: Password


class ByPassword(msgspec.Struct):
    user: UserRef


class TotpUser(NamedUser, kw_only=True):
    passcode: Annotated[str, Meta(min_length=1, max_length=32)]


class ByTotp(msgspec.Struct):
    user: TotpUser


class ByToken(msgspec.Struct):
    id: Annotated[str, Meta(max_length=2048)]


class ByApplicationCredential(msgspec.Struct):
    secret: Password
    id: Ref | None = None
    name: Ref | None = None
    user: NamedUser | None = None


class Proof(msgspec.Struct):
    """`methods` and, under the name of each, what it goes by."""

    methods: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(min_length=1, max_length=8)]
    password: ByPassword | None = None
    token: ByToken | None = None
    totp: ByTotp | None = None
    application_credential: ByApplicationCredential | None = None
    external: dict[str, Any] = {}
    oauth1: dict[str, Any] = {}


class System(msgspec.Struct):
    all: bool


class TrustRef(msgspec.Struct):
    id: Ref


class ScopeRef(msgspec.Struct):
    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: System | None = None
    unscoped: dict[str, Any] | None = None
    trust: TrustRef | None = msgspec.field(default=None, name="OS-TRUST:trust")


class Auth(msgspec.Struct):
    identity: Proof
    scope: ScopeRef | Literal["unscoped"] | None = None


class Login(msgspec.Struct):
    auth: Auth
