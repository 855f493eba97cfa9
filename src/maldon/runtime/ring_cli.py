"""`maldon ring`: the rings of a home's object store, each a file that every node gets a copy of.

A ring is named account, container, object, or object-N for the storage policy with index N. What is changed counts from
the next `rebalance` on, which is when data begin to move.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec

from maldon.objectstore.ring.builder import Plan, balance, dispersion, rebalance, shares
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.file import BadRing, alone, read, write
from maldon.runtime.home import Home, Trouble
from maldon.runtime.options import HOME

NAME = click.argument("name", type=click.STRING)
MOST_PARTS = 1 << 20


@click.group()
def ring() -> None:
    """Say which disks hold which part of the object store."""


def _file(home: Path, name: str) -> Path:
    noun, _, index = name.partition("-")
    if noun not in {"account", "container", "object"} or (index and (noun != "object" or not index.isdecimal())):
        raise Trouble(f"There is no ring {name!r}; rings are account, container, object and object-N.")
    return Home(home) / "rings" / f"{name}.ring"


def _read(path: Path) -> Plan:
    if not path.exists():
        raise Trouble(f"There is no ring in {path}; `maldon ring create {path.stem}` makes one.")
    try:
        return read(path)
    except BadRing as error:
        raise Trouble(str(error)) from error


def _change(path: Path, change: Callable[[Plan], Plan]) -> Plan:
    with alone(path):
        changed = change(_read(path))
        write(path, changed)
    return changed


def _known(plan: Plan, id_: int) -> RingDevice:
    found = next((device for device in plan.devices if device.id == id_ and not device.removed), None)
    if found is None:
        raise Trouble(f"There is no device {id_}; there are {', '.join(str(d.id) for d in plan.devices) or 'none'}.")
    return found


@ring.command()
@HOME
@NAME
@click.option("--power", type=click.IntRange(1, 20), default=14, show_default=True, help="2**POWER partitions.")
@click.option(
    "--replicas", type=click.FloatRange(1, 32), default=3, show_default=True, help="Copies; 3.25 is possible."
)
@click.option("--min-part-hours", type=click.IntRange(0, 1000), default=1, show_default=True, help="Rest after a move.")
@click.option("--overload", type=click.FloatRange(0, 10), default=0.1, show_default=True, help="Part over its share.")
def create(home: Path, name: str, *, power: int, replicas: float, min_part_hours: int, overload: float) -> None:
    """Make the ring NAME, without devices."""
    path = _file(home, name)
    with alone(path):
        if path.exists():
            raise Trouble(f"There is a ring in {path} already.")
        write(path, Plan(power, replicas, min_part_hours, overload))
    click.echo(f"{name}: {1 << power} partitions, {replicas:g} replicas")


@ring.command()
@HOME
@NAME
@click.option("--region", type=click.IntRange(0), default=1, show_default=True, help="Region it stands in.")
@click.option("--zone", type=click.IntRange(0), default=1, show_default=True, help="Zone of the region.")
@click.option("--address", required=True, help="HOST:PORT of its storage node.")
@click.option("--device", required=True, help="Name of the disk there.")
@click.option("--weight", type=click.FloatRange(0), default=1, show_default=True, help="Its share beside others.")
def add(home: Path, name: str, **stands: Any) -> None:
    """Add a disk."""

    def change(plan: Plan) -> Plan:
        added = RingDevice(id=max((known.id for known in plan.devices), default=-1) + 1, **stands)
        if any(known.tiers[2] == added.tiers[2] and known.device == added.device for known in plan.devices):
            raise Trouble(f"{added.device} of {added.address} is in the ring already.")
        return plan.with_device(added)

    click.echo(f"device {_change(_file(home, name), change).devices[-1].id}")


@ring.command("set-weight")
@HOME
@NAME
@click.argument("device_id", type=int)
@click.argument("weight", type=click.FloatRange(0))
def set_weight(home: Path, name: str, device_id: int, weight: float) -> None:
    """Give a disk another weight; 0 drains it."""

    def change(plan: Plan) -> Plan:
        return plan.with_device(msgspec.structs.replace(_known(plan, device_id), weight=weight))

    _change(_file(home, name), change)


@ring.command()
@HOME
@NAME
@click.argument("device_id", type=int)
def remove(home: Path, name: str, device_id: int) -> None:
    """Take a disk out: the next rounds place what was on it elsewhere."""
    _change(_file(home, name), lambda plan: plan.without_device(_known(plan, device_id).id))


@ring.command("rebalance")
@HOME
@NAME
@click.option("--seed", type=int, help="Makes the same choices again.")
@click.option("--force", is_flag=True, help="Do not wait for --min-part-hours.")
def rebalance_(home: Path, name: str, *, seed: int | None, force: bool) -> None:
    """Decide anew which disk holds what; at most one replica of a partition moves."""
    path = _file(home, name)
    with alone(path):
        plan = _read(path)
        hours = plan.min_part_hours
        try:
            done = rebalance(
                replace(plan, min_part_hours=0) if force else plan, int(time.time() // 3600), random.Random(seed)
            )
        except ValueError as error:
            raise Trouble(str(error)) from error
        write(path, replace(done.plan, min_part_hours=hours))
    click.echo(f"version {done.plan.version}: {done.moved} replicas moved, {_state(done.plan)}")
    if done.waiting:
        click.echo(
            f"{done.waiting} more should move: rebalance again in {plan.min_part_hours} h, once data have followed"
        )


def _state(plan: Plan) -> str:
    return f"balance {balance(plan):.2f} %, dispersion {dispersion(plan):.2f} %"


@ring.command()
@HOME
@NAME
def validate(home: Path, name: str) -> None:
    """Check that every replica has a disk of its own; exit 1 with what is wrong."""
    plan = _read(_file(home, name))
    gone = {device.id for device in plan.devices if device.removed}
    for part in range(plan.partitions):
        own = [row[part] for row in plan.table if part < len(row)]
        if not own or len(set(own)) < len(own) or not set(own) <= {device.id for device in plan.devices} - gone:
            raise Trouble(f"Partition {part} of {name} is not placed well: devices {own}; rebalance the ring.")
    click.echo(f"{name}: every replica has a device of its own; {_state(plan)}")


@ring.command()
@HOME
@NAME
def show(home: Path, name: str) -> None:
    """Show the ring and its disks."""
    plan = _read(_file(home, name))
    held, share = Counter(id_ for row in plan.table for id_ in row), shares(plan)
    click.echo(
        f"{name}: version {plan.version}, {plan.partitions} partitions, {plan.replicas:g} replicas, "
        f"{len(plan.devices)} devices, {_state(plan)}, overload {plan.overload:g}, rest {plan.min_part_hours} h"
    )
    click.echo("  id region zone address                device       weight   parts   share")
    for known in plan.devices:
        weight = "removed" if known.removed else f"{known.weight:g}"
        click.echo(
            f"{known.id:4} {known.region:6} {known.zone:4} {known.address:22} {known.device:10} {weight:>8} "
            f"{held[known.id]:7} {share.get(known.id, 0):7}"
        )


@ring.command("list-parts")
@HOME
@NAME
@click.argument("device_id", type=int)
def list_parts(home: Path, name: str, device_id: int) -> None:
    """List the partitions on a disk, and how many of their replicas it holds (one)."""
    plan = _read(_file(home, name))
    _known(plan, device_id)
    click.echo(
        "\n".join(str(part) for part in sorted({p for row in plan.table for p, i in enumerate(row) if i == device_id}))
    )
