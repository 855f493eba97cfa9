"""What a client may say of a share."""

from typing import Annotated, Literal

import msgspec

Status = Literal["pending", "accepted", "rejected"]


class NewMember(msgspec.Struct, forbid_unknown_fields=True):
    member: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class MemberStatus(msgspec.Struct, forbid_unknown_fields=True):
    status: Status
