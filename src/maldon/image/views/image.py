"""An image as the API shows it: its attributes, and its properties beside them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from maldon.kernel.clock import seconds_text

STORE = "file"
_WITH_BYTES = frozenset({"active", "deactivated"})


def image(row: Any, properties: Mapping[str, str | None], tags: Iterable[str]) -> dict[str, Any]:
    """One image. What is known of staged or unfinished bytes is not told."""
    place = f"/v2/images/{row.id}"
    whole = row.status in _WITH_BYTES
    shown: dict[str, Any] = {
        **properties,
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "visibility": row.visibility,
        "owner": row.owner,
        "disk_format": row.disk_format,
        "container_format": row.container_format,
        "size": row.size if whole else None,
        "virtual_size": row.virtual_size if whole else None,
        "checksum": row.checksum if whole else None,
        "os_hash_algo": "sha512" if whole else None,
        "os_hash_value": row.os_hash_value if whole else None,
        "os_hidden": row.os_hidden,
        "protected": row.protected,
        "min_disk": row.min_disk,
        "min_ram": row.min_ram,
        "tags": list(tags),
        "created_at": f"{seconds_text(row.created_at)}Z",
        "updated_at": f"{seconds_text(row.updated_at)}Z",
        "self": place,
        "file": f"{place}/file",
        "schema": "/v2/schemas/image",
    }
    if whole:
        shown["stores"] = STORE
    return shown


def listed(shown: list[dict[str, Any]], query: Sequence[tuple[str, str]], *, more: bool) -> dict[str, Any]:
    """One page of images, with links to the first and the next one."""
    kept = [(name, value) for name, value in query if name != "marker"]
    body: dict[str, Any] = {"images": shown, "first": _link(kept), "schema": "/v2/schemas/images"}
    if more:
        body["next"] = _link([*kept, ("marker", shown[-1]["id"])])
    return body


def _link(query: Sequence[tuple[str, str]]) -> str:
    return f"/v2/images?{urlencode(query)}" if query else "/v2/images"
