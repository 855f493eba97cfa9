"""A router: a namespace with a leg on each of its networks, and one on the external bridge.

Address translation is one nftables table, filled anew in one transaction on every change; running connections go on by
conntrack. A floating address is on the gateway leg, and its neighbours are told. Two floating addresses of one router
reach each other: the sender appears under its own floating address. Where a subnet asks for router advertisements, a
dnsmasq sends them here; DHCPv6 is answered by the network's DHCP namespace alone.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path

from maldon.drivers.switch import leg as legs
from maldon.drivers.switch import names, namespace, ruleset
from maldon.drivers.switch.conntrack import forget_stale
from maldon.drivers.switch.dnsmasq import Dnsmasq, Service
from maldon.drivers.switch.leg import Leg
from maldon.drivers.switch.names import NodeNames
from maldon.drivers.switch.netlink import Link, Wires, announce, inside
from maldon.drivers.switch.network import attached, bridge_of
from maldon.ports.switch import InterfaceSpec, NetworkSpec, RouterSpec, SubnetSpec

CHAINS = {("ip", "arriving"), ("ip", "leaving"), ("inet", "input")}
NETWORK_WIDE = {"ipv4.ip_forward": 1, "ipv6.conf.all.forwarding": 1}
EVERY_LINK = {"ipv4.conf.{}.rp_filter": 0, "ipv6.conf.{}.accept_ra": 0, "ipv6.conf.{}.accept_dad": 0}


def ensure(
    wires: Wires,
    node: NodeNames,
    home: Path,
    router: RouterSpec,
    networks: Mapping[str, NetworkSpec],
    before: RouterSpec | None,
) -> None:
    """Have the router as described; `before` is what it was for certain, if that is known."""
    place = node.router(router.id)
    namespace.create(place)
    with inside(place) as far:
        for setting, value in NETWORK_WIDE.items():
            namespace.sysctl(setting, value)
        for setting, value in EVERY_LINK.items():
            for device in ("all", "default"):
                namespace.sysctl(setting.format(device), value)
        ruleset.load(translation(router))
        _drop_old_legs(wires, far, router)
        for interface in _legs(router):
            _ensure_leg(wires, far, place, router, interface, networks[interface.network_id])
        if router.up:
            far.route(_routes(router))
        if before is None or _outside(before) != _outside(router):
            forget_stale(*_outside(router))
    _advertise(node, home, router, networks)


def _legs(router: RouterSpec) -> list[InterfaceSpec]:
    return [*router.interfaces, *([router.gateway] if router.gateway else [])]


def _drop_old_legs(wires: Wires, far: Wires, router: RouterSpec) -> None:
    wanted = {names.router_link(interface.port_id) for interface in _legs(router)}
    for link in far.links().values():
        if link.name.startswith("in-") and link.name not in wanted:
            far.delete(link.name)  # and the other end with it
    outer = {names.router_leg(interface.port_id) for interface in _legs(router)}
    for link in wires.links().values():
        if link.alias == names.alias("router", router.id) and link.name not in outer:
            wires.delete(link.name)


def _ensure_leg(
    wires: Wires, far: Wires, place: str, router: RouterSpec, interface: InterfaceSpec, network: NetworkSpec
) -> None:
    inner = names.router_link(interface.port_id)
    leg = Leg(
        outer=names.router_leg(interface.port_id),
        inner=inner,
        bridge=bridge_of(network),
        alias=names.alias("router", router.id),
        mac=interface.mac,
        mtu=network.mtu,
        up=router.up,
    )
    legs.join(wires, far, place, leg)
    addresses = list(interface.addresses)
    if interface == router.gateway:
        addresses += [f"{floating}/32" for floating, _ in router.floating]
    new = far.address(inner, addresses)
    link = far.find(inner)
    if router.up and link is not None:
        announce(link, new)


def _outside(router: RouterSpec) -> tuple[set[tuple[str, str]], set[str]]:
    """How guests may appear outside: by (floating, fixed) pairs, and as the router itself."""
    if router.gateway is None:
        return set(), set()
    addresses = {address.partition("/")[0] for address in router.gateway.addresses}
    return set(router.floating), addresses if router.snat else set()


def _routes(router: RouterSpec) -> dict[str, str]:
    routes = {ipaddress.ip_network(destination).compressed: hop for destination, hop in router.routes}
    for hop in reversed(router.next_hops):  # the first of each family
        routes["::/0" if ":" in hop else "0.0.0.0/0"] = hop
    return routes


def translation(router: RouterSpec) -> str:
    """The router's tables as one nft transaction that ends the same whatever was there."""
    lines = [
        "add table ip maldon",
        "add chain ip maldon arriving { type nat hook prerouting priority -100; }",
        "add chain ip maldon leaving { type nat hook postrouting priority 100; }",
        "add map ip maldon fixed { type ipv4_addr : ipv4_addr; }",
        "add map ip maldon floating { type ipv4_addr : ipv4_addr; }",
        "flush chain ip maldon arriving",
        "flush chain ip maldon leaving",
        "flush map ip maldon fixed",
        "flush map ip maldon floating",
        "add table inet maldon",
        "add chain inet maldon input { type filter hook input priority 0; }",
        "flush chain inet maldon input",
        "add rule inet maldon input udp dport 547 drop",
        *_translation(router),
    ]
    return "".join(f"{line}\n" for line in lines)


