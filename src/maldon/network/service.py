"""The door of the network room.

Every verb takes the caller's transaction and the Op and may be repeated; `ensure_*` and `place_routers` open their own.
A port's id follows from the server and its key, a DHCP port's from network and host. What changes a host's wiring wakes
`wiring_topic(host)` after the commit; when too many hosts are concerned, WIRING_TOPIC. Waiters listen on both. What
changes with every port is told on `members_topic(group)` and `peers_topic(network)`, and may be gathered.
"""

from maldon.network.loops.place_routers import place_routers
from maldon.network.settings import NetworkSettings
from maldon.network.verbs.first import ensure_private_network, ensure_public_network
from maldon.network.verbs.groups_seen import GroupSeen, RuleSeen, server_groups
from maldon.network.verbs.nics import (
    Home,
    NicPlan,
    NicWanted,
    PortMade,
    attach_port,
    auto_nics,
    check_nics,
    detach_port,
    make_ports,
    set_groups,
    unbind_or_drop_ports,
)
from maldon.network.verbs.observed import record_wires
from maldon.network.verbs.security_group import groups_for
from maldon.network.verbs.seen import FixedSeen, PortSeen, server_nets, server_places, servers_with_ports
from maldon.network.verbs.wake import WIRING_TOPIC, members_topic, peers_topic, wiring_topic
from maldon.network.wiring import Beyond, wiring, wirings

__all__ = [
    "WIRING_TOPIC",
    "Beyond",
    "FixedSeen",
    "GroupSeen",
    "Home",
    "NetworkSettings",
    "NicPlan",
    "NicWanted",
    "PortMade",
    "PortSeen",
    "RuleSeen",
    "attach_port",
    "auto_nics",
    "check_nics",
    "detach_port",
    "ensure_private_network",
    "ensure_public_network",
    "groups_for",
    "make_ports",
    "members_topic",
    "peers_topic",
    "place_routers",
    "record_wires",
    "server_groups",
    "server_nets",
    "server_places",
    "servers_with_ports",
    "set_groups",
    "unbind_or_drop_ports",
    "wiring",
    "wiring_topic",
    "wirings",
]
