"""The ports of servers: what is wanted is checked for the asker, then made so that a repeat finds the same ports.

A plan is a value that survives JSON. A port's id follows from the server and a key (its place among the server's
ports, or whatever names a later attachment), so a saga's step may run again.
"""

import uuid
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from msgspec import Struct
from sqlalchemy import bindparam, or_, select

from maldon.kernel.errors import BadRequest, Conflict, Forbidden, NotFound
from maldon.kernel.op import Op, Session
from maldon.network.collection import find
from maldon.network.models.network import networks
from maldon.network.models.port import fixed_ips, ports
from maldon.network.models.subnet import subnets
from maldon.network.schemas.body import address
from maldon.network.verbs.address import subnets_of
from maldon.network.verbs.port import create_port, drop_port, fixed_of, groups_of, update_port
from maldon.network.verbs.quota import check_quota
from maldon.network.views.network import NETWORKS
from maldon.network.views.port import PORTS

_NETWORK = select(networks).where(networks.c.id == bindparam("network"))
_PORT = select(ports).where(ports.c.id == bindparam("port"))
_SPACE = uuid.UUID("c0d0a3f2-8f5e-4b0c-9f31-5a51f2a7d1b4")


class NicWanted(Struct, frozen=True):
    """What somebody asks for: a network (perhaps with an address), or a port that is there."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class NicPlan(Struct, frozen=True):
    """A wish that was found to be possible."""

    network_id: str
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class PortMade(Struct, frozen=True):
    """A port of a server, as a guest's description needs it."""

    id: str
    mac: str
    mtu: int
    addresses: tuple[str, ...]
    tag: str | None = None


class Home(Struct, frozen=True):
    """The server that ports are made for, and where it is."""

    server_id: str
    project_id: str
    hostname: str
    host: str
    zone: str = "nova"


async def check_nics(session: Session, op: Op, wanted: Sequence[NicWanted]) -> list[NicPlan]:
    """Plans for what the asker wants. Raises BadRequest, Forbidden, NotFound, Conflict."""
    named = [nic.port_id for nic in wanted if nic.port_id]
    if len(set(named)) < len(named):
        raise BadRequest("A port may be given once only.")
    plans = [await _checked(session, op, nic) for nic in wanted]
    new = sum(plan.port_id is None for plan in plans)
    if new and op.actor.project_id:
        await check_quota(session, op, op.actor.project_id, "port", new)
    return plans


async def _checked(session: Session, op: Op, nic: NicWanted) -> NicPlan:
    if nic.port_id is not None:
        port = await find(session, op, PORTS, nic.port_id)
        op.may("update_port", {"project_id": port.project_id})
        if port.device_id:
            raise Conflict(f"Port {port.id} is still in use.", kind="PortInUse")
        if nic.fixed_ip:
            raise BadRequest("A fixed IP cannot be given together with a port.")
        return NicPlan(port.network_id, port.id, None, nic.tag)
    if nic.network_id is None:
        raise BadRequest("A network needs its id or a port.")
    network = await find(session, op, NETWORKS, nic.network_id)
    _check_may_live(op, network)
    there = await subnets_of(session, network.id)
    if not there:
        raise BadRequest(f"Network {network.id} requires a subnet in order to boot instances on.")
    fixed = address(nic.fixed_ip) if nic.fixed_ip else None
    if fixed:
        await _check_free(session, network.id, there, fixed)
    return NicPlan(network.id, None, fixed, nic.tag)


def _check_may_live(op: Op, network: Any) -> None:
    """Raises Forbidden for an external network that is not shared, but to those who run it."""
    if network.external and not network.shared and not op.can("create_port", {"project_id": network.project_id}):
        raise Forbidden(f"It is not allowed to create an interface on external network {network.id}.")


async def _check_free(session: Session, network_id: str, there: Sequence[Any], fixed: str) -> None:
    subnet = next((s for s in there if ip_address(fixed) in ip_network(s.cidr)), None)
    if subnet is None:
        raise BadRequest(f"Fixed IP {fixed} is not a valid IP address for network {network_id}.")
    taken = (fixed_ips.c.subnet_id == subnet.id, fixed_ips.c.ip_address == fixed)
    if await session.first(select(fixed_ips.c.port_id).where(*taken)) is not None:
        raise Conflict(f"Fixed IP address {fixed} is already in use.", kind="IpAddressAlreadyAllocated")


