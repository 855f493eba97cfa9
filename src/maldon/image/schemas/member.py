"""What a client may say of a share. Other words are let pass: openstacksdk sends back what it knows of the share."""

from typing import Annotated, Literal

import msgspec

Status = Literal["pending", "accepted", "rejected"]


class NewMember(msgspec.Struct):
    member: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class MemberStatus(msgspec.Struct):
    status: Status
