"""Routers within a transaction: the way out, the legs, the static routes."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import delete, insert, select

from maldon.kernel.errors import BadRequest, Conflict, InUse, NotFound
from maldon.kernel.op import Op, Session
from maldon.network.models.network import networks
from maldon.network.models.port import fixed_ips, port_groups, ports
from maldon.network.models.router import floating_ips, routers
from maldon.network.models.subnet import subnets
from maldon.network.plan.addresses import overlapping
from maldon.network.schemas.body import routes as checked_routes
from maldon.network.verbs.address import places_for, subnets_of, write_places
from maldon.network.verbs.carriers import wake_networks
from maldon.network.verbs.placing import check_zones, settle
from maldon.network.verbs.port import create_port, drop_port, fixed_of
from maldon.network.verbs.record import Record, born, change

INTERFACE, GATEWAY = "network:router_interface", "network:router_gateway"


async def create_router(session: Session, op: Op, given: Mapping[str, Any], project_id: str) -> Record:
    """A new router, with its way out when one is given. Raises BadRequest, NotFound, Conflict."""
    hints = given.get("availability_zone_hints", [])
    await check_zones(session, op, hints)
    row = Record(
        {
            **born(op, given, project_id),
            "admin_state_up": given["admin_state_up"],
            "status": "ACTIVE",
            "enable_snat": True,
            "gateway_port_id": None,
            "routes": [],
            "az_hints": hints,
            "host": None,
        }
    )
    await session.run(insert(routers), row)
    if given["external_gateway_info"]:
        return await _changed(session, op, row, await _gateway(session, op, row, given["external_gateway_info"]))
    return row


async def update_router(session: Session, op: Op, row: Any, given: Mapping[str, Any]) -> Record:
    """Change a router. Raises BadRequest, NotFound, Conflict."""
    values = {k: given[k] for k in ("name", "admin_state_up") if k in given}
    if "description" in given:
        values["description"] = given["description"] or ""
    old_port = row.gateway_port_id
    if "external_gateway_info" in given:
        values |= await _gateway(session, op, row, given["external_gateway_info"] or {})
    if "routes" in given:
        values["routes"] = await _routes(session, row, given["routes"] or [])
    after = await _changed(session, op, row, values)
    if old_port is not None and after.gateway_port_id != old_port:
        await _drop_gateway(session, op, old_port)
    return after


async def _changed(session: Session, op: Op, row: Any, values: Mapping[str, Any]) -> Record:
    after = await change(session, op, routers, row, values)
    after["host"] = await settle(session, op, after)
    return after


async def _drop_gateway(session: Session, op: Op, port_id: str) -> None:
    port = await session.first(select(ports).where(ports.c.id == port_id))
    await wake_networks(session, op, [port.network_id])
    await drop_port(session, op, port)


async def _gateway(session: Session, op: Op, row: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What changes in the router's row to have this way out; an empty one is none."""
    old = None
    if row.gateway_port_id is not None:
        old = await session.first(select(ports).where(ports.c.id == row.gateway_port_id))
    network_id = wanted.get("network_id")
    if network_id is None:
        if old is not None:
            await _no_floating(session, row)
        return {"gateway_port_id": None, "enable_snat": True}
    snat = {"enable_snat": wanted.get("enable_snat", row.enable_snat if old is not None else True)}
    fixed = wanted.get("external_fixed_ips")
    if old is not None and old.network_id == network_id and not _moves(fixed, await fixed_of(session, old.id)):
        return snat
    network = await session.first(select(networks).where(networks.c.id == network_id))
    if network is None:
        raise NotFound(f"Network {network_id} could not be found.", kind="NetworkNotFound")
    if not network.external:
        raise BadRequest(f"Bad router request: Network {network_id} is not an external network.")
    if old is not None and old.network_id != network_id:
        await _no_floating(session, row)
    there = await subnets_of(session, network_id)
    await _no_overlap(session, row.id, [s.cidr for s in there])
    asked = {"device_id": row.id, "device_owner": GATEWAY, "security_groups": []}
    if fixed:
        asked["fixed_ips"] = fixed
    made = await create_port(session, op, asked, project_id="", network=network, there=there)
    return {**snat, "gateway_port_id": made.row.id}


