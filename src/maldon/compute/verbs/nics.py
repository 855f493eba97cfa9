"""What servers want of networks: the one place that knocks at the network's door.

Refusals are said in the compute API's words: what a request names and does not find is the request's fault, 400.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.ids import new_id
from maldon.kernel.op import Op, Session
from maldon.network import service as network


class Nic(Struct, frozen=True):
    """A network card that a server got."""

    port_id: str
    mac: str
    mtu: int
    tag: str | None = None


class Net(Struct, frozen=True):
    """A server's network side as views show it: addresses by network name, security groups by name."""

    addresses: Mapping[str, Sequence[Mapping[str, Any]]]
    groups: Sequence[str]


@dataclass(frozen=True, slots=True)
class Interface:
    """A server's port."""

    port_id: str
    network_id: str
    mac: str
    status: str
    fixed_ips: list[dict[str, str]]


async def check_nics(session: Session, op: Op, networks: Any, count: int) -> list[dict[str, Any]]:
    """What `count` servers get, as plain values, for what a request says. Raises BadRequest, Forbidden, Conflict."""
    if networks == "none":
        return []
    if networks == "auto":
        plans = await network.auto_nics(session, op)
    elif networks is UNSET or not networks:
        try:
            plans = await network.auto_nics(session, op)
        except BadRequest:  # a project without a network gets a server without one
            plans = []
    else:
        if count > 1 and any(nic.port or nic.fixed_ip is not UNSET for nic in networks):
            raise BadRequest("A port or a fixed IP cannot be given to several servers.")
        plans = await _plans(session, op, [_wanted(nic) for nic in networks])
    return [msgspec.to_builtins(plan) for plan in plans]


def _wanted(nic: Any) -> network.NicWanted:
    return network.NicWanted(
        network_id=None if nic.uuid is UNSET or nic.port else nic.uuid,
        port_id=None if nic.port is UNSET else nic.port,
        fixed_ip=None if nic.fixed_ip is UNSET else nic.fixed_ip,
        tag=None if nic.tag is UNSET else nic.tag,
    )


async def _plans(session: Session, op: Op, wanted: Sequence[network.NicWanted]) -> list[network.NicPlan]:
    try:
        return await network.check_nics(session, op, wanted)
    except NotFound as error:
        raise BadRequest(error.public) from error


async def groups_named(session: Session, op: Op, names: Sequence[str]) -> list[str]:
    """The ids of the asker's security groups of these names; the default one for none. Raises BadRequest."""
    try:
        return await network.groups_for(session, op, names)
    except NotFound as error:
        raise BadRequest(error.public) from error


async def make_nics(
    session: Session, op: Op, home: network.Home, nics: Sequence[Any], groups: Sequence[str]
) -> list[Nic]:
    """The server's ports on its host; made again they are the same."""
    plans = [msgspec.convert(nic, network.NicPlan) for nic in nics]
    return [_nic(made) for made in await network.make_ports(session, op, home=home, plans=plans, groups=groups)]


def _nic(made: network.PortMade) -> Nic:
    return Nic(made.id, made.mac, made.mtu, made.tag)


async def drop_nics(session: Session, op: Op, server_id: str) -> None:
    """Ports made for the server go, its user's own are free again. Done twice, it is done."""
    await network.unbind_or_drop_ports(session, op, server_id)


async def attach_nic(session: Session, op: Op, server: Any, asked: Mapping[str, str]) -> Nic:
    """One more port for a server: the one asked for, or one on the network asked for or meant."""
    if asked:
        [plan] = await _plans(session, op, [network.NicWanted(**asked)])
    else:
        [plan] = await network.auto_nics(session, op)
    groups = await network.groups_for(session, op, []) if plan.port_id is None else []
    made = await network.attach_port(session, op, home=home_of(server), plan=plan, groups=groups, key=new_id())
    return _nic(made)


def home_of(server: Any) -> network.Home:
    """A server that is placed, as the network knows it."""
    return network.Home(server.id, server.project_id, server.hostname, server.host, server.availability_zone or "nova")


async def detach_nic(session: Session, op: Op, server_id: str, port_id: str) -> None:
    """Take one port off a server."""
    await network.detach_port(session, op, server_id, port_id)


async def nets_of(session: Session, ids: Iterable[str]) -> dict[str, Net]:
    """The network sides of these servers, in one statement."""
    return {server_id: net_of(rows) for server_id, rows in (await places_of(session, ids)).items()}


async def places_of(session: Session, ids: Iterable[str]) -> dict[str, list[Any]]:
    """What `net_of` makes the network side of each of these servers of, when its turn comes."""
    return await network.server_places(session, [*ids])


def net_of(places: Iterable[Any]) -> Net:
    """The network side of a server whose ports the network shows in these rows."""
    addresses: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    groups: dict[str, None] = {}
    for row in places:
        here = addresses.setdefault(row.network_name, {})
        if row.group_name is not None:
            groups[row.group_name] = None
        fixed, floating = row.ip_address, row.floating_ip_address
        if fixed is not None:
            here[row.id, fixed] = _address(6 if ":" in fixed else 4, fixed, "fixed", row.mac_address)
        if floating is not None:
            here[row.id, floating] = _address(4, floating, "floating", row.mac_address)
    return Net({label: [*found.values()] for label, found in addresses.items()}, [*groups])


def _address(version: int, text: str, kind: str, mac: str) -> dict[str, Any]:
    return {"version": version, "addr": text, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac}


async def interfaces_of(session: Session, server_id: str) -> list[Interface]:
    """A server's ports."""
    seen = (await network.server_nets(session, [server_id])).get(server_id, [])
    return [
        Interface(
            port.id,
            port.network_id,
            port.mac,
            port.status,
            [{"ip_address": fixed.address, "subnet_id": fixed.subnet_id} for fixed in port.fixed],
        )
        for port in seen
    ]


async def groups_of(session: Session, server_id: str) -> dict[str, str]:
    """A server's security groups, name by id."""
    seen = (await network.server_nets(session, [server_id])).get(server_id, [])
    return {group_id: name for port in seen for group_id, name in port.groups}


async def security_groups_of(session: Session, server_id: str) -> list[network.GroupSeen]:
    """A server's security groups with their rules."""
    return await network.server_groups(session, server_id)


async def add_group(session: Session, op: Op, server: Any, name: str) -> None:
    """Have one more security group on all ports of the server. Raises NotFound."""
    [group] = await network.groups_for(session, op, [name])
    has = await groups_of(session, server.id)
    if group not in has:
        await network.set_groups(session, op, server.id, [*has, group])


async def remove_group(session: Session, op: Op, server: Any, name: str) -> None:
    """Take a security group off all ports of the server. Raises NotFound when none has it."""
    has = await groups_of(session, server.id)
    gone = {group_id for group_id, its_name in has.items() if name in {group_id, its_name}}
    if not gone:
        raise NotFound(f"Security group {name} not associated with the instance {server.id}")
    await network.set_groups(session, op, server.id, [group_id for group_id in has if group_id not in gone])
