"""Bodies about services."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from maldon.compute.schemas.server import Bool, Name
from maldon.kernel.errors import BadRequest

Reason = Annotated[str, Meta(min_length=1, max_length=255)]


class NamedService(Struct, forbid_unknown_fields=True):
    """PUT /os-services/enable and /disable, until 2.52."""

    host: Name
    binary: Name


class DisableWithReason(Struct, forbid_unknown_fields=True):
    host: Name
    binary: Name
    disabled_reason: Reason


class ForceDown(Struct, forbid_unknown_fields=True):
    host: Name
    binary: Name
    forced_down: Bool


class UpdateService(Struct, forbid_unknown_fields=True):
    """PUT /os-services/{id} since 2.53."""

    status: Literal["enabled", "disabled"] | UnsetType = UNSET
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: Bool | UnsetType = UNSET


def update(body: UpdateService) -> UpdateService:
    """Raises BadRequest when nothing is said, or a reason is given for something else than disabling."""
    if body.status is UNSET and body.forced_down is UNSET:
        raise BadRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
    if body.disabled_reason is not UNSET and body.status != "disabled":
        raise BadRequest("Specifying 'disabled_reason' requires that 'status' is 'disabled'.")
    return body