def _moves(wanted: Sequence[Mapping[str, str]] | None, has: Sequence[Any]) -> bool:
    """Whether the addresses asked for differ from those there are."""
    if wanted is None:
        return False
    there = [(p.subnet_id, p.ip_address) for p in has]
    return len(wanted) != len(there) or any(
        not any(one.get("subnet_id", s) == s and one.get("ip_address", a) == a for s, a in there) for one in wanted
    )


async def _no_floating(session: Session, row: Any) -> None:
    used = select(floating_ips.c.id).where(floating_ips.c.router_id == row.id).limit(1)
    if await session.first(used) is not None:
        raise Conflict(
            f"Gateway cannot be updated for router {row.id}, since a gateway to the external network is required by "
            "one or more floating IPs.",
            kind="RouterExternalGatewayInUseByFloatingIp",
        )


async def legs_of(session: Session, router_id: str) -> list[Any]:
    """The router's interfaces: port, network, subnet, CIDR and address, one row per address."""
    return await session.all(
        select(
            ports.c.id.label("port_id"),
            ports.c.network_id,
            ports.c.device_owner,
            fixed_ips.c.subnet_id,
            fixed_ips.c.ip_address,
            subnets.c.cidr,
            subnets.c.ip_version,
        )
        .join(fixed_ips, fixed_ips.c.port_id == ports.c.id)
        .join(subnets, subnets.c.id == fixed_ips.c.subnet_id)
        .where(ports.c.device_id == router_id, ports.c.device_owner.in_((INTERFACE, GATEWAY)))
        .order_by(ports.c.id, fixed_ips.c.position)
    )


async def _no_overlap(
    session: Session, router_id: str, cidrs: Sequence[str], *, subnet_ids: Sequence[str] = ()
) -> None:
    legs = await legs_of(session, router_id)
    for leg in legs:
        if leg.subnet_id in subnet_ids:
            raise BadRequest(f"Bad router request: Router already has a port on subnet {leg.subnet_id}.")
    for cidr in cidrs:
        other = overlapping(cidr, [leg.cidr for leg in legs if leg.device_owner == INTERFACE or subnet_ids])
        if other is not None:
            raise BadRequest(f"Bad router request: Cidr {cidr} overlaps with cidr {other} of a subnet of the router.")


