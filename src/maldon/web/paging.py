"""limit, marker and sorting of a list, read from the query the way the clients write it."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from maldon.kernel.errors import BadRequest
from maldon.store.paging import Page
from maldon.web.request import Request, whole

__all__ = ["Page", "next_link", "page_of"]


def page_of(
    request: Request,
    sortable: Sequence[str],
    default: Sequence[tuple[str, str]],
    *,
    most: int = 1000,
    unbounded: bool = False,
    aliases: Mapping[str, str] | None = None,
) -> Page:
    """The page asked for. `most` caps it; an `unbounded` list without a limit is given whole.

    Sorting is `sort_key`/`sort_dir` (repeated) or `sort=key:dir,key:dir`. Raises BadRequest.
    """
    limit_text = request.param("limit")
    limit = min(whole(limit_text, "limit"), most) if limit_text is not None else (None if unbounded else most)
    if limit == 0 and unbounded:
        limit = None
    sort = _sort(request) or list(default)
    named = [((aliases or {}).get(key, key), direction) for key, direction in sort]
    for (key, direction), (asked, _) in zip(named, sort, strict=True):
        if key not in sortable:
            raise BadRequest(f"{asked[:50]!r} is no key to sort by; there are {', '.join(sorted(sortable))}.")
        if direction not in {"asc", "desc"}:
            raise BadRequest(f"sort direction wants asc or desc, not {direction[:50]!r}.")
    return Page(limit, request.param("marker"), tuple(named))


def _sort(request: Request) -> list[tuple[str, str]]:
    together = request.param("sort")
    if together:
        parts = [part.strip().partition(":") for part in together.split(",")]
        return [(key, direction or "desc") for key, _, direction in parts]
    keys, directions = request.params("sort_key"), request.params("sort_dir")
    if len(directions) > max(len(keys), 1):
        raise BadRequest("There are more sort_dir than sort_key parameters.")
    directions += [directions[-1] if directions else "asc"] * (len(keys) - len(directions))
    return list(zip(keys, directions, strict=False))


def next_link(request: Request, marker: str) -> str:
    """The address of the page after `marker`: the same query with another marker."""
    kept = [(k, v) for k, v in request.query if k != "marker"]
    return f"{request.base}{request.url}?{urlencode([*kept, ('marker', marker)])}"
