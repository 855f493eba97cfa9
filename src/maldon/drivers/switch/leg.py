"""A leg: the wire between a bridge of the node and a namespace that serves the bridge's network."""

from dataclasses import dataclass

from maldon.drivers.switch.netlink import Wires


@dataclass(frozen=True, slots=True)
class Leg:
    """`outer` is the device on the bridge, `inner` the one in the namespace, which has the MAC."""

    outer: str
    inner: str
    bridge: str
    alias: str
    mac: str
    mtu: int
    up: bool = True


def join(wires: Wires, far: Wires, place: str, leg: Leg) -> None:
    """Have the wire between the node (`wires`) and the namespace `place` (`far`)."""
    if wires.find(leg.outer) is None or far.find(leg.inner) is None:
        wires.delete(leg.outer)  # its other end may be in a namespace that is no more
        wires.add_veth(leg.outer, leg.inner, place, leg.mac)
    far.shape(leg.inner, mac=leg.mac.lower(), mtu=leg.mtu, up=leg.up)
    wires.shape(leg.outer, alias=leg.alias, mtu=leg.mtu, master=leg.bridge, up=True)
