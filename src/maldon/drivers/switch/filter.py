"""Security groups and anti-spoofing of a node, as nftables text. Pure: items in, text out.

The bridge family knows the guest's device but no connections; the inet family knows connections (frames reach it by
br_netfilter) but only sees the bridge. So a bridge chain checks who sends and marks the packet with the port's number,
and an inet chain jumps on that mark: what a guest sends is judged in `prerouting`, what it receives in `forward`. Each
network is a conntrack zone, because networks may use the same addresses. A security group is a chain per direction that
its ports share, and a set of member addresses per family, so that a member comes or goes as one element.

`whole` builds everything in one transaction, `change` only what differs between two rule sets; both leave the same.
What no rule allows is dropped, in both directions. Always allowed, as the network API promises: ARP, DHCP from the
guest, neighbour discovery, answers. Always refused from guests: foreign addresses, DHCP answers, router adverts.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from maldon.ports.hypervisor import tap_name
from maldon.ports.switch import GroupSpec, PortSpec, RuleSpec

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "igmp": 2, "ipip": 4, "ipv6-encap": 41,
    "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89,
    "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
ICMP, ICMPV6 = 1, 58
DIRECTIONS = ("ingress", "egress")

SKELETON = """\
add table bridge maldon
add table inet maldon
delete table bridge maldon
delete table inet maldon
add table bridge maldon
add table inet maldon
add map bridge maldon senders { type ifname : verdict; }
add map bridge maldon receivers { type ifname : mark; }
add chain bridge maldon from { type filter hook prerouting priority -300; }
add rule bridge maldon from meta mark set 0
add rule bridge maldon from iifname vmap @senders
add chain bridge maldon to { type filter hook forward priority -300; }
add rule bridge maldon to meta mark set 0
add rule bridge maldon to meta mark set oifname map @receivers
add map inet maldon zones { typeof iifname : ct zone; }
add map inet maldon senders { type mark : verdict; }
add map inet maldon receivers { type mark : verdict; }
add chain inet maldon zone { type filter hook prerouting priority -300; }
add rule inet maldon zone ct zone set iifname map @zones
add chain inet maldon from { type filter hook prerouting priority 0; }
add rule inet maldon from ct state established,related accept
add rule inet maldon from meta mark vmap @senders
add chain inet maldon to { type filter hook forward priority 0; }
add rule inet maldon to ct state established,related accept
add rule inet maldon to meta mark vmap @receivers
"""

FROM_ANY_GUEST = (
    "udp sport 68 udp dport 67 accept",
    "udp sport 546 udp dport 547 accept",
    "icmpv6 type { 130, 131, 132, 133, 135, 136, 143 } accept",
)
TO_ANY_GUEST = (
    "udp sport 67 udp dport 68 accept",
    "udp sport 547 udp dport 546 accept",
    "icmpv6 type { 130, 134, 135, 136 } accept",
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything a node filters: conntrack zone by bridge, groups by id, secured ports with their numbers by id."""

    zones: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, GroupSpec] = field(default_factory=dict)
    ports: Mapping[str, tuple[int, PortSpec]] = field(default_factory=dict)

    def group_ids(self) -> set[str]:
        """Groups that are described or only spoken of: an unknown one has no rules and no members."""
        by_ports = {group for _, port in self.ports.values() for group in port.groups}
        by_rules = {rule.remote_group for group in self.groups.values() for rule in group.rules if rule.remote_group}
        return self.groups.keys() | by_ports | by_rules

    def group(self, group_id: str) -> GroupSpec:
        return self.groups.get(group_id) or GroupSpec(group_id)


def chains(rules: Rules) -> set[tuple[str, str]]:
    """(family, name) of every chain that must be there."""
    fixed = {("bridge", "from"), ("bridge", "to"), ("inet", "zone"), ("inet", "from"), ("inet", "to")}
    of_groups = {("inet", f"group-{group}-{way}") for group in rules.group_ids() for way in DIRECTIONS}
    return fixed | of_groups | {chain for port in rules.ports for chain in port_chains(port)}


def port_chains(port_id: str) -> tuple[tuple[str, str], ...]:
    return ("bridge", f"port-{port_id}"), ("inet", f"port-{port_id}-egress"), ("inet", f"port-{port_id}-ingress")


def whole(rules: Rules) -> str:
    """One transaction that replaces whatever is there."""
    return SKELETON + change(Rules(), rules)


def change(before: Rules, after: Rules) -> str:
    """One transaction from a rule set to another; empty when they are the same."""
    lines = [
        *_new_groups(before, after),
        *_members(before, after),
        *_group_rules(before, after),
        *_ports(before, after),
        *_old_groups(before, after),
        *_zones(before.zones, after.zones),
    ]
    return "".join(f"{line}\n" for line in lines)


