"""Access lists of containers: X-Container-Read and X-Container-Write.

A list has words between commas. `.r:*`, `.r:host`, `.r:.domain` and `.r:-host` admit readers by the page they come
from; `.rlistings` lets those list too. Any other word names who: `project:user` with `*` for either, a role of the
container's own project, or a group of tempauth's.
"""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from maldon.kernel.errors import BadRequest
from maldon.objectstore.proxy.request import ObjectRequest

NAMES = {f"x-container-{list_}": f"x-container-sysmeta-{list_}-by-name" for list_ in ("read", "write")}
"""For each list what notes that names in it are those of the default domain: somebody of it wrote them."""
BY_NAME = "by name"
_REFERRER = {".r", ".ref", ".referer", ".referrer"}


class Acl(NamedTuple):
    """`referrers` in the order in which they decide, the last that fits."""

    referrers: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    listings: bool = False


NOBODY = Acl()


def clean(name: str, text: str) -> str:
    """The list as it is kept. Raises BadRequest that names the word which is wrong."""
    words = []
    for raw in text.split(","):
        word = raw.strip()
        if not word:
            continue
        first, colon, second = (part.strip() for part in word.partition(":"))
        if not colon or not first.startswith("."):
            if word.startswith(".") and word != ".rlistings":
                raise BadRequest(f"Unknown designator {first!r} in ACL: {word!r}"[:400])
            words.append(word)
            continue
        words.append(_clean_referrer(name, word, first, second))
    return ",".join(words)


def _clean_referrer(name: str, word: str, first: str, second: str) -> str:
    if first not in _REFERRER:
        raise BadRequest(f"Unknown designator {first!r} in ACL: {word!r}"[:400])
    if "write" in name:
        raise BadRequest(f"Referrers not allowed in write ACL: {word!r}"[:400])
    negate = second.startswith("-")
    host = second.removeprefix("-").strip()
    if host != "*" and host.startswith("*"):
        host = host[1:].strip()
    if not host or host == ".":
        raise BadRequest(f"No host/domain value after referrer designation in ACL: {word!r}"[:400])
    return f".r:{'-' if negate else ''}{host}"


def parse(text: str | None) -> Acl:
    """What a kept list means."""
    if not text:
        return NOBODY
    referrers, groups = [], set()
    for word in text.split(","):
        if word.startswith(".r:"):
            referrers.append(word[3:])
        else:
            groups.add(unquote(word) if "%" in word else word)
    listings = ".rlistings" in groups
    return Acl(tuple(referrers), frozenset(groups - {".rlistings"}), listings)


def referrer_allowed(referrer: str, patterns: Iterable[str]) -> bool:
    """Whether the page that a request comes from is admitted."""
    try:
        host = urlsplit(referrer).hostname or "unknown" if referrer else "unknown"
    except ValueError:
        host = "unknown"
    allowed = False
    for pattern in patterns:
        bare = pattern.removeprefix("-")
        if bare in {"*", host} or (bare.startswith(".") and host.endswith(bare)):
            allowed = not pattern.startswith("-")
    return allowed


def admitted(request: ObjectRequest, acl: Acl) -> bool:
    """Whether a list admits anybody who comes from where this request does."""
    if not acl.referrers or not referrer_allowed(request.headers.get("referer", ""), acl.referrers):
        return False
    return bool(request.path.object) or acl.listings


def realm(request: ObjectRequest) -> str:
    """The account as it may stand in a header."""
    return quote(request.path.account) or "unknown"
