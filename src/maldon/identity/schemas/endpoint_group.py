"""Bodies of endpoint groups."""

import msgspec
from msgspec import UNSET, UnsetType

from maldon.identity.schemas.catalog import Interface
from maldon.identity.schemas.fields import Id, MaybeText, Name


class Filters(msgspec.Struct, forbid_unknown_fields=True):
    service_id: Id | UnsetType = UNSET
    region_id: Name | UnsetType = UNSET
    interface: Interface | UnsetType = UNSET


class CreateEndpointGroup(msgspec.Struct):
    name: Name
    filters: Filters
    description: MaybeText = ""


class UpdateEndpointGroup(msgspec.Struct):
    name: Name | UnsetType = UNSET
    filters: Filters | UnsetType = UNSET
    description: MaybeText = UNSET
