"""What servers used in a period: hours of their lives within it, times what they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from maldon.kernel.clock import SECOND

HOUR = 3600 * SECOND


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to `stop`, in microseconds; `now` is when it is asked."""

    start: int
    stop: int
    now: int


@dataclass(frozen=True, slots=True)
class ServerUsage:
    """A server's part of a period."""

    server: Any
    hours: float
    uptime_s: int
    ended_at: int | None
    disk_gb: int


def usage_of(server: Any, period: Period) -> ServerUsage:
    """A server is used from its launch to its end."""
    ended = server.terminated_at or server.deleted_at
    begin, end = max(server.launched_at, period.start), min(ended or period.stop, period.stop)
    return ServerUsage(
        server=server,
        hours=max(0, end - begin) / HOUR,
        uptime_s=max(0, (ended or period.now) - server.launched_at) // SECOND,
        ended_at=ended,
        disk_gb=server.disk_gb + int(server.flavor["ephemeral"]),
    )


def totals(usages: Iterable[ServerUsage]) -> dict[str, float]:
    """The sums that the API shows."""
    known = [*usages]
    return {
        "total_hours": sum(one.hours for one in known),
        "total_vcpus_usage": sum(one.hours * one.server.vcpus for one in known),
        "total_memory_mb_usage": sum(one.hours * one.server.memory_mb for one in known),
        "total_local_gb_usage": sum(one.hours * one.disk_gb for one in known),
    }
