"""All that a node says of itself, in one piece, and what of it an operator has to see to."""

from collections.abc import Iterator, Mapping

import msgspec

from maldon.objectstore.recon.passes import Pass
from maldon.objectstore.recon.stock import OK, DiskState
from maldon.objectstore.rings import Edition

OLD_DEBT_S = 3600.0
MOST_SKEW_S = 1.0
FAILURES = 3  # in a row, of a loop
SILENT_S = 120.0  # since a node's loops last wrote down what they do


class PolicyRow(msgspec.Struct, frozen=True):
    """A storage policy as nodes compare it."""

    index: int
    name: str
    default: bool = False
    code: str = ""


class NodeReport(msgspec.Struct, frozen=True):
    """`time` is the node's clock, `seen_at` when its loops last wrote down what they do, 0 for never."""

    version: str
    address: str
    time: float
    pid: int
    load: float
    disks: dict[str, DiskState]
    loops: dict[str, Pass]
    seen_at: float
    rings: dict[str, Edition]
    policies: list[PolicyRow]


decode = msgspec.json.Decoder(NodeReport).decode


def troubles(node: NodeReport) -> Iterator[str]:
    """What is wrong with a node by itself."""
    for name, disk in node.disks.items():
        if disk.state != OK:
            yield f"disk {name} is {disk.state}: {disk.said}"
        if disk.oldest_debt_s > OLD_DEBT_S:
            yield (
                f"disk {name} has {disk.debts} objects that containers were not told of, the first for "
                f"{disk.oldest_debt_s / 3600:.1f} h: the containers' nodes cannot be reached, or are gone"
            )
    for name, told in node.loops.items():
        if told.failures >= FAILURES:
            yield f"the loop '{name}' failed {told.failures} times in a row: {told.error}"


def silent(node: NodeReport) -> bool:
    """Whether the node's loops do not run."""
    return node.time - node.seen_at > SILENT_S


def differences(node: NodeReport, mine: Mapping[str, Edition], policies: list[PolicyRow]) -> Iterator[str]:
    """Where a node believes something else of the cluster than the one who asks."""
    for name in sorted({*mine, *node.rings}):
        here, there = mine.get(name), node.rings.get(name)
        if there is None:
            yield f"it has no ring {name}: `maldon ring push`"
        elif here is None:
            yield f"it has a ring {name}, which this home has not"
        elif here.md5 != there.md5:
            hint = "`maldon ring push`" if there.version < here.version else "this home's is not the last"
            yield f"its ring {name} is version {there.version}, here it is {here.version}: {hint}"
    if node.policies != policies:
        said = ", ".join(f"{one.index}:{one.name}" for one in node.policies)
        yield f"its storage policies are others ({said}): [object] policies must be the same on all nodes"
