"""A guest's port: a tap on its network's bridge.

The tap is made persistent and let go, so that it belongs to no process: whoever runs the guest opens it by its name. A
device of that name that is already there is taken as it is.
"""

import fcntl
import os
import struct
from collections.abc import Mapping

from maldon.drivers.switch import names
from maldon.drivers.switch.netlink import Link, Wires
from maldon.ports.hypervisor import tap_name
from maldon.ports.switch import PortSpec

TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


def make_tap(name: str) -> None:
    """A persistent tap in the thread's namespace."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
    finally:
        os.close(fd)


def ensure(wires: Wires, port: PortSpec, bridge: str, mtu: int) -> None:
    """Have the tap on the bridge. Its filter goes by its name and is there already."""
    name = tap_name(port.id)
    if wires.find(name) is None:
        make_tap(name)
    wires.shape(name, alias=names.alias("port", port.id), mtu=mtu, master=bridge, up=port.up)


def remove(wires: Wires, port_id: str) -> None:
    wires.delete(tap_name(port_id))


def complete(links: Mapping[str, Link], port: PortSpec, bridge: str) -> bool:
    tap, master = links.get(tap_name(port.id)), links.get(bridge)
    return (
        tap is not None
        and master is not None
        and tap.alias == names.alias("port", port.id)
        and (tap.master, tap.up) == (master.index, port.up)
    )
