"""Bodies about keypairs."""

import re
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from maldon.compute.schemas.server import Name
from maldon.kernel.errors import BadRequest
from maldon.web.microversion import Version

IMPORT_ONLY = (2, 92)
_NAME = re.compile(r"[a-zA-Z0-9_-]([a-zA-Z0-9 _-]*[a-zA-Z0-9_-])?")
_NAME_SINCE_292 = re.compile(r"[a-zA-Z0-9@._-]([a-zA-Z0-9 @._-]*[a-zA-Z0-9@._-])?")


class KeypairWanted(Struct, forbid_unknown_fields=True):
    name: Name
    public_key: Annotated[str, Meta(max_length=16384)] | UnsetType = UNSET
    type: Literal["ssh", "x509"] | UnsetType = UNSET
    user_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET


class CreateKeypair(Struct, forbid_unknown_fields=True):
    keypair: KeypairWanted


def create(body: CreateKeypair, version: Version) -> KeypairWanted:
    """The keypair wanted, as far as its words go. Raises BadRequest."""
    wanted = body.keypair
    for field, since in (("type", (2, 2)), ("user_id", (2, 10))):
        if version < since and getattr(wanted, field) is not UNSET:
            raise BadRequest(
                f"Invalid input for field/attribute keypair. Additional properties are not allowed ({field!r} was "
                "unexpected)"
            )
    allowed = _NAME_SINCE_292 if version >= IMPORT_ONLY else _NAME
    if not allowed.fullmatch(wanted.name):
        raise BadRequest(f"Keypair data is invalid: the name {wanted.name[:60]!r} contains unsafe characters.")
    if wanted.public_key is UNSET:
        if version >= IMPORT_ONLY:
            raise BadRequest("Invalid input for field/attribute keypair. 'public_key' is a required property")
    elif not wanted.public_key.strip():
        raise BadRequest("Keypair data is invalid: the public key is empty.")
    return wanted
