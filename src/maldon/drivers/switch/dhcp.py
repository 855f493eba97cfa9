"""The DHCP and metadata namespace of a network.

It holds the DHCP port's addresses and 169.254.169.254, which guests reach by the classless route (option 121) that DHCP
gives them, router or no router. dnsmasq answers only the MACs it was given leases for. Router advertisements come from
the router (router.py), because guests take whoever sends them for their gateway.
"""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

from maldon.drivers.switch import leg as legs
from maldon.drivers.switch import names, namespace
from maldon.drivers.switch.dnsmasq import Dnsmasq, Service
from maldon.drivers.switch.leg import Leg
from maldon.drivers.switch.names import NodeNames
from maldon.drivers.switch.netlink import Wires, inside
from maldon.ports.switch import METADATA_ADDRESS, DhcpSpec, Lease, NetworkSpec, SubnetSpec

LEASE_S = 86400
_UNSAFE = re.compile(r"[^ -~]|[\"\\]")


def ensure(wires: Wires, node: NodeNames, home: Path, network: NetworkSpec, bridge: str) -> None:
    """Have the namespace and its services, or neither if the network has no DHCP here."""
    if network.dhcp is None:
        remove(wires, node, home, network.id)
        return
    place = node.dhcp(network.id)
    namespace.create(place)
    with inside(place) as far:
        for setting in ("accept_ra", "accept_dad"):
            for device in ("all", "default"):
                namespace.sysctl(f"ipv6.conf.{device}.{setting}", 0)
        alias = f"dhcp {network.id}"
        legs.join(
            wires,
            far,
            place,
            Leg(names.dhcp_leg(network.id), names.DHCP_LINK, bridge, alias, network.dhcp.mac, network.mtu),
        )
        far.address(names.DHCP_LINK, [*network.dhcp.addresses, f"{METADATA_ADDRESS}/32"])
        far.shape("lo", up=True)
    dnsmasq(node, home, network.id).ensure(service(network, network.dhcp))


def dnsmasq(node: NodeNames, home: Path, network_id: str) -> Dnsmasq:
    return Dnsmasq(home / "dhcp" / network_id, node.dhcp(network_id))


def remove(wires: Wires, node: NodeNames, home: Path, network_id: str) -> None:
    dnsmasq(node, home, network_id).remove()
    wires.delete(names.dhcp_leg(network_id))
    namespace.end(node.dhcp(network_id), "dnsmasq")


def service(network: NetworkSpec, dhcp: DhcpSpec) -> Service:
    """What dnsmasq is told about a network."""
    served = [(f"subnet{n}", subnet) for n, subnet in enumerate(_served(network, dhcp))]
    prefixes = [ipaddress.ip_network(subnet.cidr) for _, subnet in served]
    leases = [lease for lease in dhcp.leases if any(ipaddress.ip_address(lease.address) in net for net in prefixes)]
    lines = [f"interface={names.DHCP_LINK}", "dhcp-authoritative", "dhcp-ignore=tag:!known"]
    for tag, subnet in served:
        net = ipaddress.ip_network(subnet.cidr)
        size = net.netmask if net.version == 4 else net.prefixlen
        lines.append(f"dhcp-range=set:{tag},{net.network_address},static,{size},{LEASE_S}")
        if net.version == 4:
            lines.append(f"dhcp-option-force=tag:{tag},26,{network.mtu}")
    hosts = [f"{lease.mac},set:{_tag(lease)},{_bracketed(lease.address)},{lease.hostname}" for lease in leases]
    options = [line for tag, subnet in served for line in _options(tag, subnet, dhcp)]
    options += [line for lease in leases for line in _own_options(lease)]
    owners = {ipaddress.ip_address(lease.address).compressed: lease.mac.lower() for lease in leases}
    return Service(_lines(lines), _lines(hosts), _lines(options), owners)


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _served(network: NetworkSpec, dhcp: DhcpSpec) -> Iterator[SubnetSpec]:
    """The subnets that dnsmasq answers for: where it has an address, and where addresses are not made by guests."""
    for subnet in network.subnets:
        here = _own_address(subnet, dhcp) is not None
        if subnet.enable_dhcp and here and subnet.ipv6_address_mode != "slaac":
            yield subnet


def _own_address(subnet: SubnetSpec, dhcp: DhcpSpec) -> str | None:
    net = ipaddress.ip_network(subnet.cidr)
    own = (ipaddress.ip_interface(address).ip for address in dhcp.addresses)
    return next((str(address) for address in own if address in net), None)


def _options(tag: str, subnet: SubnetSpec, dhcp: DhcpSpec) -> Iterator[str]:
    if ":" in subnet.cidr:
        if subnet.dns_nameservers:
            servers = ",".join(f"[{server}]" for server in subnet.dns_nameservers)
            yield f"tag:{tag},option6:dns-server,{servers}"
        return
    routes = [(f"{METADATA_ADDRESS}/32", str(_own_address(subnet, dhcp))), *subnet.routes]
    if subnet.gateway_ip:
        routes.append(("0.0.0.0/0", subnet.gateway_ip))  # whoever reads option 121 ignores option 3
    flat = ",".join(f"{destination},{next_hop}" for destination, next_hop in routes)
    yield f"tag:{tag},option:classless-static-route,{flat}"
    yield f"tag:{tag},249,{flat}"
    yield f"tag:{tag},option:router" + (f",{subnet.gateway_ip}" if subnet.gateway_ip else "")
    if subnet.dns_nameservers:
        yield f"tag:{tag},option:dns-server,{','.join(subnet.dns_nameservers)}"


def _own_options(lease: Lease) -> Iterator[str]:
    """A guest's options: dnsmasq prefers what a host's tag names to what its subnet's does."""
    for name, value in lease.options:
        if _UNSAFE.search(f"{name}{value}"):  # a second line would speak for others
            continue
        if ":" in lease.address:
            bracketed = ",".join(_bracketed(word) if _is_v6(word) else word for word in value.split(","))
            yield f"tag:{_tag(lease)},option6:{name},{bracketed}"
        else:
            yield f"tag:{_tag(lease)},{name if name.isdigit() else f'option:{name}'},{value}"


def _is_v6(word: str) -> bool:
    try:
        return ipaddress.ip_address(word).version == 6
    except ValueError:
        return False


def _tag(lease: Lease) -> str:
    return f"guest{lease.mac.replace(':', '')}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
