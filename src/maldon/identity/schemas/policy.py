"""Bodies of policies: a document of some type, as a text or as JSON."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from maldon.identity.schemas.credential import Blob
from maldon.identity.schemas.fields import Name

Document = Blob | dict[str, Any]


class CreatePolicy(msgspec.Struct):
    type: Name
    blob: Document


class UpdatePolicy(msgspec.Struct):
    type: Name | UnsetType = UNSET
    blob: Document | UnsetType = UNSET
