"""Networks and subnets within a transaction."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from random import SystemRandom
from typing import Any

from sqlalchemy import delete, insert, or_, select

from maldon.kernel.errors import BadRequest, Conflict, Duplicate, InUse, Stale
from maldon.kernel.op import Op, Session
from maldon.network.models.network import networks
from maldon.network.models.port import fixed_ips, ports
from maldon.network.models.router import floating_ips
from maldon.network.models.subnet import subnets
from maldon.network.plan.addresses import default_gateway, default_pools, overlapping, slaac, spans_of, usable
from maldon.network.schemas.body import address, routes
from maldon.network.settings import settings
from maldon.network.verbs.address import Place, gives_itself, subnets_of, write_places
from maldon.network.verbs.carriers import wake_networks
from maldon.network.verbs.dhcp import DHCP_OWNER, refresh_dhcp
from maldon.network.verbs.floating_ip import delete_floating
from maldon.network.verbs.port import drop_port
from maldon.network.verbs.record import Record, born, change
from maldon.network.verbs.subnet_pool import range_for

VNI_MOST = 2**24 - 1
LEAST_MTU = {4: 68, 6: 1280}
_RANDOM = SystemRandom()


async def create_network(
    session: Session, op: Op, given: Mapping[str, Any], project_id: str, item_id: str | None = None
) -> Record:
    """A new network. Raises BadRequest for wires that this cloud has not."""
    external = given.get("router:external", False)
    vni = given.get("provider:segmentation_id")
    _check_provider(given, external=external)
    most = settings(op).external_mtu if external else settings(op).mtu
    row = Record(
        {
            **born(op, given, project_id, item_id),
            "admin_state_up": given.get("admin_state_up", True),
            "shared": given.get("shared", False),
            "external": external,
            "is_default": bool(given.get("is_default")),
            "mtu": _mtu(given.get("mtu", 0), most),
            "vni": _RANDOM.randint(1, VNI_MOST) if vni is None else vni,
            "port_security_enabled": given.get("port_security_enabled", True),
        }
    )
    try:
        await session.run(insert(networks), row)
    except Duplicate as error:
        if vni is not None:
            raise Conflict(f"Unable to create the network. The VXLAN {vni} is in use.", kind="VlanIdInUse") from error
        raise Stale("The network's number was just taken; please try again.") from error
    return row


def _mtu(wanted: int, most: int) -> int:
    if wanted and not LEAST_MTU[4] <= wanted <= most:
        raise BadRequest(f"Invalid input for mtu: {wanted}; this cloud carries {LEAST_MTU[4]} to {most}.")
    return wanted or most


def _check_provider(given: Mapping[str, Any], *, external: bool) -> None:
    kind, physical = given.get("provider:network_type"), given.get("provider:physical_network")
    if external:
        if kind not in {None, "flat"} or physical not in {None, "external"}:
            raise BadRequest("An external network is of type 'flat' on the physical network 'external' here.")
    elif kind not in {None, "vxlan"} or physical is not None:
        raise BadRequest(f"Network type {kind!r} is not offered: networks are of type 'vxlan' here.")


async def update_network(session: Session, op: Op, row: Any, given: Mapping[str, Any]) -> Record:
    """Change a network. Raises BadRequest, Conflict."""
    values = {k: given[k] for k in ("name", "admin_state_up", "shared", "port_security_enabled") if k in given}
    if "description" in given:
        values["description"] = given["description"] or ""
    if "is_default" in given:
        values["is_default"] = bool(given["is_default"])
    if "router:external" in given:
        values["external"] = given["router:external"]
        if row.external and not values["external"]:
            await _not_external_in_use(session, row)
    if "mtu" in given:
        external = values.get("external", row.external)
        values["mtu"] = _mtu(given["mtu"], settings(op).external_mtu if external else settings(op).mtu)
    if row.shared and values.get("shared") is False:
        await _not_shared_in_use(session, row)
    await wake_networks(session, op, [row.id])
    return await change(session, op, networks, row, values)


async def _not_external_in_use(session: Session, row: Any) -> None:
    owners = ("network:router_gateway", "network:floatingip")
    where = (ports.c.network_id == row.id, ports.c.device_owner.in_(owners))
    if await session.first(select(ports.c.id).where(*where).limit(1)) is not None:
        raise InUse(
            f"External network {row.id} cannot be updated to be made non-external, since it has existing "
            "gateway ports.",
            kind="ExternalNetworkInUse",
        )


async def _not_shared_in_use(session: Session, row: Any) -> None:
    where = (ports.c.network_id == row.id, ports.c.project_id.not_in((row.project_id, "")))
    if await session.first(select(ports.c.id).where(*where).limit(1)) is not None:
        raise Conflict(
            f"Unable to reconfigure sharing settings for network {row.id}. Multiple tenants are using it.",
            kind="InvalidSharedSetting",
        )


async def delete_network(session: Session, op: Op, row: Any) -> None:
    """Take a network away with its subnets, DHCP ports and floating IPs that lead nowhere.

    Raises Conflict while other ports are on it.
    """
    idle = select(floating_ips).where(floating_ips.c.floating_network_id == row.id, floating_ips.c.port_id.is_(None))
    for floating in await session.all(idle):
        await delete_floating(session, op, floating)
    there = await session.all(select(ports).where(ports.c.network_id == row.id))
    if any(port.device_owner != DHCP_OWNER for port in there):
        raise InUse(
            f"Unable to complete operation on network {row.id}. There are one or more ports still in use on the "
            "network.",
            kind="NetworkInUse",
        )
    await wake_networks(session, op, [row.id])
    for port in there:
        await drop_port(session, op, port)
    await session.run(delete(subnets).where(subnets.c.network_id == row.id))
    await session.run(delete(networks).where(networks.c.id == row.id))


async def create_subnet(session: Session, op: Op, given: Mapping[str, Any], project_id: str, network: Any) -> Record:
    """A new subnet. Raises BadRequest, NotFound, Conflict."""
    await session.lock(f"network:{network.id}")
    there = await subnets_of(session, network.id)
    pool, wanted_cidr = await range_for(session, given, project_id)
    network_range = ip_network(wanted_cidr)
    if given.get("ip_version") not in {None, network_range.version}:
        raise BadRequest(
            f"Invalid input for operation: IP version {given['ip_version']} does not match cidr {wanted_cidr}.",
            kind="InvalidInput",
        )
    _check_range(given, network_range)
    _check_modes(given, network_range)
    other = overlapping(wanted_cidr, [s.cidr for s in there])
    if other is not None:
        raise BadRequest(
            f"Invalid input for operation: Requested subnet with cidr: {wanted_cidr} for network: {network.id} "
            f"overlaps with another subnet: {other}.",
            kind="InvalidInput",
        )
    gateway = _gateway(given, wanted_cidr)
    row = Record(
        {
            **born(op, given, project_id),
            "network_id": network.id,
            "ip_version": network_range.version,
            "cidr": wanted_cidr,
            "gateway_ip": gateway,
            "enable_dhcp": given.get("enable_dhcp", True),
            "pools": _pools(given, wanted_cidr, gateway),
            "dns_nameservers": _nameservers(given.get("dns_nameservers") or []),
            "host_routes": routes(given.get("host_routes") or []),
            "ipv6_ra_mode": given.get("ipv6_ra_mode"),
            "ipv6_address_mode": given.get("ipv6_address_mode"),
            "subnetpool_id": pool,
        }
    )
    await session.run(insert(subnets), row)
    if gives_itself(row):
        await _address_ports(session, row)
    await refresh_dhcp(session, op, network, [*there, row])
    return row


def _check_range(given: Mapping[str, Any], there: Any) -> None:
    """A range that guests can live in. Raises BadRequest."""
    if there.prefixlen == 0 or there.is_multicast or there.is_loopback or there.is_link_local:
        raise BadRequest(f"Invalid input for operation: Invalid CIDR {there} for a subnet.", kind="InvalidInput")
    if given.get("enable_dhcp", True) and there.max_prefixlen - there.prefixlen < 2:
        raise BadRequest(
            f"Invalid input for operation: Subnet has a prefix length that is incompatible with DHCP service enabled: "
            f"{there}.",
            kind="InvalidInput",
        )


def _check_modes(given: Mapping[str, Any], there: Any) -> None:
    modes = [m for m in (given.get("ipv6_ra_mode"), given.get("ipv6_address_mode")) if m is not None]
    if not modes:
        return
    if there.version == 4:
        raise BadRequest("Invalid input for operation: ipv6_ra_mode and ipv6_address_mode need ip_version 6.")
    if not given.get("enable_dhcp", True):
        raise BadRequest(
            "Invalid input for operation: ipv6_ra_mode or ipv6_address_mode cannot be set when "
            "enable_dhcp is set to False."
        )
    if len(set(modes)) > 1:
        raise BadRequest(
            f"Invalid input for operation: ipv6_ra_mode set to '{modes[0]}' with ipv6_address_mode set "
            f"to '{modes[1]}' is not valid. If both attributes are set, they must be the same value."
        )
    if modes[0] != "dhcpv6-stateful" and there.prefixlen != 64:
        raise BadRequest(
            f"Invalid CIDR {there} for IPv6 address mode. OpenStack uses the EUI-64 address format, "
            "which requires the prefix to be /64."
        )


def _gateway(given: Mapping[str, Any], subnet_cidr: str) -> str | None:
    if "gateway_ip" not in given:
        return default_gateway(subnet_cidr)
    return None if given["gateway_ip"] is None else checked_gateway(given["gateway_ip"], subnet_cidr)


def checked_gateway(given: str, subnet_cidr: str) -> str:
    """A gateway that the subnet's guests can ask for. Raises BadRequest."""
    gateway, there = ip_address(address(given)), ip_network(subnet_cidr)
    first, last = usable(subnet_cidr)
    if gateway.version != there.version or (gateway in there and not first <= int(gateway) <= last):
        raise BadRequest(f"Invalid input for operation: Gateway {given} is not valid on subnet.", kind="InvalidInput")
    return str(gateway)


