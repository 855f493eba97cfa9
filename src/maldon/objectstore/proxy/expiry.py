"""When an object ceases to be: X-Delete-At in seconds since 1970, X-Delete-After in seconds from now."""

import time
from collections.abc import Mapping

from maldon.kernel.errors import BadRequest

OPEN_EXPIRED = "x-backend-open-expired"  # of a POST to a node: it means what has expired, too
LAST = 9_999_999_999  # what ten digits hold


def wanted_end(headers: Mapping[str, str], now: float | None = None) -> str | None:
    """The x-delete-at to be kept; None when it shall stay. Raises BadRequest."""
    moment = int(time.time() if now is None else now)
    if (after := headers.get("x-delete-after")) is not None:
        seconds = _whole(after, "X-Delete-After")
        if seconds <= 0:
            raise BadRequest("X-Delete-After in past")
        return str(min(moment + seconds, LAST))
    if (at := headers.get("x-delete-at")) is None or at == "":
        return None
    seconds = _whole(at, "X-Delete-At")
    if seconds <= moment and "x-backend-replication" not in headers:
        raise BadRequest("X-Delete-At in past")
    return str(min(seconds, LAST))


def _whole(text: str, name: str) -> int:
    digits = text.strip()
    if not digits.removeprefix("-").isdigit() or not digits.isascii() or len(digits) > 1000:
        raise BadRequest(f"Non-integer {name}")
    return int(digits)


def expired(headers: Mapping[str, str]) -> bool:
    """Whether an object with these headers is no more."""
    at = headers.get("x-delete-at")
    return at is not None and at.isdigit() and int(at) <= time.time()
