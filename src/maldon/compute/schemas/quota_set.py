"""Bodies about quotas, and which resources each microversion knows."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from maldon.compute.schemas.number import Number, number
from maldon.compute.schemas.server import Bool, truthful
from maldon.compute.verbs.quota_set import RESOURCES
from maldon.kernel.errors import BadRequest
from maldon.web.microversion import Version

# Networks count their own. Until 2.35 these are kept and shown here too, and limit nothing.
NETWORK = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
FILES = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
GROUPS = ("server_groups", "server_group_members")


class UpdateQuotaSet(Struct, forbid_unknown_fields=True):
    quota_set: dict[str, Number | Bool]


class UpdateQuotaClassSet(Struct, forbid_unknown_fields=True):
    quota_class_set: dict[str, Number | Bool]


def resources(version: Version) -> tuple[str, ...]:
    """What a quota set holds."""
    kept = [name for name in RESOURCES if version < (2, 57) or name not in FILES]
    return (*kept, *(NETWORK if version < (2, 36) else ()))


def class_resources(version: Version) -> tuple[str, ...]:
    """What a quota class set holds: it learned of both changes later."""
    kept = [name for name in RESOURCES if version < (2, 57) or name not in FILES]
    if version < (2, 50):
        return (*(name for name in kept if name not in GROUPS), *NETWORK)
    return tuple(kept)


def limits(values: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, int]:
    """The limits to set. Raises BadRequest."""
    wanted = {}
    for name, value in values.items():
        if name not in known:
            raise BadRequest(
                f"Invalid input for field/attribute quota_set. Additional properties are not allowed ({name[:60]!r} "
                "was unexpected)"
            )
        if isinstance(value, bool) or not str(value).removeprefix("-").isdigit():
            raise BadRequest(f"Invalid input for field/attribute {name}. {value!r} is no whole number.")
        wanted[name] = number(value, name, -1)
    return wanted


def forced(values: dict[str, Any]) -> bool:
    """Whether limits below what is used are meant; takes "force" out of the values. Raises BadRequest."""
    try:
        return truthful(msgspec.convert(values.pop("force", False), Bool))
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for field/attribute force. {error}") from None
