"""The listing of all versions of a container's objects: by name, the newest of each first.

Rows come from the hidden container, whose order that is, merged with the objects that have no version yet. `marker`
with `version_marker` goes on behind one version.
"""

from typing import NamedTuple
from urllib.parse import quote

from maldon.kernel.errors import BadRequest
from maldon.objectstore import timestamp
from maldon.objectstore.middleware.layer import Handler
from maldon.objectstore.node import Query
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.listings import Item, Listing, read_query
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest

LAST = 9_999_999_999 * timestamp.TICKS


class Version(NamedTuple):
    """One row, and when that version was written."""

    row: Item
    at: int

    @property
    def order(self) -> tuple[bytes, float]:
        return self.row["name"].encode(), -self.at


async def list_versions(below: Handler, request: ObjectRequest, aside: Path | None, most: int) -> Response:
    """The Listing."""
    query = read_query(request, most)
    asked = {"prefix": query.prefix, "limit": str(most)}
    if not query.reverse:
        asked |= {"marker": query.marker, "end_marker": query.end_marker}
    listing = await below(request.derive("GET", request.path, query=asked, trusted=True))
    if not isinstance(listing, Listing):
        return listing
    hidden = {"prefix": f"\x00{query.prefix}", "limit": str(most), "marker": f"\x00{asked.get('marker', '')}"}
    versions = await _aside(below, request, aside, hidden) if aside is not None else []
    _mark_latest(versions, {row["name"]: row for row in listing.rows})
    versions += [
        Version({**row, "version_id": "null", "is_latest": True}, LAST)
        for row in listing.rows if "%00versions%00" not in row.get("symlink_path", "")
    ]  # fmt: skip
    versions.sort(key=lambda version: version.order, reverse=query.reverse)
    after = _marker(request, query.marker, reverse=query.reverse)
    rows = [version.row for version in versions if _within(version, after, query)]
    listing.rows = (_rolled_up(rows, query.prefix, query.delimiter) if query.delimiter else rows)[: query.limit]
    return listing


def _mark_latest(versions: list[Version], current: dict[str, Item]) -> None:
    """Which version of each name is what the name has now: the one linked to, or a mark that there is nothing."""
    seen: set[str] = set()
    for version in versions:
        row = version.row
        place = f"%00{quote(row['name'])}%00{LAST - version.at:016d}"
        linked = current.get(row["name"])
        if linked is not None:
            row["is_latest"] = linked.get("symlink_path", "").endswith(place)
        else:
            row["is_latest"] = row["name"] not in seen and row["content_type"].startswith("application/x-deleted")
        seen.add(row["name"])


def _within(version: Version, after: tuple[bytes, float] | None, query: Query) -> bool:
    """Whether the listing has come to this row, and is not past it."""
    if after is not None and not (version.order < after if query.reverse else version.order > after):
        return False
    name, end = version.row["name"].encode(), query.end_marker.encode()
    return not end or (name > end if query.reverse else name < end)


def _marker(request: ObjectRequest, marker: str, *, reverse: bool) -> tuple[bytes, float] | None:
    """What the rows shown come after: a name, or one version of it. Raises BadRequest."""
    version = request.query.get("version_marker", "")
    if not marker:
        if version:
            raise BadRequest("version_marker cannot be used without marker")
        return None
    if not version:
        return marker.encode(), float("-inf") if reverse else float("inf")
    try:
        return marker.encode(), -LAST if version == "null" else -timestamp.parse(version)
    except ValueError:
        raise BadRequest("invalid version_marker param") from None


def _rolled_up(rows: list[Item], prefix: str, delimiter: str) -> list[Item]:
    """What has the delimiter behind the prefix stands together as one name."""
    found: list[Item] = []
    for row in rows:
        head, cut, _ = row["name"][len(prefix) :].partition(delimiter)
        subdir = {"subdir": prefix + head + delimiter}
        if not cut:
            found.append(row)
        elif not found or found[-1] != subdir:
            found.append(subdir)
    return found


async def _aside(below: Handler, request: ObjectRequest, aside: Path, query: dict[str, str]) -> list[Version]:
    listed = await below(request.derive("GET", aside, query=query, trusted=True))
    return [_version(row) for row in listed.rows] if isinstance(listed, Listing) else []


def _version(row: Item) -> Version:
    _, name, order = row["name"].split("\x00", 2)
    at = LAST - int(order)
    return Version({**row, "name": name, "version_id": timestamp.text(at)}, at)
