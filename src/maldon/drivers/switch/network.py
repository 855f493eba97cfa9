"""A network on the node: a bridge (the external one for external networks), its tunnel, its DHCP namespace."""

from collections.abc import Mapping
from pathlib import Path

from maldon.drivers.switch import dhcp, names, namespace
from maldon.drivers.switch.names import NodeNames
from maldon.drivers.switch.netlink import Link, Wires
from maldon.drivers.switch.node import ensure_bridge
from maldon.ports.switch import NetworkSpec

VXLAN_PORT = 4789


def bridge_of(network: NetworkSpec) -> str:
    return names.EXTERNAL_BRIDGE if network.external else names.bridge(network.id)


def ensure(wires: Wires, node: NodeNames, home: Path, network: NetworkSpec) -> None:
    bridge, tunnel = bridge_of(network), names.tunnel(network.id)
    if not network.external:
        ensure_bridge(wires, bridge, mtu=network.mtu, alias=names.alias("network", network.id))
    if network.vni is None or network.external:
        wires.delete(tunnel)
    else:
        _ensure_tunnel(wires, tunnel, bridge, network, network.vni)
    dhcp.ensure(wires, node, home, network, bridge)


def _ensure_tunnel(wires: Wires, tunnel: str, bridge: str, network: NetworkSpec, vni: int) -> None:
    alias = f"tunnel {network.id} {vni}"
    link = wires.find(tunnel)
    if link is not None and link.alias != alias:
        wires.delete(tunnel)  # another number is another device
        link = None
    if link is None:
        wires.add(tunnel, "vxlan", vxlan_id=vni, vxlan_port=VXLAN_PORT)
    wires.shape(tunnel, alias=alias, mtu=network.mtu, master=bridge, up=True)
    wires.peers(tunnel, network.peers)


def remove(wires: Wires, node: NodeNames, home: Path, network_id: str) -> None:
    dhcp.remove(wires, node, home, network_id)
    wires.delete(names.tunnel(network_id))
    wires.delete(names.bridge(network_id))


def complete(links: Mapping[str, Link], node: NodeNames, home: Path, network: NetworkSpec) -> bool:
    """Whether everything `ensure` makes is there."""
    bridge = links.get(bridge_of(network))
    wanted = [] if network.vni is None or network.external else [names.tunnel(network.id)]
    if network.dhcp is not None:
        wanted.append(names.dhcp_leg(network.id))
        if not (namespace.exists(node.dhcp(network.id)) and dhcp.dnsmasq(node, home, network.id).alive()):
            return False
    return bridge is not None and bridge.up and attached(links, bridge, wanted)


def attached(links: Mapping[str, Link], bridge: Link, wanted: list[str]) -> bool:
    """Whether these devices are on the bridge and connected."""
    found = [links.get(name) for name in wanted]
    return all(link is not None and link.master == bridge.index and link.carrier for link in found)
