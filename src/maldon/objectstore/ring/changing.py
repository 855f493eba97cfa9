"""What an operator does to a ring as a whole: disks that are to be emptied, a node that takes another's place; and
whether what came of it is sound. Pure, as the builder is.

A disk is named as ADDRESS/DEVICE, all disks of a node as ADDRESS.
"""

from array import array
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import msgspec

from maldon.objectstore.ring.builder import Plan
from maldon.objectstore.ring.device import RingDevice


class Where(NamedTuple):
    """A node, or one disk of it."""

    address: str
    device: str = ""

    def __str__(self) -> str:
        return f"{self.address}/{self.device}" if self.device else self.address

    def has(self, known: RingDevice) -> bool:
        return known.address == self.address and self.device in {"", known.device}


def where(text: str) -> Where:
    """What an operator wrote."""
    address, _, device = text.partition("/")
    return Where(address, device)


def found(plan: Plan, place: Where) -> list[RingDevice]:
    """The disks there that the ring has."""
    return [known for known in plan.devices if place.has(known) and not known.removed]


def drained(plan: Plan, place: Where) -> Plan:
    """The disks there are to be emptied."""
    for known in found(plan, place):
        plan = plan.with_device(msgspec.structs.replace(known, weight=0.0))
    return plan


def held(plan: Plan, place: Where) -> int:
    """How many replicas belong there."""
    ids = {known.id for known in found(plan, place)}
    return sum(id_ in ids for row in plan.table for id_ in row)


def forgotten(plan: Plan, place: Where) -> Plan:
    """The ring without the disks there, to which nothing belongs any more."""
    gone = {known.id for known in found(plan, place)}
    return replace(plan, devices=tuple(d for d in plan.devices if d.id not in gone), version=plan.version + 1)


def replaced(plan: Plan, old: str, new: str, now_h: int) -> Plan:
    """The disks of a node stand at another address: whatever belongs to them has moved there at this hour."""
    ids = {known.id for known in found(plan, Where(old))}
    devices = (msgspec.structs.replace(d, address=new) if d.id in ids else d for d in plan.devices)
    moved = array("I", plan.moved_at)
    for part in _parts(plan, ids):
        moved[part] = now_h
    return replace(plan, devices=tuple(devices), moved_at=moved, version=plan.version + 1)


def resting(plan: Plan, place: Where, now_h: int) -> int:
    """For how many hours something that belongs there must stay, because of it another replica moved just now."""
    waits = (
        plan.min_part_hours - (now_h - plan.moved_at[part])
        for part in _parts(plan, {known.id for known in found(plan, place)})
        if plan.moved_at[part]
    )
    return max(0, *waits, 0)


def only_there(plan: Plan, place: Where) -> int:
    """How many partitions have no replica elsewhere."""
    ids = {known.id for known in found(plan, place)}
    elsewhere = {part for row in plan.table for part, id_ in enumerate(row) if id_ not in ids}
    return sum(part not in elsewhere for part in range(plan.partitions)) if ids and plan.table else 0


def _parts(plan: Plan, ids: set[int]) -> set[int]:
    return {part for row in plan.table for part, id_ in enumerate(row) if id_ in ids}


def unsound(plan: Plan) -> str:
    """What is wrong with it, as a sentence; empty when every replica has a disk of its own that is there."""
    known = {device.id for device in plan.devices if not device.removed}
    for part in range(plan.partitions):
        own = [row[part] for row in plan.table if part < len(row)]
        if not own or max(Counter(own).values()) > 1 or not set(own) <= known:
            return f"Partition {part} is not placed well: devices {own}"
    return ""
