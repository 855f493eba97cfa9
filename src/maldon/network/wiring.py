"""What hosts must carry, computed from the tables whenever it is asked for.

The tables are the desired state; there is no second copy that could differ. Everything is read in at most fifteen
statements, however many hosts ask at once, and put together here: the networks of a host's ports and routers, the
security groups that filter, the ports, the routers. The same tables give the same value, so that its digest may serve
as an ETag.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from sqlalchemy import select

from maldon.kernel.op import Op, Session
from maldon.network.collection import Below
from maldon.network.models.network import networks
from maldon.network.models.port import fixed_ips, port_groups, ports
from maldon.network.models.router import floating_ips, routers
from maldon.network.models.security_group import security_group_rules as rules
from maldon.network.models.security_group import security_groups as groups
from maldon.network.models.subnet import subnets
from maldon.network.plan.rules import number_of
from maldon.network.verbs.carriers import ROUTER_OWNERS, carriers
from maldon.network.verbs.dhcp import DHCP_OWNER
from maldon.network.views.port import FIXED_IPS
from maldon.placement import service as placement
from maldon.ports.switch import (
    DhcpSpec,
    GroupSpec,
    InterfaceSpec,
    Lease,
    NetworkSpec,
    PortFacts,
    PortSpec,
    RouterSpec,
    RuleSpec,
    SubnetSpec,
    Wiring,
)

Rows = dict[str, list[Any]]


@dataclass(slots=True)
class _Read:
    """The rows that concern the hosts that ask. `tunnels` and `carriers` are hosts' addresses, hosts by network."""

    legs: Rows = field(default_factory=dict)
    networks: dict[str, Any] = field(default_factory=dict)
    subnets: Rows = field(default_factory=dict)
    cidrs: dict[str, Any] = field(default_factory=dict)
    fixed: Rows = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    facts: dict[str, PortFacts] = field(default_factory=dict)
    rules: Rows = field(default_factory=dict)
    members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    specs: dict[str, GroupSpec] = field(default_factory=dict)
    floating: Rows = field(default_factory=dict)
    tunnels: dict[str, str] = field(default_factory=dict)
    carriers: dict[str, set[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Beyond:
    """What a host is told of the others: living hosts' tunnels, networks' carriers, groups' members.

    All of it changes with every port of the cloud, so whoever asks often keeps it for a while.
    """

    tunnels: dict[str, str] | None = None
    carriers: dict[str, set[str]] = field(default_factory=dict)
    members: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class _Here:
    """What of it one host has: its guests' ports, its DHCP ports by network, its routers."""

    host: str
    guests: list[Any] = field(default_factory=list)
    dhcp: dict[str, Any] = field(default_factory=dict)
    routers: list[Any] = field(default_factory=list)


_PORTS = Below(select(ports).order_by(ports.c.id), ports.c.host)
_ROUTERS = Below(select(routers).order_by(routers.c.id), routers.c.host)
_LEGS = Below(select(ports).where(ports.c.device_owner.in_(ROUTER_OWNERS)).order_by(ports.c.id), ports.c.device_id)
_FLOATING = Below(select(floating_ips).order_by(floating_ips.c.floating_ip_address), floating_ips.c.router_id)
_NETWORKS = Below(select(networks).order_by(networks.c.id), networks.c.id)
_SUBNETS = Below(select(subnets).order_by(subnets.c.created_at, subnets.c.id), subnets.c.network_id)
_RULES = Below(select(rules).order_by(rules.c.fingerprint), rules.c.security_group_id)
_GROUPS = Below(
    select(port_groups.c.port_id, groups.c.id, groups.c.name).join(groups, groups.c.id == port_groups.c.group_id),
    port_groups.c.port_id,
)
_OUTSIDE = Below(select(floating_ips.c.port_id, floating_ips.c.floating_ip_address), floating_ips.c.port_id)
_MEMBERS = Below(
    select(port_groups.c.group_id, fixed_ips.c.ip_address).join(
        fixed_ips, fixed_ips.c.port_id == port_groups.c.port_id
    ),
    port_groups.c.group_id,
)
_ALLOWED = Below(
    select(port_groups.c.group_id, ports.c.address_pairs)
    .join(ports, ports.c.id == port_groups.c.port_id)
    .where(ports.c.address_pairs != []),
    port_groups.c.group_id,
)


async def wiring(session: Session, op: Op, host_name: str) -> Wiring:
    """Everything the host must carry."""
    return (await wirings(session, op, [host_name]))[host_name]


async def wirings(
    session: Session, op: Op, host_names: Sequence[str], beyond: Beyond | None = None
) -> dict[str, Wiring]:
    """Everything each of the hosts must carry; what is not known of `beyond` is read and filled in there."""
    bound, routed = await _PORTS.of(session, host_names), await _ROUTERS.of(session, host_names)
    hosts = [_here(name, bound.get(name, []), routed.get(name, [])) for name in host_names]
    read = await _read(session, op, hosts, beyond or Beyond())
    return {here.host: _wiring(here, read) for here in hosts}


def _here(host: str, bound: list[Any], routed: list[Any]) -> _Here:
    here = _Here(host, routers=routed)
    for row in bound:
        if row.device_owner == DHCP_OWNER:
            here.dhcp[row.network_id] = row
        else:
            here.guests.append(row)
    return here


async def _read(session: Session, op: Op, hosts: list[_Here], beyond: Beyond) -> _Read:
    read = _Read()
    router_ids = [row.id for here in hosts for row in here.routers]
    if router_ids:
        read.legs = await _LEGS.of(session, router_ids)
        read.floating = await _FLOATING.of(session, router_ids)
    legs = [leg for some in read.legs.values() for leg in some]
    bound = [row for here in hosts for row in (*here.guests, *here.dhcp.values())]
    carried = sorted({row.network_id for row in (*bound, *legs)})
    if not carried:
        return read
    read.networks = {row.id: row for some in (await _NETWORKS.of(session, carried)).values() for row in some}
    read.subnets = await _SUBNETS.of(session, carried)
    read.cidrs = {s.id: s for some in read.subnets.values() for s in some}
    read.fixed = await FIXED_IPS.of(session, [row.id for row in (*bound, *legs)])
    if beyond.tunnels is None:
        beyond.tunnels = await placement.tunnels(session, op)
    own = [row.id for row in read.networks.values() if not row.external]
    if unknown := [network for network in own if network not in beyond.carriers]:
        found = await carriers(session, unknown)
        beyond.carriers |= {network: found.get(network, set()) for network in unknown}
    read.tunnels, read.carriers = beyond.tunnels, beyond.carriers
    await _read_groups(session, read, [row.id for here in hosts for row in here.guests], beyond)
    return read


async def _read_groups(session: Session, read: _Read, guests: list[str], beyond: Beyond) -> None:
    """The groups of the ports, their rules, and the members of groups that the rules name."""
    if not guests:
        return
    rows, outside = await _GROUPS.of(session, guests), await _OUTSIDE.of(session, guests)
    read.groups = {port_id: tuple(sorted(g.id for g in some)) for port_id, some in rows.items()}
    for port_id in sorted(rows.keys() | outside.keys()):
        names = sorted(g.name for g in rows.get(port_id, ()))
        floating = sorted(f.floating_ip_address for f in outside.get(port_id, ()))
        read.facts[port_id] = PortFacts(port_id, tuple(names), tuple(floating))
    used = sorted({group for some in read.groups.values() for group in some})
    if not used:
        return
    read.rules = await _RULES.of(session, used)
    named = {rule.remote_group_id for some in read.rules.values() for rule in some if rule.remote_group_id}
    unknown = await _members(session, named - beyond.members.keys())
    beyond.members |= {group: tuple(sorted(some)) for group, some in unknown.items()}
    read.members = {group: beyond.members[group] for group in named}


def _wiring(here: _Here, read: _Read) -> Wiring:
    legs = [leg for router in here.routers for leg in read.legs.get(router.id, ())]
    carried = {row.network_id for row in (*here.guests, *here.dhcp.values(), *legs)} & read.networks.keys()
    return Wiring(
        networks=tuple(_network(read.networks[network], here, read) for network in sorted(carried)),
        groups=tuple(_groups(here, read)),
        ports=tuple(_port(row, read) for row in here.guests),
        routers=tuple(_router(row, read) for row in here.routers),
        facts=tuple(read.facts[row.id] for row in here.guests if row.id in read.facts),
    )


async def _members(session: Session, group_ids: Collection[str]) -> dict[str, set[str]]:
    """The addresses of the groups' ports, those they were allowed in addition included."""
    found: dict[str, set[str]] = {group: set() for group in group_ids}
    if not group_ids:
        return found
    wanted = sorted(group_ids)
    for group, some in (await _MEMBERS.of(session, wanted)).items():
        found[group].update(row.ip_address for row in some)
    for group, some in (await _ALLOWED.of(session, wanted)).items():
        found[group].update(pair["ip_address"] for row in some for pair in row.address_pairs)
    return found


def _network(row: Any, here: _Here, read: _Read) -> NetworkSpec:
    there = read.subnets.get(row.id, [])
    return NetworkSpec(
        id=row.id,
        mtu=row.mtu,
        external=row.external,
        vni=None if row.external else row.vni,
        subnets=tuple(_subnet(s) for s in there),
        dhcp=_dhcp(row, here, read),
        peers=_peers(row, here, read),
    )


def _peers(network: Any, here: _Here, read: _Read) -> tuple[str, ...]:
    """The tunnel addresses of the other living hosts that carry the network."""
    others = read.carriers.get(network.id, set()) - {here.host}
    return tuple(sorted({read.tunnels[name] for name in others if name in read.tunnels}))


def _subnet(row: Any) -> SubnetSpec:
    return SubnetSpec(
        id=row.id,
        cidr=row.cidr,
        gateway_ip=row.gateway_ip,
        dns_nameservers=tuple(row.dns_nameservers),
        routes=tuple((r["destination"], r["nexthop"]) for r in row.host_routes),
        enable_dhcp=row.enable_dhcp,
        ipv6_ra_mode=row.ipv6_ra_mode,
        ipv6_address_mode=row.ipv6_address_mode,
    )


def _dhcp(network: Any, here: _Here, read: _Read) -> DhcpSpec | None:
    """The DHCP service for the guests of this host: those of other hosts have their own there."""
    port = here.dhcp.get(network.id)
    if port is None or not read.fixed.get(port.id):
        return None
    leases = [
        _lease(guest, place.ip_address)
        for guest in here.guests
        if guest.network_id == network.id
        for place in read.fixed.get(guest.id, ())
        if _leased(read.cidrs[place.subnet_id])
    ]
    return DhcpSpec(port.id, port.mac_address, _interface_addresses(port.id, read), tuple(leases))


def _lease(guest: Any, address: str) -> Lease:
    version = 6 if ":" in address else 4
    options = tuple((o["opt_name"], o["opt_value"]) for o in guest.dhcp_opts if o["ip_version"] == version)
    return Lease(guest.mac_address, address, guest.hostname or _host_name(address), options)


def _leased(subnet: Any) -> bool:
    given = subnet.ip_version == 4 or subnet.ipv6_address_mode == "dhcpv6-stateful"
    return bool(subnet.enable_dhcp and given)


def _host_name(text: str) -> str:
    return f"host-{text.replace('.', '-').replace(':', '-')}"


def _interface_addresses(port_id: str, read: _Read) -> tuple[str, ...]:
    places = read.fixed.get(port_id, ())
    return tuple(f"{p.ip_address}/{read.cidrs[p.subnet_id].cidr.partition('/')[2]}" for p in places)


def _groups(here: _Here, read: _Read) -> Iterable[GroupSpec]:
    used = {group for row in here.guests for group in read.groups.get(row.id, ())}
    named = {rule.remote_group_id for group in used for rule in read.rules.get(group, ()) if rule.remote_group_id}
    for group in sorted(used | named):
        yield _group(group, read) if group in used else GroupSpec(group, (), read.members.get(group, ()))


def _group(group: str, read: _Read) -> GroupSpec:
    """A group that filters ports, the same value on every host."""
    if group not in read.specs:
        rules_of = tuple(_rule(rule) for rule in read.rules.get(group, ()))
        read.specs[group] = GroupSpec(group, rules_of, read.members.get(group, ()))
    return read.specs[group]


def _rule(row: Any) -> RuleSpec:
    number = number_of(row.protocol)
    return RuleSpec(
        direction=row.direction,
        ethertype=row.ethertype,
        protocol=_PROTOCOLS.get(number, str(number)) if number is not None else None,
        port_min=row.port_range_min,
        port_max=row.port_range_max,
        remote_cidr=str(ip_network(row.remote_ip_prefix, strict=False)) if row.remote_ip_prefix else None,
        remote_group=row.remote_group_id,
    )


_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp", 33: "dccp", 136: "udplite"}


def _port(row: Any, read: _Read) -> PortSpec:
    return PortSpec(
        id=row.id,
        network_id=row.network_id,
        mac=row.mac_address,
        addresses=tuple(p.ip_address for p in read.fixed.get(row.id, ())),
        groups=read.groups.get(row.id, ()),
        pairs=tuple((p["mac_address"], str(ip_network(p["ip_address"], strict=False))) for p in row.address_pairs),
        security=row.port_security_enabled,
        up=row.admin_state_up,
    )


def _router(row: Any, read: _Read) -> RouterSpec:
    legs = defaultdict(list)
    for leg in read.legs.get(row.id, ()):
        legs[leg.id == row.gateway_port_id].append(_leg(leg, read))
    gateway = legs[True][0] if legs[True] else None
    hops = [read.cidrs[p.subnet_id].gateway_ip for p in read.fixed.get(row.gateway_port_id, ())]
    return RouterSpec(
        id=row.id,
        interfaces=tuple(legs[False]),
        gateway=gateway,
        next_hops=tuple(hop for hop in hops if hop),
        snat=row.enable_snat,
        floating=tuple((f.floating_ip_address, f.fixed_ip_address) for f in read.floating.get(row.id, ())),
        routes=tuple((r["destination"], r["nexthop"]) for r in row.routes),
        up=row.admin_state_up,
    )


def _leg(row: Any, read: _Read) -> InterfaceSpec:
    return InterfaceSpec(row.id, row.network_id, row.mac_address, _interface_addresses(row.id, read))
