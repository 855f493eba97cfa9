"""The node itself: its namespace, its external bridge, and the wire that joins the bridge to the host.

Of the host only one device is made, with the addresses asked for; nothing that was there before is touched. The node's
namespace has no addresses of its own on any bridge, so guests cannot talk to it.
"""

import contextlib
import subprocess
from pathlib import Path

from maldon.drivers.switch import names, namespace
from maldon.drivers.switch.names import NodeNames
from maldon.drivers.switch.netlink import Wires, inside
from maldon.ports.hypervisor import DriverRefused
from maldon.ports.switch import ExternalLink

BRIDGE_FILTER = {"bridge.bridge-nf-call-iptables": 1, "bridge.bridge-nf-call-ip6tables": 1}


def start(node: NodeNames, external: ExternalLink) -> None:
    namespace.create(node.namespace)
    with inside(external.host_namespace) as host:
        joined = host.find(node.host_link) is not None
    with inside(node.namespace) as wires:
        _settle(node)
        ensure_bridge(wires, names.EXTERNAL_BRIDGE, mtu=1500, alias="external")
        if not joined or wires.find(names.HOST_LEG) is None:
            wires.delete(names.HOST_LEG)  # its other end went with another host's namespace
            wires.add_veth(names.HOST_LEG, node.host_link, external.host_namespace, None)
        wires.shape(names.HOST_LEG, alias="host", master=names.EXTERNAL_BRIDGE, up=True)
    with inside(external.host_namespace) as host:
        host.address(node.host_link, external.addresses)
        host.shape(node.host_link, alias=node.namespace, up=True)


def _settle(node: NodeNames) -> None:
    namespace.sysctl("ipv6.conf.all.disable_ipv6", 1)
    namespace.sysctl("ipv6.conf.default.disable_ipv6", 1)
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        if not Path("/proc/sys/net/bridge").is_dir():
            namespace.run(["modprobe", "-q", "br_netfilter"])
    try:
        for setting, value in BRIDGE_FILTER.items():
            namespace.sysctl(setting, value)
        namespace.sysctl("bridge.bridge-nf-call-arptables", 0)
    except FileNotFoundError as error:
        raise DriverRefused(f"the kernel has no br_netfilter, which node {node.node} needs to filter ports") from error


def ensure_bridge(wires: Wires, name: str, *, mtu: int, alias: str) -> None:
    """A bridge that forwards at once and floods multicast, because nobody here would answer for its listeners."""
    if wires.find(name) is None:
        wires.add(name, "bridge", br_forward_delay=0, br_stp_state=0, br_mcast_snooping=0)
    wires.shape(name, alias=alias, mtu=mtu, up=True)


def destroy(node: NodeNames) -> None:
    """Take the namespaces away, with every device in them; guests' processes, if any run on, lose their wires."""
    for name in namespace.listed():
        if node.owns(name) and namespace.exists(name):
            with inside(name) as wires:
                for link in wires.links().values():
                    if link.name != "lo":
                        wires.delete(link.name)
    for name in namespace.listed():
        if node.owns(name):
            namespace.end(name, "dnsmasq")
