"""What the namespaces and devices of a node are called.

An operator reads these in `ip netns list` and `ip link`; an alias on every device in the node's namespace says in full
whose it is ("port <id>", "network <id>", "router <id>"), because Linux cuts device names at fifteen characters.
"""

import hashlib
from dataclasses import dataclass

from maldon.ports.switch import Kind

EXTERNAL_BRIDGE = "br-ext"
HOST_LEG = "to-host"
DHCP_LINK = "dhcp0"


def bridge(network_id: str) -> str:
    return f"br-{network_id[:11]}"


def tunnel(network_id: str) -> str:
    return f"vx-{network_id[:11]}"


def dhcp_leg(network_id: str) -> str:
    """The node's end of the wire to a network's DHCP namespace."""
    return f"dh-{network_id[:11]}"


def router_leg(port_id: str) -> str:
    """The node's end of the wire to a router; the other end is `router_link`."""
    return f"ro-{port_id[:11]}"


def router_link(port_id: str) -> str:
    return f"in-{port_id[:11]}"


def alias(kind: Kind, item_id: str) -> str:
    return f"{kind} {item_id}"


@dataclass(frozen=True, slots=True)
class NodeNames:
    """The names that hold on the whole machine: they all begin with the node's own."""

    node: str

    @property
    def namespace(self) -> str:
        return f"maldon-{self.node}"

    @property
    def host_link(self) -> str:
        """The host's end of the wire to the external bridge."""
        if len(self.node) <= 12:
            return f"mx-{self.node}"
        return f"mx-{hashlib.sha256(self.node.encode()).hexdigest()[:12]}"

    def router(self, router_id: str) -> str:
        return f"{self.namespace}-r-{router_id[:11]}"

    def dhcp(self, network_id: str) -> str:
        return f"{self.namespace}-d-{network_id[:11]}"

    def owns(self, namespace: str) -> bool:
        return namespace == self.namespace or namespace.startswith((f"{self.namespace}-r-", f"{self.namespace}-d-"))
