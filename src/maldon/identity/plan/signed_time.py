"""When a signed request may be used: near the time it was signed at, or until the time its signer gave it. Pure.

A request that was signed in its headers is good for a few minutes either way. A presigned one says how long, of which
no more than a week counts. One without a time is good for nothing: it could be repeated for ever.
"""

from email.utils import parsedate_to_datetime

from maldon.identity.plan.signature import Signed, is_v4, signed_at
from maldon.kernel.clock import SECOND, parse_time
from maldon.kernel.errors import Unauthorized

WEEK = 7 * 24 * 3600 * SECOND


def check_request(asked: Signed, now: int, window: int) -> None:
    """Raises Unauthorized for a request out of its time. `now` and `window` are in microseconds."""
    params = asked.params
    if is_v4(asked):
        lasts = _seconds(params.get("X-Amz-Expires", "0"))
        _check(_time(signed_at(asked)), now, window, lasts)
    elif "Expires" in params:
        _check_end(_time(params["Expires"]), now)
    else:
        _check(_time(params.get("Timestamp", "")), now, window)


def check_text(text: str, now: int, window: int) -> None:
    """The same of what an S3 request had to sign, which does not tell how long a presigned one of version 4 lasts."""
    lines = text.split("\n")
    if lines[0].startswith("AWS4-"):
        _check(_time(lines[1] if len(lines) > 1 else ""), now, window, WEEK)
        return
    date = lines[3] if len(lines) > 3 else ""
    if date.isascii() and date.isdigit():
        _check_end(_seconds(date), now)
    else:
        headers = dict(line.partition(":")[::2] for line in lines[4:])
        _check(_time(date or headers.get("x-amz-date", "")), now, window)


def _check(at: int, now: int, window: int, lasts: int = 0) -> None:
    if not at - window <= now <= at + max(window, min(lasts, WEEK)):
        raise Unauthorized("The request was signed too long ago, or in the future. Check the clock, and sign it anew.")


def _check_end(end: int, now: int) -> None:
    if not now <= end <= now + WEEK:
        raise Unauthorized("The signed request has expired, or is to be good for longer than a week. Sign it anew.")


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        pass
    try:
        return round(parsedate_to_datetime(text).timestamp() * SECOND)
    except (ValueError, OverflowError) as error:
        raise Unauthorized("The signed request does not tell when it was signed.") from error


def _seconds(text: str) -> int:
    """A whole number of seconds, in microseconds; nonsense lasts for no time."""
    return int(text) * SECOND if text.isascii() and text.isdigit() and len(text) < 15 else 0
