"""Time as whole microseconds since 1970 in UTC: what the database holds. The APIs' texts are made at the edge."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

SECOND = 1_000_000
_TWO_DIGITS = tuple(f"{n:02}" for n in range(60))


class Clock(Protocol):
    """Tells the time; tests move it by hand."""

    def now(self) -> int:
        """Microseconds since 1970."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1000


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: int = 1_700_000_000 * SECOND) -> None:
        self._at = at

    def now(self) -> int:
        return self._at

    def advance(self, seconds: float) -> None:
        self._at += int(seconds * SECOND)


def seconds_text(at: int) -> str:
    """2024-01-01T00:00:00 (the caller adds Z where its API has one)."""
    minute, second = divmod(at // SECOND, 60)
    return _minute_text(minute) + _TWO_DIGITS[second]


@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    """Long lists are mostly made of times: what several have in common is written once."""
    return datetime.fromtimestamp(minute * 60, UTC).isoformat()[:17]


def micros_text(at: int) -> str:
    """2024-01-01T00:00:00.000000."""
    return f"{seconds_text(at)}.{at % SECOND:06d}"


def parse_time(text: str) -> int:
    """Microseconds of an ISO 8601 text; without a zone it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return round(at.timestamp() * SECOND)
