"""An image as the API shows it: its attributes, and its properties beside them."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from maldon.image.models.image import images
from maldon.kernel.clock import seconds_text

_WITH_BYTES = frozenset({"active", "deactivated"})
_WHOLE = {"os_hash_algo": "sha512"}
_UNFINISHED = dict.fromkeys(("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value"))
_COLUMNS = tuple(column.name for column in images.columns)


def image(row: Any) -> dict[str, Any]:
    """One image. What is known of staged or unfinished bytes is not told."""
    # A row is a tuple in the order of its table; taken apart at once it costs a tenth of its names one by one.
    values = dict(zip(_COLUMNS, row, strict=True))
    del values["file"], values["lease_until"]
    properties, place = values.pop("properties"), f"/v2/images/{values['id']}"
    values |= _WHOLE if values["status"] in _WITH_BYTES else _UNFINISHED
    values["created_at"] = f"{seconds_text(values['created_at'])}Z"
    values["updated_at"] = f"{seconds_text(values['updated_at'])}Z"
    values["self"], values["file"], values["schema"] = place, f"{place}/file", "/v2/schemas/image"
    return {**properties, **values} if properties else values


def listed(shown: list[dict[str, Any]], query: Sequence[tuple[str, str]], *, more: bool) -> dict[str, Any]:
    """One page of images, with links to the first and the next one."""
    kept = [(name, value) for name, value in query if name != "marker"]
    body: dict[str, Any] = {"images": shown, "first": _link(kept), "schema": "/v2/schemas/images"}
    if more:
        body["next"] = _link([*kept, ("marker", shown[-1]["id"])])
    return body


def _link(query: Sequence[tuple[str, str]]) -> str:
    return f"/v2/images?{urlencode(query)}" if query else "/v2/images"