def _pools(given: Mapping[str, Any], subnet_cidr: str, gateway: str | None) -> list[Sequence[str]]:
    wanted = given.get("allocation_pools")
    if wanted is None:
        return list(default_pools(subnet_cidr, gateway))
    return checked_pools(wanted, subnet_cidr, gateway)


def checked_pools(given: Sequence[Mapping[str, str]], subnet_cidr: str, gateway: str | None) -> list[Sequence[str]]:
    """Pools within the subnet that neither overlap nor hold the gateway. Raises BadRequest, Conflict."""
    pools = [(address(p["start"]), address(p["end"])) for p in given]
    first, last = usable(subnet_cidr)
    version = ip_network(subnet_cidr).version
    before = -1
    for (start, end), pool in sorted(zip(spans_of(pools), pools, strict=True)):
        if start > end or any(ip_address(text).version != version for text in pool):
            raise BadRequest(f"The allocation pool {pool[0]}-{pool[1]} is not valid.", kind="InvalidAllocationPool")
        if start < first or end > last:
            raise BadRequest(
                f"The allocation pool {pool[0]}-{pool[1]} spans beyond the subnet cidr {subnet_cidr}.",
                kind="OutOfBoundsAllocationPool",
            )
        if start <= before:
            raise Conflict(
                f"Found overlapping allocation pools for subnet {subnet_cidr}.", kind="OverlappingAllocationPools"
            )
        if gateway is not None and start <= int(ip_address(gateway)) <= end:
            raise Conflict(
                f"Gateway ip {gateway} conflicts with allocation pool {pool[0]}-{pool[1]}.",
                kind="GatewayConflictWithAllocationPools",
            )
        before = end
    return list(pools)


