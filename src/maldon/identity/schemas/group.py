"""Bodies of groups."""

import msgspec
from msgspec import UNSET, UnsetType

from maldon.identity.schemas.fields import Id, MaybeText, ShortName


class CreateGroup(msgspec.Struct):
    name: ShortName
    domain_id: Id | None = None
    description: MaybeText = ""


class UpdateGroup(msgspec.Struct):
    name: ShortName | UnsetType = UNSET
    domain_id: Id | UnsetType = UNSET
    description: MaybeText = UNSET
