"""One change to all rings of a home that it concerns: planned for all, checked, written, handed to every node.

Nothing is written unless every ring comes out sound. A replica moves at most once within a ring's --min-part-hours, so
that the others of its partition are where readers look for them; what has to wait is said. Nodes take a ring over the
network, and it is in force with them at once; one that does not answer gets it by `maldon ring push`.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maldon.objectstore.recon.asking import Asking
from maldon.objectstore.ring.builder import Plan, balance, dispersion, rebalance
from maldon.objectstore.ring.changing import unsound
from maldon.objectstore.ring.file import BadRing, alone, dump, read, write
from maldon.objectstore.secrets import read_secrets
from maldon.runtime.home import Home, Trouble
from maldon.runtime.object_home import secrets_file

PUSH_S = 30.0


@dataclass(frozen=True, slots=True)
class Round:
    """What became of a ring: how many replicas moved, how many must wait."""

    plan: Plan
    moved: int
    waiting: int


def ring_path(home: Path, name: str) -> Path:
    """The file of a ring. Raises Trouble for a name that is none."""
    noun, _, index = name.partition("-")
    if noun not in {"account", "container", "object"} or (index and (noun != "object" or not index.isdecimal())):
        raise Trouble(f"There is no ring {name!r}; rings are account, container, object and object-N.")
    return Home(home) / "rings" / f"{name}.ring"


def ring_names(home: Path) -> list[str]:
    """The rings that a home has. Raises Trouble when it has none."""
    names = sorted(file.stem for file in (Home(home) / "rings").glob("*.ring"))
    if not names:
        raise Trouble(f"There are no rings in {Home(home) / 'rings'}; `maldon ring create` makes them.")
    return names


def read_ring(path: Path) -> Plan:
    """Raises Trouble."""
    if not path.exists():
        raise Trouble(f"There is no ring in {path}; `maldon ring create {path.stem}` makes one.")
    try:
        return read(path)
    except BadRing as error:
        raise Trouble(str(error)) from error


def now_h() -> int:
    return int(time.time() // 3600)


def balanced(plan: Plan, *, seed: int | None = None, force: bool = False) -> Round:
    """A round of the builder; with `force` nothing waits. Raises Trouble."""
    try:
        done = rebalance(replace(plan, min_part_hours=0) if force else plan, now_h(), random.Random(seed))
    except ValueError as error:
        raise Trouble(str(error)) from error
    return Round(replace(done.plan, min_part_hours=plan.min_part_hours), done.moved, done.waiting)


def change_all(home: Path, names: Sequence[str], change: Callable[[str, Plan], Round]) -> dict[str, Round]:
    """Change rings together. Raises Trouble, and then none of them is another than before."""
    paths = {name: ring_path(home, name) for name in names}
    with contextlib.ExitStack() as stack:
        for path in paths.values():
            stack.enter_context(alone(path))
        done = {name: change(name, read_ring(path)) for name, path in paths.items()}
        for name, one in done.items():
            if wrong := unsound(one.plan):
                raise Trouble(f"{wrong} in the ring {name}; nothing was written.")
        for name, path in paths.items():
            write(path, done[name].plan)
    return done


def told(done: dict[str, Round]) -> Iterable[str]:
    """What became of each ring, and what is to be done later."""
    for name, one in done.items():
        yield f"{name}: version {one.plan.version}, {one.moved} replicas move, {state(one.plan)}"
    waiting = {name: one.waiting for name, one in done.items() if one.waiting}
    if waiting:
        hours = max(done[name].plan.min_part_hours for name in waiting)
        said = ", ".join(f"{count} of {name}" for name, count in waiting.items())
        yield (
            f"{said} must wait, because another replica of theirs moved less than {hours} h ago: "
            f"`maldon ring rebalance --push` in {hours} h, once data have followed."
        )


def state(plan: Plan) -> str:
    return f"balance {balance(plan):.2f} %, dispersion {dispersion(plan):.2f} %"


def push(home: Path, also: Iterable[str] = ()) -> Iterable[str]:
    """Hand every ring of a home to all nodes of the rings, and to others; a line for each node."""
    plans = {name: read_ring(ring_path(home, name)) for name in ring_names(home)}
    whole = {name: dump(plan) for name, plan in plans.items() if plan.table}
    addresses = {device.address for plan in plans.values() for device in plan.devices} | set(also)
    secrets = read_secrets(secrets_file(home))
    if secrets is None:
        return [f"{secrets_file(home)} is not here: no node takes a ring without its key."]
    wanted = {(address, f"/rings/{name}"): ring for address in addresses for name, ring in whole.items()}
    answers = asyncio.run(Asking(secrets.cluster_key, PUSH_S).ask(wanted))
    lines = []
    for address in sorted(addresses):
        failed = {path: one for (at, path), one in answers.items() if at == address and not one.ok}
        lines.append(f"{address} has them" if not failed else f"{address}: {next(iter(failed.values())).said}")
    if any(not line.endswith("has them") for line in lines):
        lines.append("`maldon ring push` hands them round again.")
    return lines
