"""Bodies of credentials and of requests that were signed with one."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from maldon.identity.schemas.fields import Id, Name

Blob = Annotated[str, Meta(max_length=65_536)]
Line = Annotated[str, Meta(max_length=8192)]
Short = Annotated[str, Meta(min_length=1, max_length=255)]


class CreateCredential(msgspec.Struct):
    user_id: Id
    type: Name
    blob: Blob
    project_id: Id | None = None


class UpdateCredential(msgspec.Struct):
    user_id: Id | UnsetType = UNSET
    type: Name | UnsetType = UNSET
    blob: Blob | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET


class CreateEc2(msgspec.Struct):
    tenant_id: Id


class Signed(msgspec.Struct):
    """A request to an EC2 API, taken apart by whoever received it."""

    access: Short
    signature: Short
    host: Short
    verb: Short
    path: Annotated[str, Meta(min_length=1, max_length=8192)]
    params: dict[Line, Line] = {}
    headers: dict[Line, Line] = {}
    body_hash: Short | None = None


class Ec2Login(msgspec.Struct):
    credentials: Signed | None = None
    ec2_credentials: Signed | None = msgspec.field(default=None, name="ec2Credentials")


class SignedText(msgspec.Struct):
    """What a request to an S3 API had to sign, in base64."""

    access: Short
    token: Annotated[str, Meta(min_length=1, max_length=65_536)]
    signature: Short


class S3Login(msgspec.Struct):
    credentials: SignedText
