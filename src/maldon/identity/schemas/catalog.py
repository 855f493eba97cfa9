"""Bodies of services, endpoints and regions."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from maldon.identity.schemas.fields import Id, MaybeBool, MaybeText, Name, Url

Interface = Literal["public", "internal", "admin"]


class CreateService(msgspec.Struct):
    type: Name
    name: Name | None = None
    description: MaybeText = ""
    enabled: bool = True


class UpdateService(msgspec.Struct):
    type: Name | UnsetType = UNSET
    name: Name | UnsetType | None = UNSET
    description: MaybeText = UNSET
    enabled: MaybeBool = UNSET


class CreateEndpoint(msgspec.Struct):
    service_id: Id
    interface: Interface
    url: Url
    region: Name | UnsetType | None = UNSET
    region_id: Name | UnsetType | None = UNSET
    enabled: bool = True


class UpdateEndpoint(msgspec.Struct):
    service_id: Id | UnsetType = UNSET
    interface: Interface | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    region: Name | UnsetType | None = UNSET
    region_id: Name | UnsetType | None = UNSET
    enabled: MaybeBool = UNSET


class CreateRegion(msgspec.Struct):
    id: Name | None = None
    description: MaybeText = ""
    parent_region_id: Name | None = None


class UpdateRegion(msgspec.Struct):
    description: MaybeText = UNSET
    parent_region_id: Name | UnsetType | None = UNSET
