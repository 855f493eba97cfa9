"""Bodies of projects, their tags and domains."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from maldon.identity.schemas.fields import Id, MaybeBool, MaybeText, Options, ShortName, Tag

Tags = Annotated[list[Tag], Meta(max_length=80)]


class CreateDomain(msgspec.Struct):
    name: ShortName
    description: MaybeText = ""
    enabled: bool = True
    options: Options | UnsetType = UNSET
    explicit_domain_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None


class UpdateDomain(msgspec.Struct):
    name: ShortName | UnsetType = UNSET
    description: MaybeText = UNSET
    enabled: MaybeBool = UNSET
    options: Options | UnsetType = UNSET


class CreateProject(msgspec.Struct):
    name: ShortName
    description: MaybeText = ""
    enabled: bool = True
    domain_id: Id | None = None
    parent_id: Id | None = None
    is_domain: bool = False
    tags: Tags = msgspec.field(default_factory=list)
    options: Options | UnsetType = UNSET


class UpdateProject(msgspec.Struct):
    name: ShortName | UnsetType = UNSET
    description: MaybeText = UNSET
    enabled: MaybeBool = UNSET
    domain_id: Id | UnsetType | None = UNSET
    parent_id: Id | UnsetType | None = UNSET
    is_domain: MaybeBool = UNSET
    tags: Tags | UnsetType = UNSET
    options: Options | UnsetType = UNSET


class CascadeProject(msgspec.Struct, forbid_unknown_fields=True):
    """All that can be said of many projects at once."""

    enabled: bool


class ReplaceTags(msgspec.Struct):
    tags: Tags