def _new_groups(before: Rules, after: Rules) -> Iterator[str]:
    for group in sorted(after.group_ids() - before.group_ids()):
        yield f"add set inet maldon {_members_set(group, 4)} {{ type ipv4_addr; flags interval; }}"
        yield f"add set inet maldon {_members_set(group, 6)} {{ type ipv6_addr; flags interval; }}"
        for way in DIRECTIONS:
            yield f"add chain inet maldon group-{_name(group)}-{way}"


def _old_groups(before: Rules, after: Rules) -> Iterator[str]:
    gone = sorted(before.group_ids() - after.group_ids())
    for group in gone:
        for way in DIRECTIONS:
            yield f"flush chain inet maldon group-{_name(group)}-{way}"
            yield f"delete chain inet maldon group-{_name(group)}-{way}"
    for group in gone:  # after every chain that might name its members
        yield f"delete set inet maldon {_members_set(group, 4)}"
        yield f"delete set inet maldon {_members_set(group, 6)}"


def _members(before: Rules, after: Rules) -> Iterator[str]:
    kept = after.group_ids()
    for group in sorted(kept):
        for version in (4, 6):
            old = _networks(before.group(group).members, version)
            new = _networks(after.group(group).members, version)
            yield from _elements(_members_set(group, version), old, new)


def _networks(addresses: Iterable[str], version: int) -> set[str]:
    """The addresses of one family, without those that a wider one among them covers: a set takes no overlap."""
    networks = {ipaddress.ip_network(address, strict=False) for address in addresses}
    family = sorted((net for net in networks if net.version == version), key=lambda net: net.prefixlen)
    seen: set[ipaddress.IPv4Network | ipaddress.IPv6Network] = set()
    widths = sorted({net.prefixlen for net in family})
    for net in family:
        if not any(net.supernet(new_prefix=width) in seen for width in widths if width < net.prefixlen):
            seen.add(net)
    return {_text(net) for net in seen}


