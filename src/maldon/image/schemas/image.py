"""What a client may say of an image.

The body of an image is flat: attributes that we know, and any other name as a property whose value is text. What a
client may not set is refused by name: attributes that are ours to set, and names that are reserved.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from maldon.kernel.errors import BadRequest, Forbidden, QuotaExceeded
from maldon.web.request import decode

DiskFormat = Literal["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"]
ContainerFormat = Literal["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"]
Visibility = Literal["public", "private", "shared", "community"]
Text255 = Annotated[str, msgspec.Meta(max_length=255)]
Amount = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]

MOST = 128  # properties, tags and members of one image
VALUE_LENGTH = 65535


class Attributes(msgspec.Struct, forbid_unknown_fields=True):
    """What everybody may set of an image they may change."""

    name: Text255 | None = None
    visibility: Visibility = "shared"
    owner: Text255 | None = None
    disk_format: DiskFormat | None = None
    container_format: ContainerFormat | None = None
    min_disk: Amount = 0
    min_ram: Amount = 0
    protected: bool = False
    os_hidden: bool = False
    tags: Annotated[list[Text255], msgspec.Meta(max_length=10_000)] = []


class Method(msgspec.Struct):
    name: Text255


class Import(msgspec.Struct):
    """The request to take staged bytes for the image's own."""

    method: Method
    stores: Annotated[list[Text255], msgspec.Meta(max_length=100)] | None = None
    all_stores: bool | None = None
    all_stores_must_succeed: bool | None = None


SETTABLE = frozenset(Attributes.__struct_fields__)
_MEASURED = ("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at")
READ_ONLY = frozenset({*_MEASURED, "id", "status", "self", "file", "schema", "direct_url", "locations", "stores"})
RESERVED = frozenset({"deleted", "deleted_at", "is_public", "location", "members", "properties", "validation_data"})
_NULLABLE = frozenset({"kernel_id", "ramdisk_id"})
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def image_id(text: Any) -> str:
    """An id that a client chose. Raises BadRequest."""
    if not isinstance(text, str) or not _UUID.fullmatch(text):
        raise BadRequest("Invalid input for field/attribute id. An image's id is a UUID with dashes.")
    return text.lower()


def attributes(values: Mapping[str, Any]) -> Attributes:
    """The known attributes, checked. Raises BadRequest naming the field."""
    made = decode(msgspec.json.encode(values), Attributes)
    made.tags = sorted(set(made.tags))
    _bounded(len(made.tags), "tags")
    if not all(made.tags):
        raise BadRequest("Invalid input for field/attribute tags. A tag must not be empty.")
    return made


def refuse_foreign(name: str) -> None:
    """Raise Forbidden when a client may not set `name`."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in RESERVED or name.startswith("os_glance"):
        raise Forbidden(f"Attribute '{name[:100]}' is reserved.")


def properties(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Names and texts of a client's own, checked. Raises BadRequest, or QuotaExceeded for too many."""
    for name, value in values.items():
        if not 0 < len(name) <= 255:
            raise BadRequest("The name of a property has 1 to 255 characters.")
        if value is None and name in _NULLABLE:
            continue
        if not isinstance(value, str) or len(value) > VALUE_LENGTH:
            raise BadRequest(f"Invalid input for field/attribute {name}. It must be text of at most {VALUE_LENGTH}.")
        if name in _NULLABLE and not _UUID.fullmatch(value):
            raise BadRequest(f"Invalid input for field/attribute {name}. It must be the id of an image.")
    _bounded(len(values), "properties")
    return dict(values)


def _bounded(count: int, what: str) -> None:
    if count > MOST:
        raise QuotaExceeded(f"An image may have {MOST} {what}, not {count}.")
