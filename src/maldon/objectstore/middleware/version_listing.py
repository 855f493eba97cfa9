"""The listing of all versions of a container's objects: by name, the newest of each first.

Rows come from the hidden container, whose order that is, merged with the objects that have no version yet. `marker`
with `version_marker` goes on behind one version.
"""

from typing import Any

from maldon.objectstore import timestamp
from maldon.objectstore.middleware.layer import Handler
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.listings import Item, Listing, read_query
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest

LAST = 9_999_999_999 * timestamp.TICKS


async def list_versions(below: Handler, request: ObjectRequest, aside: Path | None, most: int) -> Response:
    """The Listing."""
    query = read_query(request, most)
    plain = {
        "prefix": query.prefix,
        "limit": str(most),
        "marker": _before(query.marker),
        "end_marker": query.end_marker,
    }
    listing = await below(request.derive("GET", request.path, query=plain, trusted=True))
    if not isinstance(listing, Listing):
        return listing
    current = {row["name"]: row for row in listing.rows}
    rows: list[Item] = []
    if aside is not None:
        rows = await _aside(below, request, aside, query.prefix, query.marker, most)
    newest: set[str] = set()
    versions: list[Item] = []
    for row in rows:
        name = row["name"]
        row["is_latest"] = name not in newest and _is_current(row, current.get(name))
        newest.add(name)
        versions.append(row)
    for name, row in current.items():
        if "symlink_path" not in row and not any(v["name"] == name and v["is_latest"] for v in versions):
            versions.append({**row, "version_id": "null", "is_latest": True})
    versions.sort(key=lambda row: (row["name"].encode(), not row["is_latest"], -_time(row)))
    marker = request.query.get("version_marker", "")
    shown = [row for row in versions if _after(row, query.marker, marker) and _until(row, query.end_marker)]
    if query.reverse:
        shown.reverse()
    listing.rows = shown[: query.limit]
    return listing


def _before(marker: str) -> str:
    return "" if not marker else marker[:-1]


async def _aside(
    below: Handler, request: ObjectRequest, aside: Path, prefix: str, marker: str, most: int
) -> list[Item]:
    asked: dict[str, str] = {"prefix": f"\x00{prefix}", "limit": str(most)}
    if marker:
        asked["marker"] = f"\x00{marker}\x00"
    listed = await below(request.derive("GET", aside, query=asked, trusted=True))
    return [_row(row) for row in listed.rows] if isinstance(listed, Listing) else []


def _row(row: dict[str, Any]) -> Item:
    _, name, order = row["name"].split("\x00", 2)
    at = LAST - int(order)
    return {**row, "name": name, "version_id": timestamp.text(at)}


def _time(row: Item) -> int:
    version: str = row["version_id"]
    return timestamp.parse(version) if version != "null" else 0


def _is_current(row: Item, current: Item | None) -> bool:
    if row["content_type"].startswith("application/x-deleted"):
        return current is None
    return current is not None and "symlink_path" in current


def _after(row: Item, marker: str, version_marker: str) -> bool:
    if not marker:
        return True
    name = row["name"].encode()
    if name != marker.encode() or not version_marker:
        return bool(name > marker.encode())
    return bool(_time(row) < (timestamp.parse(version_marker) if version_marker != "null" else 0))


def _until(row: Item, end_marker: str) -> bool:
    return not end_marker or row["name"].encode() < end_marker.encode()
