"""The listing of all versions of a container's objects: by name, the newest of each first.

Rows come from the hidden container, whose order that is, merged with the objects that have no version yet. `marker`
with `version_marker` goes on behind one version.
"""

from typing import NamedTuple

from maldon.kernel.errors import BadRequest
from maldon.objectstore import timestamp
from maldon.objectstore.middleware.layer import Handler
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.listings import Item, Listing, read_query
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest

LAST = 9_999_999_999 * timestamp.TICKS


NULL_NOTE = "; version_id=null"  # in the row of an object from before versions were on


class Version(NamedTuple):
    """One row, and when that version was written."""

    row: Item
    at: int

    @property
    def order(self) -> tuple[bytes, int]:
        return self.row["name"].encode(), -self.at


async def list_versions(below: Handler, request: ObjectRequest, aside: Path | None, most: int) -> Response:
    """The Listing."""
    query = read_query(request, most)
    asked = {"prefix": query.prefix, "limit": str(most), "end_marker": query.end_marker}
    if not query.reverse:
        asked["marker"] = query.marker
    listing = await below(request.derive("GET", request.path, query=asked, trusted=True))
    if not isinstance(listing, Listing):
        return listing
    current = {row["name"]: row for row in listing.rows}
    hidden = {"prefix": f"\x00{query.prefix}", "limit": str(most), "marker": f"\x00{asked.get('marker', '')}"}
    versions = await _aside(below, request, aside, hidden) if aside is not None else []
    newest: set[str] = set()
    for version in versions:
        name = version.row["name"]
        version.row["is_latest"] = name not in newest and _is_current(version.row, current.get(name))
        newest.add(name)
    versions += [
        Version({**row, "version_id": "null", "is_latest": True}, LAST)
        for row in listing.rows if "symlink_path" not in row
    ]  # fmt: skip
    versions.sort(key=lambda version: version.order)
    after = _marker(request, query.marker)
    shown = [v.row for v in versions if v.order > after and (not query.end_marker or v.row["name"] < query.end_marker)]
    listing.rows = (shown[::-1] if query.reverse else shown)[: query.limit]
    return listing


def _marker(request: ObjectRequest, marker: str) -> tuple[bytes, float]:
    """What the rows shown come after: a name, or one version of it. Raises BadRequest."""
    version = request.query.get("version_marker", "")
    if not marker:
        if version:
            raise BadRequest("version_marker cannot be used without marker")
        return b"", float("-inf")
    if not version:
        return marker.encode(), float("inf")
    try:
        return marker.encode(), float("-inf") if version == "null" else -timestamp.parse(version)
    except ValueError:
        raise BadRequest("invalid version_marker param") from None


async def _aside(below: Handler, request: ObjectRequest, aside: Path, query: dict[str, str]) -> list[Version]:
    listed = await below(request.derive("GET", aside, query=query, trusted=True))
    return [_version(row) for row in listed.rows] if isinstance(listed, Listing) else []


def _version(row: Item) -> Version:
    _, name, order = row["name"].split("\x00", 2)
    at = LAST - int(order)
    id_ = "null" if row["hash"].endswith(NULL_NOTE) else timestamp.text(at)
    return Version({**row, "name": name, "hash": row["hash"].removesuffix(NULL_NOTE), "version_id": id_}, at)


def _is_current(row: Item, current: Item | None) -> bool:
    """Whether the newest version of a name is what the name has now."""
    if row["content_type"].startswith("application/x-deleted"):
        return current is None
    return current is not None and "symlink_path" in current
