"""Bodies of registered limits and limits: several are made at once."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from maldon.identity.schemas.fields import Id, MaybeText, Name

Amount = Annotated[int, Meta(ge=-1, le=2**31 - 1)]
RegionId = Annotated[str, Meta(min_length=1, max_length=255)]


class CreateRegisteredLimit(msgspec.Struct, forbid_unknown_fields=True):
    service_id: Id
    resource_name: Name
    default_limit: Amount
    region_id: RegionId | None = None
    description: MaybeText = None


class UpdateRegisteredLimit(msgspec.Struct, forbid_unknown_fields=True):
    service_id: Id | UnsetType = UNSET
    resource_name: Name | UnsetType = UNSET
    default_limit: Amount | UnsetType = UNSET
    region_id: RegionId | UnsetType | None = UNSET
    description: MaybeText = UNSET


class CreateLimit(msgspec.Struct, forbid_unknown_fields=True):
    service_id: Id
    resource_name: Name
    resource_limit: Amount
    project_id: Id | None = None
    domain_id: Id | None = None
    region_id: RegionId | None = None
    description: MaybeText = None


class UpdateLimit(msgspec.Struct, forbid_unknown_fields=True):
    resource_limit: Amount | UnsetType = UNSET
    description: MaybeText = UNSET


class CreateRegisteredLimits(msgspec.Struct):
    registered_limits: Annotated[list[CreateRegisteredLimit], Meta(min_length=1, max_length=100)]


class CreateLimits(msgspec.Struct):
    limits: Annotated[list[CreateLimit], Meta(min_length=1, max_length=100)]


class ChangeRegisteredLimit(msgspec.Struct):
    registered_limit: UpdateRegisteredLimit


class ChangeLimit(msgspec.Struct):
    limit: UpdateLimit
