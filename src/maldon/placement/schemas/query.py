"""Placement's query words: amounts of resources, groups of them, and what providers must be members of or have.

Our providers are hosts: trees of one, in no aggregate, with no trait. So a trait is always an unknown one, `member_of`
matches nobody unless it forbids, and every group of a request falls on the same host.
"""

import re
from dataclasses import dataclass

from maldon.kernel.errors import BadRequest
from maldon.kernel.ids import is_uuid
from maldon.placement.views.provider import CLASSES
from maldon.web.microversion import Version
from maldon.web.request import Request

_GROUPED = re.compile(r"(resources|required|member_of|in_tree)([A-Za-z0-9_-]{0,64})")


@dataclass(frozen=True, slots=True)
class Query:
    """What providers are looked for: amounts by class in all, per group, and the only provider if one is named."""

    amounts: dict[str, int]
    groups: dict[str, dict[str, int]]
    provider: str | None = None
    nobody: bool = False


def amounts(text: str) -> dict[str, int]:
    """Read "VCPU:1,MEMORY_MB:64". Raises BadRequest."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.partition(":")
        if not number.isascii() or not number.isdigit() or not 0 < int(number[:12]) < 2**31:
            raise BadRequest(f"Badly formed resources parameter. Expected NAME:AMOUNT, got {part[:80]!r}.")
        if name not in CLASSES:
            raise BadRequest(f"Invalid resource class in resources parameter: No such resource class {name[:80]}.")
        if name in found:
            raise BadRequest(f"The resource class {name} is asked for twice.")
        found[name] = int(number)
    return found


def read(request: Request, known: dict[str, Version], version: Version) -> Query:
    """The query; `known` says which parameters exist since when. Raises BadRequest."""
    groups: dict[str, dict[str, int]] = {}
    provider, nobody = None, False
    for name, value in request.query:
        form = _GROUPED.fullmatch(name)
        word, suffix = (form[1], form[2]) if form else (name, "")
        since = known.get(word)
        if since is None or version < since or (suffix and version < (1, 25)):
            raise BadRequest(f"Invalid query string parameters: {name[:80]!r} is not known at this version.")
        match word:
            case "resources":
                groups[suffix] = amounts(value)
            case "required" | "root_required":
                raise BadRequest(f"No such trait(s): {value[:200]}.")
            case "member_of":
                nobody |= _excludes_all(value)
            case "in_tree" | "uuid":
                if not is_uuid(value):
                    raise BadRequest(f"{name} wants a UUID, not {value[:80]!r}.")
                nobody |= provider not in {None, value}
                provider = value
    total: dict[str, int] = {}
    for group in groups.values():
        for name, amount in group.items():
            total[name] = total.get(name, 0) + amount
    return Query(total, groups, provider, nobody)


def _excludes_all(text: str) -> bool:
    """Whether a member_of leaves no provider: it does, unless it forbids aggregates."""
    forbids = text.startswith("!")
    for one in text.removeprefix("!").removeprefix("in:").split(","):
        if not is_uuid(one):
            raise BadRequest(f"Invalid member_of: expected UUIDs of aggregates, got {text[:80]!r}.")
    return not forbids
