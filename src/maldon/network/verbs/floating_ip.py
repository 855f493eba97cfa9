"""Floating IPs within a transaction: an address of an external network, and where it leads."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select

from maldon.kernel.errors import BadRequest, Conflict, Duplicate, NotFound, Stale
from maldon.kernel.op import Op, Session
from maldon.network.models.network import networks
from maldon.network.models.port import fixed_ips, ports
from maldon.network.models.router import floating_ips, routers
from maldon.network.models.subnet import subnets
from maldon.network.schemas.body import address
from maldon.network.verbs.address import subnets_of
from maldon.network.verbs.port import create_port, drop_port
from maldon.network.verbs.record import Record, born, change
from maldon.network.verbs.router import INTERFACE
from maldon.network.verbs.wake import wake_hosts

OWNER = "network:floatingip"


async def create_floating(session: Session, op: Op, given: Mapping[str, Any], project_id: str, port: Any) -> Record:
    """A new floating IP, leading to `port` when there is one."""
    network_id = given["floating_network_id"]
    network = await session.first(select(networks).where(networks.c.id == network_id))
    if network is None:
        raise NotFound(f"Network {network_id} could not be found.", kind="NetworkNotFound")
    if not network.external:
        raise BadRequest(f"Bad floatingip request: Network {network_id} is not a valid external network.")
    there = [s for s in await subnets_of(session, network_id) if s.ip_version == 4]
    if not there:
        raise BadRequest(f"Bad floatingip request: Network {network_id} does not contain any IPv4 subnet.")
    row = Record({**born(op, given, project_id), "floating_network_id": network_id, "name": ""})
    asked: dict[str, Any] = {"device_id": row.id, "device_owner": OWNER, "security_groups": []}
    wanted = {"subnet_id": given.get("subnet_id"), "ip_address": given.get("floating_ip_address")}
    if any(wanted.values()):
        asked["fixed_ips"] = [{k: v for k, v in wanted.items() if v}]
    made = await create_port(session, op, asked, project_id="", network=network, there=there)
    row |= {
        "floating_ip_address": made.fixed[0].ip_address,
        "floating_port_id": made.row.id,
        "status": "DOWN",
        **await _destination(session, op, network_id, port, given.get("fixed_ip_address")),
    }
    try:
        await session.run(insert(floating_ips), row)
    except Duplicate as error:
        raise Stale("The port got another floating IP; please try again.") from error
    return row


async def point(session: Session, op: Op, row: Any, given: Mapping[str, Any], port: Any) -> Record:
    """Change where a floating IP leads: to `port`, or nowhere."""
    values: dict[str, Any] = {"description": given["description"] or ""} if "description" in given else {}
    if "port_id" in given or "fixed_ip_address" in given:
        await _wake(session, op, row.router_id, row.port_id)
        fixed = given.get("fixed_ip_address")
        values |= await _destination(session, op, row.floating_network_id, port, fixed, row.id)
        if values["port_id"] != row.port_id or values["fixed_ip_address"] != row.fixed_ip_address:
            values["status"] = "DOWN"
    try:
        return await change(session, op, floating_ips, row, values)
    except Duplicate as error:
        raise Stale("The port got another floating IP; please try again.") from error


async def _destination(
    session: Session, op: Op, network_id: str, port: Any, fixed: str | None, own_id: str = ""
) -> dict[str, Any]:
    """Port, fixed address and router of the way in. Raises BadRequest, NotFound, Conflict."""
    if port is None:
        if fixed:
            raise BadRequest("Bad floatingip request: fixed_ip_address cannot be specified without a port_id.")
        return {"port_id": None, "fixed_ip_address": None, "router_id": None}
    mine = await session.all(
        select(fixed_ips.c.ip_address, fixed_ips.c.subnet_id)
        .join(subnets, subnets.c.id == fixed_ips.c.subnet_id)
        .where(fixed_ips.c.port_id == port.id, subnets.c.ip_version == 4)
        .order_by(fixed_ips.c.position)
    )
    chosen = [a for a in mine if a.ip_address == address(fixed)] if fixed else mine
    if not chosen:
        what = f"the fixed IP {fixed}" if fixed else "any fixed IPv4 address"
        raise BadRequest(f"Bad floatingip request: Port {port.id} does not have {what}.")
    if len(chosen) > 1:
        raise BadRequest(
            f"Bad floatingip request: Port {port.id} has multiple fixed IPv4 addresses. "
            "Must provide a specific IPv4 address when assigning a floating IP."
        )
    place = chosen[0]
    taken = await session.first(
        select(floating_ips.c.floating_ip_address).where(
            floating_ips.c.port_id == port.id,
            floating_ips.c.fixed_ip_address == place.ip_address,
            floating_ips.c.id != own_id,
        )
    )
    if taken is not None:
        raise Conflict(
            f"Cannot associate a floating IP with port {port.id} using fixed IP {place.ip_address}, as that fixed IP "
            f"already has the floating IP {taken.floating_ip_address}.",
            kind="FloatingIPPortAlreadyAssociated",
        )
    router_id = await _way_in(session, network_id, place.subnet_id, port.id)
    await _wake(session, op, router_id, port.id)
    return {"port_id": port.id, "fixed_ip_address": place.ip_address, "router_id": router_id}


async def _way_in(session: Session, network_id: str, subnet_id: str, port_id: str) -> str:
    """The router between the external network and the subnet. Raises NotFound."""
    gateways = ports.alias("gateway")
    found = await session.scalar(
        select(routers.c.id)
        .join(gateways, gateways.c.id == routers.c.gateway_port_id)
        .join(ports, ports.c.device_id == routers.c.id)
        .join(fixed_ips, fixed_ips.c.port_id == ports.c.id)
        .where(
            gateways.c.network_id == network_id,
            ports.c.device_owner == INTERFACE,
            fixed_ips.c.subnet_id == subnet_id,
        )
        .order_by(routers.c.id)
        .limit(1)
    )
    if found is None:
        raise NotFound(
            f"External network {network_id} is not reachable from subnet {subnet_id}. Therefore, cannot associate "
            f"Port {port_id} with a Floating IP.",
            kind="ExternalGatewayForFloatingIPNotFound",
        )
    return str(found)


async def _wake(session: Session, op: Op, router_id: str | None, port_id: str | None) -> None:
    """Tell those who translate the address, and those who tell the guest of it."""
    hosts = select(routers.c.host).where(routers.c.id == router_id)
    for row in await session.all(hosts.union(select(ports.c.host).where(ports.c.id == port_id))):
        wake_hosts(session, op, [row.host])


async def delete_floating(session: Session, op: Op, row: Any) -> None:
    """Take a floating IP away and give its address back."""
    await _wake(session, op, row.router_id, row.port_id)
    port = await session.first(select(ports).where(ports.c.id == row.floating_port_id))
    await session.run(delete(floating_ips).where(floating_ips.c.id == row.id))
    await drop_port(session, op, port)
