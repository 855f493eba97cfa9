"""Bodies of OAuth 1.0a."""

from typing import Annotated

import msgspec
from msgspec import Meta

from maldon.identity.schemas.fields import MaybeText, RoleRef


class Consumer(msgspec.Struct):
    description: MaybeText = msgspec.UNSET


class Authorize(msgspec.Struct):
    roles: Annotated[list[RoleRef], Meta(min_length=1, max_length=64)]