def _translation(router: RouterSpec) -> Iterator[str]:
    if router.gateway is None:
        return
    pairs = [(ipaddress.IPv4Address(one), ipaddress.IPv4Address(other)) for one, other in router.floating]
    if pairs:
        yield f"add element ip maldon fixed {{ {', '.join(f'{one} : {other}' for one, other in pairs)} }}"
        yield f"add element ip maldon floating {{ {', '.join(f'{other} : {one}' for one, other in pairs)} }}"
    yield "add rule ip maldon arriving dnat to ip daddr map @fixed"
    out = names.router_link(router.gateway.port_id)
    own = next((address for address in router.gateway.addresses if ":" not in address), None)
    # A guest that calls a floating address of this router must get the answer from that address, so it comes back here.
    for inside_out in (f'oifname "{out}"', f'iifname != "{out}" ct status dnat'):
        yield f"add rule ip maldon leaving {inside_out} snat to ip saddr map @floating"
        if router.snat and own is not None:
            yield f"add rule ip maldon leaving {inside_out} snat to {ipaddress.ip_interface(own).ip}"


def _advertise(node: NodeNames, home: Path, router: RouterSpec, networks: Mapping[str, NetworkSpec]) -> None:
    dnsmasq = advertiser(node, home, router.id)
    if adverts := _adverts(router, networks):
        dnsmasq.ensure(Service("enable-ra\n" + adverts, "", "", {}))
    else:
        dnsmasq.remove()


def _adverts(router: RouterSpec, networks: Mapping[str, NetworkSpec]) -> str:
    """The prefixes this router tells of, as dnsmasq's configuration."""
    subnets = [
        subnet
        for interface in router.interfaces
        for subnet in networks[interface.network_id].subnets
        if router.up and subnet.ipv6_ra_mode and _serves(interface, subnet)
    ]
    return "".join(line for n, subnet in enumerate(subnets) for line in _advert(f"subnet{n}", subnet))


def _advert(tag: str, subnet: SubnetSpec) -> Iterator[str]:
    net = ipaddress.ip_network(subnet.cidr)
    yield f"dhcp-range=set:{tag},{net.network_address},{_mode(subnet)},{net.prefixlen}\n"
    if subnet.dns_nameservers:
        servers = ",".join(f"[{server}]" for server in subnet.dns_nameservers)
        yield f"dhcp-option=tag:{tag},option6:dns-server,{servers}\n"


def probe() -> str:
    """A transaction with everything that a router needs of the kernel."""
    leg = InterfaceSpec("probe", "probe", "02:00:00:00:00:01", ("192.0.2.1/24",))
    return translation(RouterSpec("probe", gateway=leg, floating=(("192.0.2.2", "192.0.2.3"),)))


def _mode(subnet: SubnetSpec) -> str:
    return {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless", "dhcpv6-stateful": "static"}[
        str(subnet.ipv6_ra_mode)
    ]


def _serves(interface: InterfaceSpec, subnet: SubnetSpec) -> bool:
    net = ipaddress.ip_network(subnet.cidr)
    return any(ipaddress.ip_interface(address).ip in net for address in interface.addresses)


def advertiser(node: NodeNames, home: Path, router_id: str) -> Dnsmasq:
    return Dnsmasq(home / "adverts" / router_id, node.router(router_id))


def remove(wires: Wires, node: NodeNames, home: Path, router_id: str) -> None:
    advertiser(node, home, router_id).remove()
    for link in wires.links().values():
        if link.alias == names.alias("router", router_id):
            wires.delete(link.name)
    namespace.end(node.router(router_id), "dnsmasq")


def complete(
    links: Mapping[str, Link], node: NodeNames, home: Path, router: RouterSpec, networks: Mapping[str, NetworkSpec]
) -> bool:
    """Whether everything `ensure` makes is there."""
    place = node.router(router.id)
    if not namespace.exists(place):
        return False
    for interface in _legs(router):
        network = networks.get(interface.network_id)
        bridge = links.get(bridge_of(network)) if network else None
        outer = names.router_leg(interface.port_id)
        if bridge is None or (router.up and not attached(links, bridge, [outer])) or outer not in links:
            return False
    if _adverts(router, networks) and not advertiser(node, home, router.id).alive():
        return False
    with namespace.entered(place):
        return ruleset.list_chains() >= CHAINS
