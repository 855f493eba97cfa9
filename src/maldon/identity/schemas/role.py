"""Bodies of roles."""

import msgspec
from msgspec import UNSET, UnsetType

from maldon.identity.schemas.fields import Id, MaybeText, Name, Options


class CreateRole(msgspec.Struct):
    name: Name
    domain_id: Id | None = None
    description: MaybeText = None
    options: Options | UnsetType = UNSET


class UpdateRole(msgspec.Struct):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    description: MaybeText = UNSET
    options: Options | UnsetType = UNSET
