"""`maldon ring`: the rings of a home's object store, each a file that every node gets a copy of.

A ring is named account, container, object, or object-N for the storage policy with index N; without a name it is all of
them. `add --rebalance`, `drain`, `replace` and `forget` are whole operations: they change every ring that is concerned,
balance it, check it, and hand it to all nodes. What the other commands change counts from the next `rebalance` on,
which is when data begin to move.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from maldon.kernel.settings import BadSetting
from maldon.objectstore.policies import Policies
from maldon.objectstore.recon.asking import Asking
from maldon.objectstore.ring.builder import Plan, shares
from maldon.objectstore.ring.changing import (
    Where,
    drained,
    forgotten,
    found,
    held,
    only_there,
    replaced,
    resting,
    unsound,
    where,
)
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.file import alone, write
from maldon.objectstore.rings import check_replicas, object_ring
from maldon.objectstore.secrets import read_secrets
from maldon.runtime.home import Trouble
from maldon.runtime.object_home import policies_of, secrets_file
from maldon.runtime.options import HOME
from maldon.runtime.ring_rounds import (
    Round,
    balanced,
    change_all,
    now_h,
    push,
    read_ring,
    ring_names,
    ring_path,
    state,
    told,
)

NAME = click.argument("name", type=click.STRING)
NAMES = click.argument("name", type=click.STRING, required=False)


@click.group()
def ring() -> None:
    """Say which disks hold which part of the object store."""


def _change(home: Path, name: str, change: Callable[[Plan], Plan]) -> Plan:
    path = ring_path(home, name)
    with alone(path):
        changed = change(read_ring(path))
        write(path, changed)
    return changed


def _known(plan: Plan, id_: int) -> RingDevice:
    found = next((device for device in plan.devices if device.id == id_ and not device.removed), None)
    if found is None:
        raise Trouble(f"There is no device {id_}; there are {', '.join(str(d.id) for d in plan.devices) or 'none'}.")
    return found


@ring.command()
@HOME
@NAMES
@click.option("--power", type=click.IntRange(1, 20), default=14, show_default=True, help="2**POWER partitions.")
@click.option(
    "--replicas", type=click.FloatRange(1, 32), default=3, show_default=True, help="Copies; 3.25 is possible."
)
@click.option("--min-part-hours", type=click.IntRange(0, 1000), default=1, show_default=True, help="Rest after a move.")
@click.option("--overload", type=click.FloatRange(0, 10), default=0.1, show_default=True, help="Part over its share.")
def create(home: Path, name: str | None, *, power: int, replicas: float, min_part_hours: int, overload: float) -> None:
    """Make the ring NAME, without devices; without a NAME, every one that is not there yet."""
    wanted = {name: replicas} if name else _missing(home, replicas)
    if not wanted:
        raise Trouble("Every ring of the settings is there already.")
    for one, copies in wanted.items():
        plan, path = Plan(power, copies, min_part_hours, overload), ring_path(home, one)
        with alone(path):
            if path.exists():
                raise Trouble(f"There is a ring in {path} already.")
            write(path, plan)
        click.echo(f"{one}: {plan.partitions} partitions, {copies:g} replicas")


def _missing(home: Path, replicas: float) -> dict[str, float]:
    """The rings that the settings want and the home has not, and how many replicas each has."""
    wanted = {"account": replicas, "container": replicas}
    for policy in policies_of(home):
        wanted[object_ring(policy.index)] = policy.code.fragments if policy.code else replicas
    return {name: copies for name, copies in wanted.items() if not ring_path(home, name).exists()}


@ring.command()
@HOME
@NAMES
@click.option("--region", type=click.IntRange(0), default=1, show_default=True, help="Region it stands in.")
@click.option("--zone", type=click.IntRange(0), default=1, show_default=True, help="Zone of the region.")
@click.option("--address", required=True, help="HOST:PORT of its storage node.")
@click.option("--device", required=True, help="Name of the disk there.")
@click.option("--weight", type=click.FloatRange(0), default=1, show_default=True, help="Its share beside others.")
@click.option("--rebalance", "at_once", is_flag=True, help="Have data move to it: balance the rings, hand them round.")
def add(home: Path, name: str | None, *, at_once: bool, **stands: Any) -> None:
    """Add a disk to the ring NAME, or to all."""
    _check_place(stands["address"], stands["device"])

    def change(one: str, plan: Plan) -> Round:
        added = RingDevice(id=max((known.id for known in plan.devices), default=-1) + 1, **stands)
        if any(known.tiers[2] == added.tiers[2] and known.device == added.device for known in plan.devices):
            raise Trouble(f"{added.device} of {added.address} is in the ring {one} already.")
        wider = plan.with_device(added)
        return balanced(wider) if at_once else Round(wider, 0, 0)

    names = [name] if name else ring_names(home)
    if at_once:
        _finish(home, change_all(home, names, change))
        return
    for one in names:
        done = _change(home, one, lambda plan, one=one: change(one, plan).plan)  # type: ignore[misc]
        click.echo(f"device {done.devices[-1].id}" if name else f"{one}: device {done.devices[-1].id}")


def _check_place(address: str, device: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:
        raise Trouble(f"--address wants HOST:PORT, not {address!r}.")
    if not device or "/" in device or device.startswith("."):
        raise Trouble(f"--device wants the name of a directory, not {device!r}.")


def _finish(home: Path, done: dict[str, Round], also: Iterable[str] = ()) -> None:
    """Say what became of the rings, hand them round, say what comes next."""
    for line in (*told(done), *push(home, also)):
        click.echo(line)
    click.echo("Data follow now; `maldon object recon` shows how far they are.")


@ring.command()
@HOME
@click.argument("place", metavar="ADDRESS[/DEVICE]")
def drain(home: Path, place: str) -> None:
    """Have a disk, or all disks of a node, emptied: everything on them moves to others, by and by."""
    at = where(place)
    names = _concerned(home, at)
    done = change_all(home, names, lambda _, plan: balanced(drained(plan, at)))
    _finish(home, done)
    left = sum(held(one.plan, at) for one in done.values())
    if not left:
        click.echo(f"Nothing belongs to {at} any more: once it holds no objects, `maldon ring forget {at}`.")


@ring.command()
@HOME
@click.argument("old")
@click.argument("new")
@click.option("--force", is_flag=True, help="Though NEW does not answer, or other replicas moved a short while ago.")
def replace(home: Path, old: str, new: str, *, force: bool) -> None:
    """Have the node NEW take the place of OLD (each HOST:PORT), with as many disks of the same names."""
    _check_place(new, "disk")
    names, at = _concerned(home, Where(old)), Where(old)
    if not force:
        _answers(home, new)

    def change(name: str, plan: Plan) -> Round:
        if found(plan, Where(new)):
            raise Trouble(f"{new} is in the ring {name} already.")
        if not force and (hours := resting(plan, at, now_h())):
            raise Trouble(
                f"Other replicas of what is on {old} moved less than {plan.min_part_hours} h ago: wait {hours} h, until"
                " data have followed, or --force if you know that they have."
            )
        return Round(replaced(plan, old, new, now_h()), held(plan, at), 0)

    alone_there = sum(only_there(read_ring(ring_path(home, name)), at) for name in names)
    _finish(home, change_all(home, names, change), also=[old])
    if alone_there:
        click.echo(f"{alone_there} partitions are nowhere else: keep {old} running until it holds no objects.")


def _answers(home: Path, address: str) -> None:
    secrets = read_secrets(secrets_file(home))
    asking = Asking(secrets.cluster_key if secrets else "")
    answer = asyncio.run(asking.ask_all([address], "/rings/account"))[address]
    if answer.status not in {200, 404}:  # it need not have rings yet
        raise Trouble(
            f"{address}: {answer.said}. Start its storage node first (`maldon object join` there), or --force."
        )


@ring.command()
@HOME
@click.argument("place", metavar="ADDRESS[/DEVICE]")
def forget(home: Path, place: str) -> None:
    """Take a drained disk, or all of a drained node, out of the rings."""
    at = where(place)

    def change(name: str, plan: Plan) -> Round:
        if left := held(plan, at):
            raise Trouble(f"{left} replicas of the ring {name} belong to {at}: `maldon ring drain {at}` first.")
        return Round(forgotten(plan, at), 0, 0)

    for line in (*told(change_all(home, _concerned(home, at), change)), *push(home, [at.address])):
        click.echo(line)


def _concerned(home: Path, at: Where) -> list[str]:
    """The rings that have a disk there. Raises Trouble when none has."""
    plans = {name: read_ring(ring_path(home, name)) for name in ring_names(home)}
    names = [name for name, plan in plans.items() if found(plan, at)]
    if not names:
        known = sorted({f"{d.address}/{d.device}" for plan in plans.values() for d in plan.devices if not d.removed})
        raise Trouble(f"No ring has {at}; there are {', '.join(known) or 'no disks'}.")
    return names


@ring.command("push")
@HOME
def push_(home: Path) -> None:
    """Hand the rings to all nodes."""
    lines = list(push(home))
    click.echo("\n".join(lines))
    sys.exit(any(not line.endswith("has them") for line in lines))


@ring.command("set-weight")
@HOME
@NAME
@click.argument("device_id", type=int)
@click.argument("weight", type=click.FloatRange(0))
def set_weight(home: Path, name: str, device_id: int, weight: float) -> None:
    """Give a disk another weight; 0 drains it."""

    def change(plan: Plan) -> Plan:
        return plan.with_device(msgspec.structs.replace(_known(plan, device_id), weight=weight))

    _change(home, name, change)


@ring.command()
@HOME
@NAME
@click.argument("device_id", type=int)
def remove(home: Path, name: str, device_id: int) -> None:
    """Take a disk out: the next rounds place what was on it elsewhere."""
    _change(home, name, lambda plan: plan.without_device(_known(plan, device_id).id))


@ring.command("rebalance")
@HOME
@NAMES
@click.option("--seed", type=int, help="Makes the same choices again.")
@click.option("--force", is_flag=True, help="Do not wait for --min-part-hours.")
@click.option("--push", "at_once", is_flag=True, help="Hand the rings to all nodes.")
def rebalance_(home: Path, name: str | None, *, seed: int | None, force: bool, at_once: bool) -> None:
    """Decide anew which disk holds what; at most one replica of a partition moves."""
    names = [name] if name else ring_names(home)
    done = change_all(home, names, lambda _, plan: balanced(plan, seed=seed, force=force))
    for line in (*told(done), *(push(home) if at_once else ())):
        click.echo(line)


@ring.command()
@HOME
@NAMES
def validate(home: Path, name: str | None) -> None:
    """Check that every replica, or fragment of a code, has a disk of its own; exit 1 with what is wrong."""
    policies = policies_of(home)
    for one in [name] if name else ring_names(home):
        plan = read_ring(ring_path(home, one))
        _check_policy(policies, one, plan)
        if wrong := unsound(plan):
            raise Trouble(f"{wrong} in the ring {one}; rebalance the ring.")
        click.echo(f"{one}: every replica has a device of its own; {state(plan)}")


def _check_policy(policies: Policies, name: str, plan: Plan) -> None:
    """Raise Trouble for a ring without a place for each fragment of the storage policy it is for."""
    try:
        for policy in policies:
            if object_ring(policy.index) == name:
                check_replicas(policy, plan.replicas)
    except BadSetting as error:
        raise Trouble(str(error)) from error


@ring.command()
@HOME
@NAMES
def show(home: Path, name: str | None) -> None:
    """Show the ring and its disks."""
    for one in [name] if name else ring_names(home):
        _show(one, read_ring(ring_path(home, one)))


def _show(name: str, plan: Plan) -> None:
    counted, share = Counter(id_ for row in plan.table for id_ in row), shares(plan)
    click.echo(
        f"{name}: version {plan.version}, {plan.partitions} partitions, {plan.replicas:g} replicas, "
        f"{len(plan.devices)} devices, {state(plan)}, overload {plan.overload:g}, rest {plan.min_part_hours} h"
    )
    click.echo("  id region zone address                device       weight   parts   share")
    for known in plan.devices:
        weight = "removed" if known.removed else f"{known.weight:g}"
        click.echo(
            f"{known.id:4} {known.region:6} {known.zone:4} {known.address:22} {known.device:10} {weight:>8} "
            f"{counted[known.id]:7} {share.get(known.id, 0):7}"
        )


@ring.command("list-parts")
@HOME
@NAME
@click.argument("device_id", type=int)
def list_parts(home: Path, name: str, device_id: int) -> None:
    """List the partitions on a disk, and how many of their replicas it holds (one)."""
    plan = read_ring(ring_path(home, name))
    _known(plan, device_id)
    click.echo(
        "\n".join(str(part) for part in sorted({p for row in plan.table for p, i in enumerate(row) if i == device_id}))
    )