async def auto_nics(session: Session, op: Op) -> list[NicPlan]:
    """The one network a server of the asker can only mean. Raises BadRequest for none, Conflict for several."""
    with_subnets = select(subnets.c.network_id)
    usable = await session.all(
        select(networks.c.id)
        .where(
            or_(networks.c.project_id == op.actor.project_id, networks.c.shared.is_(True)),
            networks.c.external.is_(False),
            networks.c.id.in_(with_subnets),
        )
        .order_by(networks.c.id)
        .limit(2)
    )
    if not usable:
        raise BadRequest(
            "Unable to automatically allocate a network: the project has none with a subnet. "
            "Make one, or ask for 'none'."
        )
    if len(usable) > 1:
        raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
    plan = NicPlan(usable[0].id)
    await check_quota(session, op, op.actor.project_id or "", "port")
    return [plan]


async def make_ports(
    session: Session, op: Op, *, home: Home, plans: Sequence[NicPlan], groups: Sequence[str]
) -> list[PortMade]:
    """The server's ports, bound to its host: made, adopted, or found as an earlier run made them."""
    return [
        await attach_port(session, op, home=home, plan=plan, groups=groups, key=str(n), position=n)
        for n, plan in enumerate(plans)
    ]


async def attach_port(  # noqa: PLR0913 - a port of a server, by its key, at its place
    session: Session,
    op: Op,
    *,
    home: Home,
    plan: NicPlan,
    groups: Sequence[str],
    key: str,
    position: int = 1000,
) -> PortMade:
    """One port for the server; the same key finds the same port. Raises NotFound, Conflict."""
    network = await session.first(_NETWORK, {"network": plan.network_id})
    if network is None:
        raise NotFound(f"Network {plan.network_id} could not be found.", kind="NetworkNotFound")
    port_id = plan.port_id or str(uuid.uuid5(_SPACE, f"{home.server_id}/{key}"))
    row = await session.first(_PORT, {"port": port_id})
    given = {
        "device_id": home.server_id,
        "device_owner": f"compute:{home.zone}",
        "binding:host_id": home.host,
        "hostname": home.hostname,
        "position": position,
    }
    if row is not None and row.device_id == home.server_id and row.host == home.host:
        return _made(row, [p.ip_address for p in await fixed_of(session, row.id)], network, plan.tag)
    if row is not None:
        if row.device_id not in {"", home.server_id}:
            raise Conflict(f"Port {row.id} is still in use.", kind="PortInUse")
        made = await update_port(session, op, row, given, network)
    elif plan.port_id is not None:
        raise NotFound(f"Port {plan.port_id} could not be found.", kind="PortNotFound")
    else:
        given |= {"with_server": True, "security_groups": list(groups) if network.port_security_enabled else []}
        if plan.fixed_ip:
            given["fixed_ips"] = [{"ip_address": plan.fixed_ip}]
        made = await create_port(session, op, given, project_id=home.project_id, network=network, item_id=port_id)
    return _made(made.row, [p.ip_address for p in made.fixed], network, plan.tag)


def _made(row: Any, addresses: Sequence[str], network: Any, tag: str | None) -> PortMade:
    return PortMade(row.id, row.mac_address, network.mtu, tuple(addresses), tag)


async def unbind_or_drop_ports(session: Session, op: Op, server_id: str) -> None:
    """The ports made for the server go, the others are free again. May be repeated."""
    for row in await session.all(
        select(ports).where(ports.c.device_id == server_id, ports.c.host != "").order_by(ports.c.id)
    ):
        await _let_go(session, op, row)


async def detach_port(session: Session, op: Op, server_id: str, port_id: str) -> bool:
    """Take one port off the server; False when it has no such port."""
    row = await session.first(
        select(ports).where(ports.c.id == port_id, ports.c.device_id == server_id, ports.c.host != "")
    )
    if row is None:
        return False
    await _let_go(session, op, row)
    return True


async def _let_go(session: Session, op: Op, row: Any) -> None:
    if row.with_server:
        await drop_port(session, op, row)
        return
    network = await session.first(select(networks).where(networks.c.id == row.network_id))
    free: Mapping[str, Any] = {"device_id": "", "device_owner": "", "binding:host_id": "", "hostname": ""}
    await update_port(session, op, row, free, network)


async def set_groups(session: Session, op: Op, server_id: str, group_ids: Sequence[str]) -> None:
    """The server's ports have exactly these groups from now on (those that filter at all)."""
    for row in await session.all(
        select(ports).where(ports.c.device_id == server_id, ports.c.host != "").order_by(ports.c.id)
    ):
        if row.port_security_enabled and set(await groups_of(session, row.id)) != set(group_ids):
            network = await session.first(select(networks).where(networks.c.id == row.network_id))
            await update_port(session, op, row, {"security_groups": list(group_ids)}, network)
