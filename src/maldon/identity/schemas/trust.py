"""The body of a trust."""

from typing import Annotated

import msgspec
from msgspec import Meta

from maldon.identity.schemas.fields import Id, Moment, RoleRef

Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class CreateTrust(msgspec.Struct):
    """`trustor_user_id` is whoever makes it."""

    trustor_user_id: Id
    trustee_user_id: Id
    impersonation: bool
    project_id: Id | None = None
    roles: Annotated[list[RoleRef], Meta(max_length=256)] = []
    expires_at: Moment | None = None
    remaining_uses: Annotated[int, Meta(ge=1, le=2_147_483_647)] | None = None
    allow_redelegation: bool = False
    redelegation_count: Count | None = None