def _text(net: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    return str(net.network_address if net.prefixlen == net.max_prefixlen else net)


def _elements(into: str, old: set[str], new: set[str]) -> Iterator[str]:
    if old - new:
        yield f"delete element inet maldon {into} {{ {', '.join(sorted(old - new))} }}"
    if new - old:
        yield f"add element inet maldon {into} {{ {', '.join(sorted(new - old))} }}"


def _group_rules(before: Rules, after: Rules) -> Iterator[str]:
    for group in sorted(after.group_ids()):
        for way in DIRECTIONS:
            old = [rule for rule in before.group(group).rules if rule.direction == way]
            new = [rule for rule in after.group(group).rules if rule.direction == way]
            if old != new:
                chain = f"inet maldon group-{_name(group)}-{way}"
                yield f"flush chain {chain}"
                yield from (f"add rule {chain} {match(rule)} accept" for rule in new)


def match(rule: RuleSpec) -> str:
    """The packets one rule speaks of."""
    version, ip = (4, "ip") if rule.ethertype == "IPv4" else (6, "ip6")
    side = "saddr" if rule.direction == "ingress" else "daddr"
    parts = [f"meta nfproto ipv{version}"]
    if rule.remote_group is not None:
        parts.append(f"{ip} {side} @{_members_set(rule.remote_group, version)}")
    if rule.remote_cidr is not None:
        net = ipaddress.ip_network(rule.remote_cidr, strict=False)
        if net.prefixlen:
            parts.append(f"{ip} {side} {net}")
    if rule.protocol is not None:
        parts.append(_protocol(rule, version))
    return " ".join(parts)


def _protocol(rule: RuleSpec, version: int) -> str:
    name = str(rule.protocol).lower()
    number = PROTOCOLS[name] if name in PROTOCOLS else int(name)
    if number in {ICMP, ICMPV6}:
        number, word = (ICMP, "icmp") if version == 4 else (ICMPV6, "icmpv6")
        kind = f" {word} type {rule.port_min:d}" if rule.port_min is not None else ""
        return f"meta l4proto {number}{kind}" + (f" {word} code {rule.port_max:d}" if rule.port_max is not None else "")
    if rule.port_min is None and rule.port_max is None:
        return f"meta l4proto {number:d}"
    low = 0 if rule.port_min is None else rule.port_min
    high = 65535 if rule.port_max is None else rule.port_max
    return f"meta l4proto {number:d} th dport {low:d}-{high:d}"


def _ports(before: Rules, after: Rules) -> Iterator[str]:
    for port_id in sorted(after.ports):
        old, new = before.ports.get(port_id), after.ports[port_id]
        if old != new:
            if old is None:
                yield from (f"add chain {family} maldon {chain}" for family, chain in port_chains(_name(port_id)))
            yield from _port(*new)
            if old is None:
                yield from (f"add element {element}" for element in _port_elements(*new, verdicts=True))
    for port_id in sorted(before.ports.keys() - after.ports.keys()):
        yield from (f"delete element {element}" for element in _port_elements(*before.ports[port_id], verdicts=False))
        yield from (f"delete chain {family} maldon {chain}" for family, chain in port_chains(_name(port_id)))


def _port_elements(number: int, port: PortSpec, *, verdicts: bool) -> Iterator[str]:
    device = f'"{_name(tap_name(port.id))}"'
    spoof, egress, ingress = (f" : goto {chain}" if verdicts else "" for _, chain in port_chains(port.id))
    yield f"bridge maldon senders {{ {device}{spoof} }}"
    yield f"bridge maldon receivers {{ {device}{f' : {number}' if verdicts else ''} }}"
    yield f"inet maldon senders {{ {number}{egress} }}"
    yield f"inet maldon receivers {{ {number}{ingress} }}"


def _port(number: int, port: PortSpec) -> Iterator[str]:
    """A port's three chains, filled anew."""
    (_, spoof), (_, egress), (_, ingress) = port_chains(_name(port.id))
    yield f"flush chain bridge maldon {spoof}"
    yield from (f"add rule bridge maldon {spoof} {rule}" for rule in _genuine(number, port))
    for chain, way, always in ((egress, "egress", FROM_ANY_GUEST), (ingress, "ingress", TO_ANY_GUEST)):
        yield f"flush chain inet maldon {chain}"
        jumps = [f"jump group-{_name(group)}-{way}" for group in sorted(set(port.groups))]
        yield from (
            f"add rule inet maldon {chain} {rule}" for rule in (*always, "ct state invalid drop", *jumps, "drop")
        )


def _genuine(number: int, port: PortSpec) -> Iterator[str]:
    """What may leave a guest at all, whatever its groups say."""
    macs = sorted({_mac(port.mac), *(_mac(mac) for mac, _ in port.pairs)})
    own = [(port.mac, address) for address in port.addresses] + list(port.pairs)
    v4 = _sources(own, 4)
    v6 = _sources([*own, *((mac, link_local(mac)) for mac in macs)], 6)
    either = f"{{ {', '.join(macs)} }}"
    yield f"meta mark set {number}"
    yield f"ether saddr != {either} drop"
    yield f"ether type arp arp saddr ether != {either} drop"
    yield "ether type arp arp saddr ip 0.0.0.0 accept"
    if v4:
        yield f"ether type arp ether saddr . arp saddr ip {v4} accept"
    yield "ether type ip udp sport 67 udp dport 68 drop"
    yield "ether type ip ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept"
    if v4:
        yield f"ether type ip ether saddr . ip saddr {v4} accept"
    yield "ether type ip6 icmpv6 type { 134, 137 } drop"
    yield "ether type ip6 udp sport 547 udp dport 546 drop"
    yield "ether type ip6 ip6 saddr :: icmpv6 type { 131, 135, 143 } accept"
    yield f"ether type ip6 icmpv6 type 136 @th,64,128 != {_targets(own, macs)} drop"  # a neighbour's address claimed
    yield f"ether type ip6 ether saddr . ip6 saddr {v6} accept"
    yield "drop"


def _sources(pairs: Iterable[tuple[str, str]], version: int) -> str:
    """The set of (MAC, addresses) as nft writes it; "" when there is none of the family."""
    by_mac: dict[str, list[str]] = {}
    for mac, address in pairs:
        by_mac.setdefault(_mac(mac), []).append(address)
    listed = [f"{mac} . {net}" for mac in sorted(by_mac) for net in sorted(_networks(by_mac[mac], version))]
    return f"{{ {', '.join(listed)} }}" if listed else ""


def _targets(pairs: Iterable[tuple[str, str]], macs: Iterable[str]) -> str:
    """The IPv6 addresses a guest may say are its own, as ranges of numbers: nft has no name for that field."""
    nets = _networks([*(address for _, address in pairs), *map(link_local, macs)], 6)
    ranges = [(int(net[0]), int(net[-1])) for net in map(ipaddress.IPv6Network, sorted(nets))]
    return f"{{ {', '.join(f'{low:#034x}' + (f'-{high:#034x}' if high > low else '') for low, high in ranges)} }}"


def link_local(mac: str) -> str:
    """The IPv6 address a device gives itself."""
    octets = bytes.fromhex(mac.replace(":", ""))
    eui = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + eui))


def _zones(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    for bridge in sorted(before.keys() - after.keys()):
        yield f'delete element inet maldon zones {{ "{_name(bridge)}" }}'
    for bridge in sorted(after.keys() - before.keys()):
        yield f'add element inet maldon zones {{ "{_name(bridge)}" : {after[bridge]:d} }}'


def _members_set(group_id: str, version: int) -> str:
    return f"members-{_name(group_id)}-{version}"


def _name(text: str) -> str:
    """The text, if nft reads it as one word: a rule set must not be widened by a name."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text):
        raise ValueError(f"{text!r} cannot be part of a rule set")
    return text


def _mac(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", text):
        raise ValueError(f"{text!r} is not a MAC address")
    return text.lower()
