"""Times as the API writes them: HTTP dates in headers, ISO texts with microseconds in listings."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from maldon.objectstore.timestamp import TICKS, seconds

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(timestamp: int) -> str:
    """Tue, 14 Nov 2023 22:13:20 GMT: the second it falls into, rounded up."""
    minute, second = divmod(seconds(timestamp), 60)
    return f"{_minute(minute)}{second:02d} GMT"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    at = datetime.fromtimestamp(minute * 60, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year} {at.hour:02d}:{at.minute:02d}:"


def iso(timestamp: int) -> str:
    """2023-11-14T22:13:20.123450."""
    whole, ticks = divmod(timestamp, TICKS)
    minute, second = divmod(whole, 60)
    return f"{_iso_minute(minute)}{second:02d}.{ticks:05d}0"


@lru_cache(maxsize=4096)
def _iso_minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:")


def read_http_date(text: str) -> int | None:
    """Whole seconds since 1970; None for what is no date."""
    try:
        at = parsedate_to_datetime(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
