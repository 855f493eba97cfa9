"""`maldon object recon`: every storage node of the rings asked at once, and what is wrong among them."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from maldon import __version__
from maldon.objectstore import service as objectstore
from maldon.objectstore.recon.answers import policy_rows
from maldon.objectstore.recon.asking import Answer, Asking
from maldon.objectstore.recon.report import MOST_SKEW_S, NodeReport, decode, differences, silent, troubles
from maldon.objectstore.recon.stock import DiskState

LOOPS = (
    "replicate objects", "reconstruct objects", "replicate books", "audit objects", "audit books", "pay debts",
    "tell accounts of all", "expire objects", "shard containers", "sync containers",
)  # fmt: skip


@dataclass
class Seen:
    """What came of asking a node: its report, or why there is none. `skew_s` is how far its clock is ahead."""

    report: NodeReport | None = None
    skew_s: float = 0.0
    troubles: list[str] = field(default_factory=list)


async def look_around(cluster: objectstore.Cluster, timeout_s: float) -> dict[str, Seen]:
    """Every node by its address; a store of one node by "this node"."""
    addresses = set(cluster.rings.addresses()) | ({cluster.settings.address} - {""})
    if not addresses:
        report = await asyncio.to_thread(objectstore.recon(cluster).report)
        return {"this node": _judged(cluster, report, 0.0)}
    asked = time.time()
    answers = await Asking(timeout_s=timeout_s).ask_all(sorted(addresses), "/recon/node")
    return {address: _seen(cluster, answer, (asked, time.time())) for address, answer in answers.items()}


def _seen(cluster: objectstore.Cluster, answer: Answer, between: tuple[float, float]) -> Seen:
    if not answer.ok:
        return Seen(troubles=[answer.said])
    try:
        report = decode(answer.body)
    except msgspec.MsgspecError as error:
        return Seen(troubles=[f"it is of another release: {error}"])
    early, late = between
    return _judged(cluster, report, max(report.time - late, 0.0) or min(report.time - early, 0.0))


def _judged(cluster: objectstore.Cluster, report: NodeReport, skew_s: float) -> Seen:
    found = list(troubles(report))
    if silent(report):
        found.append("its loops do not run: nothing is replicated, audited or repaired there")
    if abs(skew_s) > MOST_SKEW_S:
        found.append(f"its clock is {abs(skew_s):.1f} s {'ahead' if skew_s > 0 else 'behind'}: the later write wins")
    if report.version != __version__:
        found.append(f"it is release {report.version}, this is {__version__}")
    found += differences(report, cluster.rings.editions(), policy_rows(cluster.policies))
    return Seen(report, skew_s, found)


def table(nodes: dict[str, Seen]) -> Iterator[str]:
    """For people."""
    for address, seen in nodes.items():
        if seen.report is None:
            yield f"{address}  DOWN"
        else:
            yield from _node(address, seen, seen.report)
    wrong = [(address, trouble) for address, seen in nodes.items() for trouble in seen.troubles]
    yield ""
    for address, trouble in wrong:
        yield f"! {address}: {trouble}"
    up = [seen.report for seen in nodes.values() if seen.report is not None]
    yield f"{len(up)} of {len(nodes)} nodes answer, {sum(len(one.disks) for one in up)} disks, {len(wrong)} troubles"


def _node(address: str, seen: Seen, report: NodeReport) -> Iterator[str]:
    rings = ", ".join(f"{name} {edition.version}" for name, edition in report.rings.items()) or "none"
    yield f"{address}  {report.version}  load {report.load:.2f}  clock {seen.skew_s:+.1f} s  rings {rings}"
    for name, disk in report.disks.items():
        yield f"  {name:<12} {_disk(disk)}"
    for name in LOOPS:
        told = report.loops.get(name)
        if told is not None and told.passes:
            ago = _span(report.time - told.begun - told.seconds)
            yield f"  {name:<22} {ago} ago, took {_span(told.seconds)}, did {told.did}"
        elif told is not None and told.running_since:
            yield f"  {name:<22} its first pass runs for {_span(report.time - told.running_since)}"


def _disk(disk: DiskState) -> str:
    if not disk.size_bytes:
        return f"{disk.state}: {disk.said}"
    objects = f"{disk.objects} objects" if disk.objects >= 0 else "objects not counted yet"
    free = f"{100 * disk.free_bytes / disk.size_bytes:.0f} % of {disk.size_bytes / 2**30:.1f} GiB free"
    aside = sum(disk.quarantined.values())
    return f"{disk.state}, {free}, {objects}, {disk.books} books, {disk.debts} debts, {aside} quarantined"


def _span(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"
