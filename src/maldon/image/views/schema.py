"""The JSON schemas that clients read to learn what an image is; glanceclient builds its options from them."""

from typing import Any, get_args

from maldon.image.schemas.image import ContainerFormat, DiskFormat, Visibility
from maldon.image.schemas.member import Status

_UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
_BROUGHT = ["queued", "saving", "uploading", "importing", "active", "deactivated"]
_STATUSES = [*_BROUGHT, "killed", "deleted", "pending_delete"]


def _text(about: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": about, **more}


def _maybe(about: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"type": ["null", kind], "description": about, **more}


def _ours(about: dict[str, Any]) -> dict[str, Any]:
    return {**about, "readOnly": True}


def _links(**relations: str) -> list[dict[str, str]]:
    return [{"rel": relation, "href": f"{{{field}}}"} for relation, field in relations.items()]


_IMAGE: dict[str, Any] = {
    "id": _text("An identifier for the image", pattern=_UUID),
    "name": _maybe("Descriptive name for the image", maxLength=255),
    "status": _ours(_text("Status of the image", enum=_STATUSES)),
    "visibility": _text("Scope of image accessibility", enum=list(get_args(Visibility))),
    "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
    "os_hidden": {"type": "boolean", "description": "If true, image will not appear in default image list response."},
    "owner": _maybe("Owner of the image", maxLength=255),
    "container_format": _maybe("Format of the container", enum=[None, *get_args(ContainerFormat)]),
    "disk_format": _maybe("Format of the disk", enum=[None, *get_args(DiskFormat)]),
    "min_ram": {"type": "integer", "description": "Amount of ram (in MB) required to boot image."},
    "min_disk": {"type": "integer", "description": "Amount of disk space (in GB) required to boot image."},
    "tags": {
        "type": "array",
        "description": "List of strings related to the image",
        "items": {"type": "string", "maxLength": 255},
    },
    "size": _ours(_maybe("Size of image file in bytes", "integer")),
    "virtual_size": _ours(_maybe("Virtual size of image in bytes", "integer")),
    "checksum": _ours(_maybe("md5 hash of image contents.", maxLength=32)),
    "os_hash_algo": _ours(_maybe("Algorithm to calculate the os_hash_value", maxLength=64)),
    "os_hash_value": _ours(_maybe("Digest of the image contents by os_hash_algo", maxLength=128)),
    "created_at": _ours(_text("Date and time of image registration")),
    "updated_at": _ours(_text("Date and time of the last image modification")),
    "self": _ours(_text("An image self url")),
    "file": _ours(_text("An image file url")),
    "schema": _ours(_text("An image schema url")),
    "kernel_id": _maybe("Id of the image that is the kernel of this one", pattern=_UUID, is_base=False),
    "ramdisk_id": _maybe("Id of the image that is the ramdisk of this one", pattern=_UUID, is_base=False),
    "architecture": _text("Operating system architecture", is_base=False),
    "os_distro": _text("Common name of operating system distribution", is_base=False),
    "os_version": _text("Operating system version as specified by the distributor", is_base=False),
    "instance_uuid": _text("The instance that the image was made of", is_base=False),
}
_MEMBER: dict[str, Any] = {
    "image_id": _text("An identifier for the image", pattern=_UUID),
    "member_id": _text("An identifier for the image member (tenantId)"),
    "status": _text("The status of this image member", enum=list(get_args(Status))),
    "created_at": _text("Date and time of image member creation"),
    "updated_at": _text("Date and time of last modification of image member"),
    "schema": {"type": "string", "readOnly": True},
}


def _one(name: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "properties": properties, **more}


_image = _one(
    "image",
    _IMAGE,
    additionalProperties={"type": "string"},
    links=_links(self="self", enclosure="file", describedby="schema"),
)
_member = _one("member", _MEMBER)
_TEXT = {"type": "string"}
SCHEMAS: dict[str, dict[str, Any]] = {
    "image": _image,
    "images": _one(
        "images",
        {"images": {"type": "array", "items": _image}, "first": _TEXT, "next": _TEXT, "schema": _TEXT},
        links=_links(first="first", next="next", describedby="schema"),
    ),
    "member": _member,
    "members": _one(
        "members",
        {"members": {"type": "array", "items": _member}, "schema": _TEXT},
        links=_links(describedby="schema"),
    ),
}
