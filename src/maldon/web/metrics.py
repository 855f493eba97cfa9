"""Counters of the HTTP side, in Prometheus' format at /metrics.

Every request counts here, so counting is a few dictionary entries; what Prometheus wants to see is made when it looks.
Processes that share a port cannot be asked one by one: the first of them shows what the others counted beside its own.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec
from prometheus_client import REGISTRY, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30)
_requests: Counter[tuple[str, str, str, int]] = Counter()
_seconds: dict[str, list[float]] = {}  # a service's count in each bucket, the last beyond all, then the sum
_beside: "list[Callable[[], Iterable[Counted]]]" = []
_statements = Gauge("maldon_sql_statements", "SQL statements since the process started.")


def observe(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    _requests[service, method, route, status] += 1
    taken = _seconds.get(service)
    if taken is None:
        taken = _seconds[service] = [0.0] * (len(BUCKETS) + 2)
    taken[bisect_left(BUCKETS, seconds)] += 1
    taken[-1] += seconds


class Counted(msgspec.Struct):
    """What a process counted, to be handed to another."""

    requests: list[tuple[str, str, str, int, int]] = []
    seconds: dict[str, list[float]] = {}

    def add(self, other: "Counted") -> None:
        """Another process's, or an earlier one's."""
        total: Counter[tuple[str, str, str, int]] = Counter()
        for *key, count in (*self.requests, *other.requests):
            total[tuple(key)] += count  # type: ignore[index]
        self.requests = [(*key, count) for key, count in total.items()]
        for service, taken in other.seconds.items():
            own = self.seconds.get(service, [0.0] * len(taken))
            self.seconds[service] = [one + more for one, more in zip(own, taken, strict=True)]


def counted() -> Counted:
    """What this process counted."""
    requests = [(*key, count) for key, count in list(_requests.items())]
    return Counted(requests, {service: list(taken) for service, taken in list(_seconds.items())})


def count_beside(others: Callable[[], Iterable[Counted]] | None) -> None:
    """Show what `others` returns beside one's own; None ends it."""
    _beside[:] = [] if others is None else [others]


class _Requests(Collector):
    def collect(self) -> Iterator[Metric]:
        total = counted()
        for others in _beside:
            for other in others():
                total.add(other)
        answered = CounterMetricFamily(
            "maldon_http_requests", "HTTP requests answered.", labels=("service", "method", "route", "status")
        )
        for *labels, status, count in total.requests:
            answered.add_metric([*labels, str(status)], count)
        yield answered
        timed = HistogramMetricFamily("maldon_http_seconds", "Seconds to answer an HTTP request.", labels=("service",))
        for service, taken in total.seconds.items():
            timed.add_metric([service], _buckets(taken), taken[-1])
        yield timed


def _buckets(taken: list[float]) -> list[tuple[str, float]]:
    """Each bucket's bound, and how many took no longer."""
    bounds = [*(str(float(bound)) for bound in BUCKETS), "+Inf"]
    return [(bound, sum(taken[: n + 1])) for n, bound in enumerate(bounds)]


REGISTRY.register(_Requests())


def count_statements(count: Callable[[], int]) -> None:
    """Show what `count` returns as the number of SQL statements."""
    _statements.set_function(count)


def page() -> bytes:
    """All metrics of this process."""
    return generate_latest()
