"""Bodies about hosts, as they were until 2.42. Words are taken in any case, with spaces around them."""

from msgspec import UNSET, Struct, UnsetType

from maldon.kernel.errors import BadRequest

_WORDS = {"enable": True, "disable": False}


class UpdateHost(Struct, forbid_unknown_fields=True):
    status: str | UnsetType = UNSET
    maintenance_mode: str | UnsetType = UNSET


def update(body: UpdateHost) -> tuple[bool | None, bool | None]:
    """Whether servers may be placed there, and whether it is in maintenance; None is not said. Raises BadRequest."""
    if body.status is UNSET and body.maintenance_mode is UNSET:
        raise BadRequest("Invalid input for field/attribute host. A status or a maintenance_mode is required.")
    return _said(body.status, "status"), _said(body.maintenance_mode, "maintenance_mode")


def _said(word: str | UnsetType, name: str) -> bool | None:
    if word is UNSET:
        return None
    if word.strip().lower() not in _WORDS:
        raise BadRequest(f"Invalid input for field/attribute {name}. Value: {word[:60]!r} is not enable or disable.")
    return _WORDS[word.strip().lower()]
