"""What a node must do so that what is becomes what is wanted. Pure: values in, actions out.

A guest that stands still although it should run, and has done every boot asked of it, was shut down from within: that
is reported, not undone. A guest whose process vanished is started again. Guests nobody spoke of are left alone: the
control plane says explicitly what is to go, and a lost database must not cost anybody a disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from maldon.ports.agent import DesiredGuest, ObservedGuest
from maldon.ports.hypervisor import GuestSeen, GuestSpec
from maldon.ports.switch import KINDS, Item, Kind, Wiring, digest, kind_of


@dataclass(frozen=True, slots=True)
class EnsureGuest:
    id: str
    spec: GuestSpec


@dataclass(frozen=True, slots=True)
class RemoveGuest:
    id: str


def plan_guests(desired: Mapping[str, DesiredGuest], seen: Mapping[str, GuestSeen]) -> list[EnsureGuest | RemoveGuest]:
    """Removals first, then what is to be made or changed."""
    gone = [RemoveGuest(g) for g, d in sorted(desired.items()) if d.spec is None and g in seen]
    made = [EnsureGuest(g, d.spec) for g, d in sorted(desired.items()) if d.spec and differs(d.spec, seen.get(g))]
    return [*gone, *made]


def differs(spec: GuestSpec, seen: GuestSeen | None) -> bool:
    """Whether the driver has something to do for this guest."""
    if seen is None or seen.hard_boots < spec.hard_boots:
        return True
    if spec.power == "stopped":
        return seen.power == "running"
    if seen.power == "stopped":
        return False  # it shut itself down
    if seen.power == "vanished" or seen.soft_boots < spec.soft_boots:
        return True
    return {nic.port_id for nic in spec.nics} != set(seen.tap_ports)


def report_of(wanted: DesiredGuest, seen: GuestSeen | None, error: str | None) -> ObservedGuest:
    """What the control plane is to hear of one guest."""
    if seen is None:
        return ObservedGuest(wanted.id, wanted.revision, "stopped" if wanted.spec else "absent", error=error)
    return ObservedGuest(wanted.id, wanted.revision, seen.power, seen.hard_boots, seen.soft_boots, error)


def items_of(wiring: Wiring) -> dict[tuple[Kind, str], Item]:
    """Every item by kind and id, in the order in which they are made."""
    everything: tuple[Item, ...] = (*wiring.networks, *wiring.groups, *wiring.ports, *wiring.routers)
    return {(kind_of(item), item.id): item for item in everything}


def plan_wires(wiring: Wiring, seen: Mapping[tuple[Kind, str], str]) -> tuple[list[tuple[Kind, str]], list[Item]]:
    """What to remove (routers first, networks last) and what to ensure (networks first, routers last)."""
    items = items_of(wiring)
    stray = sorted(seen.keys() - items.keys(), key=lambda key: (-KINDS.index(key[0]), key[1]))
    return stray, [item for key, item in items.items() if seen.get(key) != digest(item)]