async def _routes(session: Session, row: Any, given: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Static routes whose next hops the router can reach. Raises BadRequest."""
    routes = checked_routes(list(given))
    if not routes:
        return []
    legs = await legs_of(session, row.id)
    own = {leg.ip_address for leg in legs}
    for route in routes:
        hop = route["nexthop"]
        if hop in own:
            raise BadRequest(
                f"Invalid format for routes: the nexthop {hop} is used by the router.", kind="InvalidRoutes"
            )
        if not any(ip_address(hop) in ip_network(leg.cidr) for leg in legs):
            raise BadRequest(
                f"Invalid format for routes: the nexthop {hop} is not connected with the router.", kind="InvalidRoutes"
            )
    return routes


async def add_subnet(session: Session, op: Op, row: Any, subnet: Any, network: Any) -> str:
    """A leg with the subnet's gateway address; the id of its port."""
    if subnet.gateway_ip is None:
        raise BadRequest("Bad router request: Subnet for router interface must have a gateway IP.")
    await _no_overlap(session, row.id, [subnet.cidr], subnet_ids=[subnet.id])
    wanted = [{"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}]
    if subnet.ip_version == 6:
        for leg in await legs_of(session, row.id):
            if leg.network_id == subnet.network_id and leg.ip_version == 6 and leg.device_owner == INTERFACE:
                port = await session.first(select(ports).where(ports.c.id == leg.port_id))
                places = await places_for(session, network, [subnet], wanted, port._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
                await write_places(session, port.id, places, start=len(await fixed_of(session, port.id)))
                await _changed(session, op, row, {})
                return str(port.id)
    asked = {"device_id": row.id, "device_owner": INTERFACE, "fixed_ips": wanted, "security_groups": []}
    made = await create_port(session, op, asked, project_id=row.project_id, network=network)
    await _changed(session, op, row, {})
    return str(made.row.id)


async def add_port(session: Session, op: Op, row: Any, port: Any) -> list[str]:
    """The port becomes a leg of the router; its subnets."""
    if port.device_id or port.device_owner:
        raise Conflict(
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.",
            kind="PortInUse",
        )
    fixed = await fixed_of(session, port.id)
    there = {s.id: s for s in await subnets_of(session, port.network_id)}
    if not fixed:
        raise BadRequest("Bad router request: Router port must have at least one fixed IP.")
    if sum(there[p.subnet_id].ip_version == 4 for p in fixed) > 1:
        raise BadRequest("Bad router request: Cannot have multiple IPv4 subnets on router port.")
    subnet_ids = [p.subnet_id for p in fixed]
    await _no_overlap(session, row.id, [there[s].cidr for s in subnet_ids], subnet_ids=subnet_ids)
    values = {"device_id": row.id, "device_owner": INTERFACE, "port_security_enabled": False, "address_pairs": []}
    await session.run(delete(port_groups).where(port_groups.c.port_id == port.id))
    await change(session, op, ports, port, values)
    await _changed(session, op, row, {})
    return subnet_ids


async def remove_leg(
    session: Session, op: Op, row: Any, *, port_id: str | None, subnet_id: str | None
) -> tuple[Any, list[str]]:
    """Take a leg away, by its port, its subnet or both; the port as it was and the subnets it lost."""
    legs = [leg for leg in await legs_of(session, row.id) if leg.device_owner == INTERFACE]
    mine = [leg for leg in legs if port_id in {None, leg.port_id} and subnet_id in {None, leg.subnet_id}]
    if not mine:
        what, kind = (f"subnet {subnet_id}", "ForSubnet") if port_id is None else (f"interface {port_id}", "")
        raise NotFound(
            f"Router {row.id} does not have an interface on {what}."
            if port_id is None
            else f"Router {row.id} does not have an interface with id {port_id}.",
            kind=f"RouterInterfaceNotFound{kind}",
            internal=what,
        )
    await _leg_unused(session, row, mine)
    port = await session.first(select(ports).where(ports.c.id == mine[0].port_id))
    await settle(session, op, row)
    left = [leg for leg in legs if leg.port_id == port.id and leg not in mine]
    if left and port_id is None:
        gone = [leg.subnet_id for leg in mine]
        await session.run(delete(fixed_ips).where(fixed_ips.c.port_id == port.id, fixed_ips.c.subnet_id.in_(gone)))
    else:
        mine = [leg for leg in legs if leg.port_id == port.id]
        await drop_port(session, op, port)
    await change(session, op, routers, row, {})
    return port, [leg.subnet_id for leg in mine]


async def _leg_unused(session: Session, row: Any, legs: Sequence[Any]) -> None:
    """Raises Conflict while floating IPs or static routes go through the legs."""
    for leg in legs:
        for route in row.routes:
            if ip_address(route["nexthop"]) in ip_network(leg.cidr):
                raise Conflict(
                    f"Router interface for subnet {leg.subnet_id} on router {row.id} cannot be deleted, as it is "
                    "required by one or more routes.",
                    kind="RouterInterfaceInUseByRoute",
                )
    for fip in await session.all(select(floating_ips.c.fixed_ip_address).where(floating_ips.c.router_id == row.id)):
        for leg in legs:
            if ip_address(fip.fixed_ip_address) in ip_network(leg.cidr):
                raise Conflict(
                    f"Router interface for subnet {leg.subnet_id} on router {row.id} cannot be deleted, as it is "
                    "required by one or more floating IPs.",
                    kind="RouterInterfaceInUseByFloatingIP",
                )


async def delete_router(session: Session, op: Op, row: Any) -> None:
    """Take a router away. Raises Conflict while it has interfaces."""
    where = (ports.c.device_id == row.id, ports.c.device_owner == INTERFACE)
    if await session.first(select(ports.c.id).where(*where).limit(1)) is not None:
        raise InUse(f"Router {row.id} still has ports", kind="RouterInUse")
    await settle(session, op, row)
    await session.run(delete(routers).where(routers.c.id == row.id))
    if row.gateway_port_id is not None:
        await _drop_gateway(session, op, row.gateway_port_id)