def _nameservers(given: Sequence[str]) -> list[str]:
    found = [address(one) for one in given]
    if len(set(found)) < len(found):
        raise BadRequest(f"Invalid input for dns_nameservers. Reason: Duplicate items in the list: {given}.")
    return found


async def _address_ports(session: Session, subnet: Any) -> None:
    """The network's guests give themselves an address of a new SLAAC subnet: write it down."""
    there = await session.all(
        select(ports.c.id, ports.c.mac_address).where(
            ports.c.network_id == subnet.network_id, ~ports.c.device_owner.startswith("network:")
        )
    )
    for port in there:
        await write_places(session, port.id, [Place(subnet.id, slaac(subnet.cidr, port.mac_address))], start=1000)


async def update_subnet(session: Session, op: Op, row: Any, given: Mapping[str, Any], network: Any) -> Record:
    """Change a subnet. Raises BadRequest, Conflict."""
    values = {k: given[k] for k in ("name", "enable_dhcp") if k in given}
    if "description" in given:
        values["description"] = given["description"] or ""
    if "gateway_ip" in given:
        values["gateway_ip"] = await _new_gateway(session, row, given["gateway_ip"])
    if "dns_nameservers" in given:
        values["dns_nameservers"] = _nameservers(given["dns_nameservers"] or [])
    if "host_routes" in given:
        values["host_routes"] = routes(given["host_routes"] or [])
    gateway = values.get("gateway_ip", row.gateway_ip)
    if "allocation_pools" in given:
        values["pools"] = checked_pools(given["allocation_pools"], row.cidr, gateway)
    elif "gateway_ip" in given:
        checked_pools([{"start": a, "end": b} for a, b in row.pools], row.cidr, gateway)
    if given.get("enable_dhcp"):
        _check_range(given, ip_network(row.cidr))
    elif given.get("enable_dhcp") is False and (row.ipv6_ra_mode or row.ipv6_address_mode):
        raise BadRequest("Invalid input for operation: a subnet with ipv6_ra_mode or ipv6_address_mode needs DHCP.")
    after = await change(session, op, subnets, row, values)
    await refresh_dhcp(session, op, network, await subnets_of(session, network.id))
    return after


