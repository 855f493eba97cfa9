"""Time as whole microseconds since 1970 in UTC: what the database holds. The APIs' texts are made at the edge."""

import time
from datetime import UTC, datetime
from typing import Protocol

SECOND = 1_000_000


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
    return datetime.fromtimestamp(at // SECOND, UTC).isoformat()[:19]


def micros_text(at: int) -> str:
    """2024-01-01T00:00:00.000000."""
    whole, micros = divmod(at, SECOND)
    return f"{datetime.fromtimestamp(whole, UTC).isoformat()[:19]}.{micros:06d}"


def parse_time(text: str) -> int:
    """Microseconds of an ISO 8601 text; without a zone it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return round(at.timestamp() * SECOND)
