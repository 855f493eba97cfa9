"""What one host must carry, computed from the tables whenever it is asked for.

The tables are the desired state; there is no second copy that could differ. Everything is read in at most twelve
statements and put together here: the networks of the host's ports and routers, the security groups that filter, the
ports, the routers. The same tables give the same value, so that its digest may serve as an ETag.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from sqlalchemy import bindparam, select

from maldon.kernel.op import Op, Session
from maldon.network.collection import Below
from maldon.network.models.network import networks
from maldon.network.models.port import fixed_ips, port_groups, ports
from maldon.network.models.router import floating_ips, routers
from maldon.network.models.security_group import security_group_rules as rules
from maldon.network.models.subnet import subnets
from maldon.network.plan.rules import number_of
from maldon.network.verbs.carriers import ROUTER_OWNERS, carriers
from maldon.network.verbs.dhcp import DHCP_OWNER
from maldon.network.views.port import FIXED_IPS, GROUPS
from maldon.placement import service as placement
from maldon.ports.switch import (
    DhcpSpec,
    GroupSpec,
    InterfaceSpec,
    Lease,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    RuleSpec,
    SubnetSpec,
    Wiring,
)

Rows = dict[str, list[Any]]


@dataclass(slots=True)
class _Read:
    """The rows that concern one host."""

    guests: list[Any] = field(default_factory=list)
    dhcp: dict[str, Any] = field(default_factory=dict)
    routers: list[Any] = field(default_factory=list)
    legs: Rows = field(default_factory=dict)
    networks: list[Any] = field(default_factory=list)
    subnets: Rows = field(default_factory=dict)
    cidrs: dict[str, Any] = field(default_factory=dict)
    fixed: Rows = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rules: Rows = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    floating: Rows = field(default_factory=dict)
    peers: dict[str, tuple[str, ...]] = field(default_factory=dict)


_PORTS = select(ports).where(ports.c.host == bindparam("here")).order_by(ports.c.id)
_ROUTERS = select(routers).where(routers.c.host == bindparam("here")).order_by(routers.c.id)
_LEGS = Below(select(ports).where(ports.c.device_owner.in_(ROUTER_OWNERS)).order_by(ports.c.id), ports.c.device_id)
_FLOATING = Below(select(floating_ips).order_by(floating_ips.c.floating_ip_address), floating_ips.c.router_id)
_NETWORKS = Below(select(networks).order_by(networks.c.id), networks.c.id)
_SUBNETS = Below(select(subnets).order_by(subnets.c.created_at, subnets.c.id), subnets.c.network_id)
_RULES = Below(select(rules).order_by(rules.c.fingerprint), rules.c.security_group_id)
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
    read = await _read(session, op, host_name)
    return Wiring(
        networks=tuple(_network(row, read) for row in read.networks),
        groups=tuple(_groups(read)),
        ports=tuple(_port(row, read) for row in read.guests),
        routers=tuple(_router(row, read) for row in read.routers),
    )


async def _read(session: Session, op: Op, host: str) -> _Read:
    read = _Read()
    for row in await session.all(_PORTS, {"here": host}):
        if row.device_owner == DHCP_OWNER:
            read.dhcp[row.network_id] = row
        else:
            read.guests.append(row)
    read.routers = await session.all(_ROUTERS, {"here": host})
    router_ids = [row.id for row in read.routers]
    if router_ids:
        read.legs = await _LEGS.of(session, router_ids)
        read.floating = await _FLOATING.of(session, router_ids)
    all_legs = [leg for some in read.legs.values() for leg in some]
    carried = {row.network_id for row in (*read.guests, *all_legs, *read.dhcp.values())}
    if not carried:
        return read
    read.networks = [row for some in (await _NETWORKS.of(session, sorted(carried))).values() for row in some]
    read.subnets = await _SUBNETS.of(session, sorted(carried))
    read.cidrs = {s.id: s for some in read.subnets.values() for s in some}
    ids = [row.id for row in (*read.guests, *all_legs, *read.dhcp.values())]
    read.fixed = await FIXED_IPS.of(session, ids)
    await _read_peers(session, op, host, read)
    await _read_groups(session, read)
    return read


async def _read_peers(session: Session, op: Op, host: str, read: _Read) -> None:
    """The tunnel addresses of the other hosts that carry each network; a silent host keeps its place for a while."""
    tunnels = {h.name: h.tunnel_ip for h in await placement.hosts(session, op) if h.alive and h.name != host}
    own = [row.id for row in read.networks if not row.external]
    for network_id, there in (await carriers(session, own)).items() if own else ():
        read.peers[network_id] = tuple(sorted({tunnels[name] for name in there if name in tunnels}))


async def _read_groups(session: Session, read: _Read) -> None:
    """The groups of the ports here, their rules, and the members of groups that the rules name."""
    secured = [row.id for row in read.guests if row.port_security_enabled]
    if not secured:
        return
    rows = await GROUPS.of(session, secured)
    read.groups = {port_id: tuple(g.group_id for g in some) for port_id, some in rows.items()}
    used = sorted({group for some in read.groups.values() for group in some})
    if not used:
        return
    read.rules = await _RULES.of(session, used)
    named = {rule.remote_group_id for some in read.rules.values() for rule in some if rule.remote_group_id}
    read.members = await _members(session, named)
    for group in used:
        read.rules.setdefault(group, [])


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


def _network(row: Any, read: _Read) -> NetworkSpec:
    there = read.subnets.get(row.id, [])
    return NetworkSpec(
        id=row.id,
        mtu=row.mtu,
        external=row.external,
        vni=None if row.external else row.vni,
        subnets=tuple(_subnet(s) for s in there),
        dhcp=_dhcp(row, read),
        peers=read.peers.get(row.id, ()),
    )


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


def _dhcp(network: Any, read: _Read) -> DhcpSpec | None:
    """The DHCP service for the guests of this host: those of other hosts have their own there."""
    port = read.dhcp.get(network.id)
    if port is None or not read.fixed.get(port.id):
        return None
    leases = [
        Lease(guest.mac_address, place.ip_address, guest.hostname or _host_name(place.ip_address))
        for guest in read.guests
        if guest.network_id == network.id
        for place in read.fixed.get(guest.id, ())
        if _leased(read.cidrs[place.subnet_id])
    ]
    return DhcpSpec(port.id, port.mac_address, _interface_addresses(port.id, read), tuple(leases))


def _leased(subnet: Any) -> bool:
    given = subnet.ip_version == 4 or subnet.ipv6_address_mode == "dhcpv6-stateful"
    return bool(subnet.enable_dhcp and given)


def _host_name(text: str) -> str:
    return f"host-{text.replace('.', '-').replace(':', '-')}"


def _interface_addresses(port_id: str, read: _Read) -> tuple[str, ...]:
    places = read.fixed.get(port_id, ())
    return tuple(f"{p.ip_address}/{read.cidrs[p.subnet_id].cidr.partition('/')[2]}" for p in places)


def _groups(read: _Read) -> Iterable[GroupSpec]:
    for group in sorted(read.rules.keys() | read.members.keys()):
        specs = tuple(_rule(rule) for rule in read.rules.get(group, ()))
        yield GroupSpec(group, specs, tuple(sorted(read.members.get(group, ()))))


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
