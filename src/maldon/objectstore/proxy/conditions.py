"""If-Match and its kin: whether a request still wants what is there.

Entity tags compare without their quotes. A date that is no date is as if it were not given.
"""

from collections.abc import Mapping

from maldon.objectstore.proxy.times import read_http_date
from maldon.objectstore.timestamp import seconds

NAMES = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")


def tags(text: str) -> set[str]:
    """The entity tags of a header, without quotes; "*" stands for itself."""
    found = set()
    for part in text.split(","):
        tag = part.strip().removeprefix("W/")
        found.add(tag[1:-1] if len(tag) > 1 and tag[0] == tag[-1] == '"' else tag)
    return found


def verdict(headers: Mapping[str, str], etag: str, timestamp: int) -> int:
    """0 to go on, 304 or 412, for a GET or HEAD of something that exists."""
    bare = etag.strip('"')
    if (wanted := headers.get("if-match")) is not None and not tags(wanted) & {"*", bare}:
        return 412
    if (unwanted := headers.get("if-none-match")) is not None:
        if tags(unwanted) & {"*", bare}:
            return 304
    elif (since := headers.get("if-modified-since")) is not None:
        at = read_http_date(since)
        if at is not None and seconds(timestamp) <= at:
            return 304
    if (before := headers.get("if-unmodified-since")) is not None:
        at = read_http_date(before)
        if at is not None and seconds(timestamp) > at:
            return 412
    return 0


def conditional(headers: Mapping[str, str]) -> bool:
    """Whether a request has any condition."""
    return any(name in headers for name in NAMES)


def range_holds(headers: Mapping[str, str], etag: str, timestamp: int) -> bool:
    """Whether If-Range, where there is one, still means this version: otherwise the whole is sent."""
    text = headers.get("if-range")
    if text is None:
        return True
    at = read_http_date(text)
    return seconds(timestamp) == at if at is not None else etag.strip('"') in tags(text)
