"""The body of an application credential."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from maldon.identity.schemas.fields import Id, Moment, Name, RoleRef, Text

Secret = Annotated[str, Meta(min_length=1, max_length=4096)]


class RuleRef(msgspec.Struct):
    """An access rule that is there, by its id, or one to be made."""

    id: Id | None = None
    service: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] | None = None
    path: Annotated[str, Meta(min_length=1, max_length=255, pattern="^/")] | None = None


class CreateApplicationCredential(msgspec.Struct):
    """Without roles it gets those of the token that makes it, without a secret one that is made up."""

    name: Name
    secret: Secret | None = None
    description: Text | None = None
    expires_at: Moment | None = None
    roles: Annotated[list[RoleRef], Meta(max_length=256)] | None = None
    unrestricted: bool | None = None
    access_rules: Annotated[list[RuleRef], Meta(max_length=100)] | None = None
