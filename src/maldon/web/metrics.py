"""Counters of the HTTP side, in Prometheus' format at /metrics."""

from collections.abc import Callable
from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram, generate_latest

_requests = Counter("maldon_http_requests", "HTTP requests answered.", ("service", "method", "route", "status"))
_seconds = Histogram(
    "maldon_http_seconds",
    "Seconds to answer an HTTP request.",
    ("service",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
)
_statements = Gauge("maldon_sql_statements", "SQL statements since the process started.")


@lru_cache(maxsize=4096)
def _series(service: str, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return _requests.labels(service, method, route, str(status)), _seconds.labels(service)


def observe(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    count, histogram = _series(service, method, route, status)
    count.inc()
    histogram.observe(seconds)


def count_statements(count: Callable[[], int]) -> None:
    """Show what `count` returns as the number of SQL statements."""
    _statements.set_function(count)


def page() -> bytes:
    """All metrics of this process."""
    return generate_latest()