async def _new_gateway(session: Session, row: Any, given: str | None) -> str | None:
    new = None if given is None else checked_gateway(given, row.cidr)
    if row.gateway_ip is None or new == row.gateway_ip:
        return new
    holder = await session.first(
        select(ports.c.id)
        .join(fixed_ips, fixed_ips.c.port_id == ports.c.id)
        .where(
            fixed_ips.c.subnet_id == row.id,
            fixed_ips.c.ip_address == row.gateway_ip,
            ports.c.device_owner == "network:router_interface",
        )
    )
    if holder is not None:
        raise InUse(
            f"Current gateway ip {row.gateway_ip} already in use by port {holder.id}. Unable to update.",
            kind="GatewayIpInUse",
        )
    return new


async def delete_subnet(session: Session, op: Op, row: Any, network: Any) -> None:
    """Take a subnet away. Raises Conflict while ports have addresses of it (but DHCP's and self-given ones)."""
    used = select(ports.c.id, ports.c.device_owner).join(fixed_ips, fixed_ips.c.port_id == ports.c.id)
    passing = [ports.c.device_owner == DHCP_OWNER]
    if gives_itself(row):
        passing.append(~ports.c.device_owner.startswith("network:router"))
    holder = await session.first(used.where(fixed_ips.c.subnet_id == row.id, ~or_(*passing)).limit(1))
    if holder is not None:
        raise InUse(
            f"Unable to complete operation on subnet {row.id}: One or more ports have an IP allocation from this "
            "subnet.",
            kind="SubnetInUse",
        )
    await session.run(delete(fixed_ips).where(fixed_ips.c.subnet_id == row.id))
    await session.run(delete(subnets).where(subnets.c.id == row.id))
    await refresh_dhcp(session, op, network, await subnets_of(session, network.id))
