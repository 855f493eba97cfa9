"""The switch port: the wires of one node.

The desired wiring of a node is a set of items (networks, security groups, ports, routers), each a value with an id. The
agent compares `observe()` with the desired items and calls `ensure` or `remove` for the difference. An item is as
desired when the driver's remembered digest equals `digest(item)` and its devices are really there; `observe` looks at
both. Order: networks, groups, ports, routers; removal runs the other way round.
"""

import hashlib
import socket
from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

Kind = Literal["network", "group", "port", "router"]
KINDS: tuple[Kind, ...] = ("network", "group", "port", "router")
METADATA_ADDRESS = "169.254.169.254"


class Lease(msgspec.Struct, frozen=True):
    """One DHCP answer: this MAC gets this address (IPv4 or IPv6) and host name.

    `options` are (name or number, value) pairs of the address's IP version that go before those of the subnet.
    """

    mac: str
    address: str
    hostname: str
    options: tuple[tuple[str, str], ...] = ()


class SubnetSpec(msgspec.Struct, frozen=True):
    """A subnet as its network's DHCP service must know it. `routes` are (destination CIDR, next hop) pairs."""

    id: str
    cidr: str
    gateway_ip: str | None = None
    dns_nameservers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    enable_dhcp: bool = True
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None


class DhcpSpec(msgspec.Struct, frozen=True):
    """The DHCP and metadata service of a network on this node; `addresses` are interface addresses ("10.0.0.2/24")."""

    port_id: str
    mac: str
    addresses: tuple[str, ...]
    leases: tuple[Lease, ...] = ()


class NetworkSpec(msgspec.Struct, frozen=True, tag="network"):
    """A network with a bridge on this node.

    `external` joins the node's external bridge instead of a bridge of its own. `peers` are the tunnel addresses of the
    other nodes that carry the network; `vni` is its VXLAN number.
    """

    id: str
    mtu: int
    external: bool = False
    vni: int | None = None
    subnets: tuple[SubnetSpec, ...] = ()
    dhcp: DhcpSpec | None = None
    peers: tuple[str, ...] = ()


class RuleSpec(msgspec.Struct, frozen=True):
    """One allowed kind of traffic. None means any. For ICMP `port_min` and `port_max` are type and code."""

    direction: Literal["ingress", "egress"]
    ethertype: Literal["IPv4", "IPv6"]
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_cidr: str | None = None
    remote_group: str | None = None


class GroupSpec(msgspec.Struct, frozen=True, tag="group"):
    """A security group: what its ports may receive and send, and the addresses of its members in the whole cloud."""

    id: str
    rules: tuple[RuleSpec, ...] = ()
    members: tuple[str, ...] = ()


class PortSpec(msgspec.Struct, frozen=True, tag="port"):
    """A guest's port on this node: a tap named `hypervisor.tap_name(id)` on its network's bridge.

    `addresses` are what it may send from (with `mac`), and `pairs` are further (MAC, CIDR) it may use. Without
    `security` nothing is filtered. A port that is not `up` carries nothing.
    """

    id: str
    network_id: str
    mac: str
    addresses: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    security: bool = True
    up: bool = True


class InterfaceSpec(msgspec.Struct, frozen=True):
    """A router's leg: `addresses` are interface addresses ("10.0.0.1/24")."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]


class RouterSpec(msgspec.Struct, frozen=True, tag="router"):
    """A router in a namespace of its own. `floating` pairs are (floating address, fixed address)."""

    id: str
    interfaces: tuple[InterfaceSpec, ...] = ()
    gateway: InterfaceSpec | None = None
    next_hops: tuple[str, ...] = ()
    snat: bool = True
    floating: tuple[tuple[str, str], ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    up: bool = True


Item = NetworkSpec | GroupSpec | PortSpec | RouterSpec


class PortFacts(msgspec.Struct, frozen=True):
    """What a guest may ask of its port besides its wires: its security groups' names, its addresses outside."""

    port_id: str
    groups: tuple[str, ...] = ()
    floating: tuple[str, ...] = ()


class Wiring(msgspec.Struct, frozen=True):
    """Everything one node must carry, and what the metadata service tells of it."""

    networks: tuple[NetworkSpec, ...] = ()
    groups: tuple[GroupSpec, ...] = ()
    ports: tuple[PortSpec, ...] = ()
    routers: tuple[RouterSpec, ...] = ()
    facts: tuple[PortFacts, ...] = ()


class ExternalLink(msgspec.Struct, frozen=True):
    """How the node's external bridge meets the host: a veth whose host end has these addresses ("172.24.4.1/24").

    `host_namespace` names the namespace that plays the host; None is the one the agent was started in.
    """

    addresses: tuple[str, ...]
    host_namespace: str | None = None


def kind_of(item: Item) -> Kind:
    """The kind an item is filed under."""
    kind: Kind = type(item).__struct_config__.tag  # type: ignore[assignment]
    return kind


def digest(item: Item) -> str:
    """A short name for an item's whole value: equal items, equal digests, in every process."""
    return hashlib.sha256(msgspec.json.encode(item)).hexdigest()[:16]


class Switch(Protocol):
    """The wires of one node. `features`: "filter" (security groups), "dhcp", "route", "metadata"."""

    features: frozenset[str]

    async def start(self, external: ExternalLink) -> None:
        """Make the node itself (its namespace, its external bridge, the veth to the host). May be repeated."""

    async def ensure(self, item: Item) -> None:
        """Make one item as it is described, changing only what differs, and remember its digest."""

    async def remove(self, kind: Kind, item_id: str) -> None:
        """Take one item away, with its devices, processes and rules. Absent is done."""

    async def observe(self) -> Mapping[tuple[Kind, str], str]:
        """Digest by (kind, id) of what is really there; "" for an item whose devices are incomplete or unknown."""

    async def metadata_socket(self, network_id: str) -> socket.socket:
        """A listening TCP socket on METADATA_ADDRESS port 80 of that network's namespace on this node."""

    def guest_command(self, command: list[str]) -> list[str]:
        """The command line that runs `command` where the node's taps are."""

    async def destroy(self) -> None:
        """Take away everything of this node, the node itself included."""

    async def close(self) -> None:
        """Let go of handles; the wiring stays."""
