"""The store's figures at /metrics.

Counts are kept as plain numbers where things happen and gathered when somebody looks. Of the workers of a node only the
first process has a port to be asked at: each of the others writes its counts into a file once in a while, and goes on
from there when it is started again, so that what is shown is the node's and never runs backwards. Gauges of the disks
and of the loops' passes are those that the node's stock-taking wrote down last: see recon/passes.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from maldon.objectstore.device.counts import SIZES, DiskCounts
from maldon.objectstore.device.device import Device
from maldon.objectstore.recon.passes import Seen, read_seen
from maldon.objectstore.recon.stock import OK
from maldon.web import metrics

FOLDER = "figures"
WRITE_S = 5.0


class Figures(msgspec.Struct):
    """What one process counted."""

    disks: dict[str, DiskCounts] = {}
    http: metrics.Counted = msgspec.field(default_factory=metrics.Counted)

    def add(self, other: "Figures") -> None:
        for name, counts in other.disks.items():
            self.disks.setdefault(name, DiskCounts()).add(counts)
        self.http.add(other.http)


_decode = msgspec.json.Decoder(Figures).decode


class Counting:
    """A process's disks, counted. `number` is 0 for the first process, which shows the figures of all."""

    def __init__(self, folder: Path, devices: Mapping[str, Device], number: int = 0) -> None:
        self._folder, self._devices, self._number = folder, devices, number
        self._file = folder / FOLDER / f"{number}.json"
        self._before = _read(self._file) if number else Figures()

    def own(self) -> Figures:
        """This process's, and of those that had its number before."""
        figures = Figures({}, metrics.counted())
        for name, device in list(self._devices.items()):
            figures.disks.setdefault(name, DiskCounts()).add(device.commits.counts)
        figures.add(self._before)
        return figures

    def others(self) -> list[Figures]:
        """Those of the other processes, as they wrote them last."""
        return [_read(file) for file in sorted(self._file.parent.glob("*.json")) if file != self._file]

    def write(self) -> None:
        """For the first process."""
        self._file.parent.mkdir(exist_ok=True)
        beside = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        beside.write_bytes(msgspec.json.encode(self.own()))
        beside.replace(self._file)

    def clear(self) -> None:
        """Nobody of those is there any more."""
        for file in self._file.parent.glob("*.json"):
            file.unlink(missing_ok=True)

    def seen(self) -> Seen:
        return read_seen(self._folder)


def _read(file: Path) -> Figures:
    try:
        return _decode(file.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return Figures()


class _Shown(Collector):
    def __init__(self) -> None:
        self.counting: Counting | None = None

    def collect(self) -> Iterator[Metric]:
        counting = self.counting
        if counting is None:
            return
        disks = counting.own().disks
        for other in counting.others():
            for name, counts in other.disks.items():
                disks.setdefault(name, DiskCounts()).add(counts)
        yield from _of_disks(disks)
        seen = counting.seen()
        yield from _of_stock(seen)
        yield from _of_loops(seen)


def _of_disks(disks: Mapping[str, DiskCounts]) -> Iterator[Metric]:
    grouped = HistogramMetricFamily(
        "maldon_object_group_records", "Records that were written and synced together.", labels=("device",)
    )
    for name, counts in disks.items():
        bounds = [*(str(float(size)) for size in SIZES), "+Inf"]
        buckets = [(bound, sum(counts.groups[: n + 1])) for n, bound in enumerate(bounds)]
        grouped.add_metric([name], buckets, counts.records)
    yield grouped
    written = CounterMetricFamily(
        "maldon_object_written_bytes", "Bytes of records and of large bodies.", labels=("device", "kind")
    )
    refused = CounterMetricFamily("maldon_object_refused_groups", "Groups a disk did not take.", labels=("device",))
    aside = CounterMetricFamily("maldon_object_set_aside", "Records found damaged.", labels=("device",))
    for name, counts in disks.items():
        written.add_metric([name, "small"], counts.small_bytes)
        written.add_metric([name, "large"], counts.large_bytes)
        refused.add_metric([name], counts.refused)
        aside.add_metric([name], counts.quarantined)
    yield from (written, refused, aside)


def _of_stock(seen: Seen) -> Iterator[Metric]:
    def gauge(name: str, said: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"maldon_object_disk_{name}", said, labels=("device", *labels))

    works = gauge("ok", "Whether the disk is there and takes writes.")
    size, free = gauge("size_bytes", "Of the disk."), gauge("free_bytes", "Without the reserve.")
    debts = gauge("debts", "Objects that containers are still to be told of.")
    oldest = gauge("oldest_debt_seconds", "How long the first of them has been waiting.")
    objects, aside = gauge("objects", "Rows of the index."), gauge("quarantined", "What lies set aside.", "kind")
    for name, disk in seen.disks.items():
        works.add_metric([name], disk.state == OK)
        size.add_metric([name], disk.size_bytes)
        free.add_metric([name], disk.free_bytes)
        debts.add_metric([name], disk.debts)
        oldest.add_metric([name], disk.oldest_debt_s)
        if disk.objects >= 0:
            objects.add_metric([name], disk.objects)
        for kind, count in disk.quarantined.items():
            aside.add_metric([name, kind], count)
    yield from (works, size, free, debts, oldest, objects, aside)


def _of_loops(seen: Seen) -> Iterator[Metric]:
    said = "What the loop counts: versions pushed, debts paid, objects expired…"
    done = CounterMetricFamily("maldon_object_loop_done", said, labels=("loop",))
    passes = CounterMetricFamily("maldon_object_loop_passes", "Passes that ended.", labels=("loop",))
    seconds = GaugeMetricFamily("maldon_object_loop_seconds", "How long the last pass took.", labels=("loop",))
    last = GaugeMetricFamily("maldon_object_loop_last", "When the last pass began.", labels=("loop",))
    failures = GaugeMetricFamily("maldon_object_loop_failures", "Passes in a row that failed.", labels=("loop",))
    for name, told in seen.loops.items():
        if told.passes:
            done.add_metric([name], told.total)
            passes.add_metric([name], told.passes)
            seconds.add_metric([name], told.seconds)
            last.add_metric([name], told.begun)
            failures.add_metric([name], told.failures)
    yield from (done, passes, seconds, last, failures)


_shown = _Shown()
REGISTRY.register(_shown)


@contextlib.contextmanager
def shown(counting: Counting) -> Iterator[None]:
    """Show a node's figures meanwhile."""
    counting.clear()
    _shown.counting = counting
    metrics.count_beside(lambda: [other.http for other in counting.others()])
    try:
        yield
    finally:
        if _shown.counting is counting:
            _shown.counting = None
            metrics.count_beside(None)
