"""Bodies of POST /servers/{id}/action: one key that names the action."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from maldon.compute.schemas.server import Name, Text
from maldon.kernel.errors import BadRequest


class Nothing(Struct, forbid_unknown_fields=True):
    """An action without arguments: the clients write null, {} or ""."""


class Reboot(Struct, forbid_unknown_fields=True):
    type: Literal["SOFT", "HARD", "soft", "hard", "Soft", "Hard"]


class ConsoleOutput(Struct, forbid_unknown_fields=True):
    length: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | Annotated[str, Meta(pattern="^-?[0-9]{1,9}$")] | None = None


class ResetState(Struct, forbid_unknown_fields=True):
    state: Literal["active", "error"]


class Lock(Struct, forbid_unknown_fields=True):
    locked_reason: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class SecurityGroup(Struct, forbid_unknown_fields=True):
    name: Name


class AttachFixed(Struct, forbid_unknown_fields=True):
    ip_address: Text


class AttachInterface(Struct, forbid_unknown_fields=True, frozen=True):
    net_id: Text | None = None
    port_id: Text | None = None
    fixed_ips: Annotated[list[AttachFixed], Meta(min_length=1, max_length=1)] | None = None
    tag: Annotated[str, Meta(min_length=1, max_length=60, pattern="^[^,/]*$")] | None = None


class AttachBody(Struct, forbid_unknown_fields=True, rename={"interface": "interfaceAttachment"}):
    interface: AttachInterface = AttachInterface()


Action = dict[Annotated[str, Meta(max_length=64)], Any]


def arguments(value: Any, kind: type[Struct], action: str) -> Any:
    """An action's arguments as a `kind`. Raises BadRequest."""
    if value is None or (value == "" and kind is Nothing):
        value = {}
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for field/attribute {action}. {error}") from None
