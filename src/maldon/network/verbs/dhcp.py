"""The DHCP ports: one for each network on each host that has a guest on it.

A DHCP port is made in the transaction that binds the first guest's port, and goes with the last one, so that whoever
computes a host's wiring only reads. Its id follows from network and host: a repeat finds it again.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, not_, select

from maldon.kernel.errors import Conflict, Duplicate, Stale
from maldon.kernel.op import Op, Session
from maldon.network.models.port import fixed_ips, ports
from maldon.network.plan.addresses import new_mac, slaac
from maldon.network.verbs.address import RANDOM, Place, free_place, gives_itself, write_places
from maldon.network.verbs.carriers import wake_networks
from maldon.network.verbs.record import Record, born
from maldon.network.verbs.wake import wake_peers

DHCP_OWNER = "network:dhcp"
_MAKE = insert(ports)
_SERVED = (
    select(ports.c.id, ports.c.mac_address, fixed_ips.c.subnet_id)
    .outerjoin(fixed_ips, fixed_ips.c.port_id == ports.c.id)
    .where(ports.c.id == bindparam("port"))
)
_SPACE = uuid.UUID("6f1d3b5e-8a1c-4a53-9d1b-2f9f4f0f6a11")


def dhcp_port_id(network_id: str, host: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{network_id}/{host}"))


async def ensure_dhcp(session: Session, op: Op, network: Any, host: str, there: Sequence[Any]) -> None:
    """The network's DHCP port on this host, with an address in every subnet that wants DHCP, and in no other."""
    served = [s for s in there if s.enable_dhcp and (s.ip_version == 4 or s.ipv6_address_mode)]
    port_id = dhcp_port_id(network.id, host)
    known = await session.all(_SERVED, {"port": port_id})
    has = [one.subnet_id for one in known if one.subnet_id is not None]
    row = known[0] if known else None
    if row is None:
        row = await _new(session, op, network, host, port_id)
        wake_peers(session, op, network.id)
    gone = set(has) - {s.id for s in served}
    if gone:
        await session.run(delete(fixed_ips).where(fixed_ips.c.port_id == port_id, fixed_ips.c.subnet_id.in_(gone)))
    places = []
    for subnet in served:
        if subnet.id in has:
            continue
        if gives_itself(subnet):
            places.append(Place(subnet.id, slaac(subnet.cidr, row.mac_address)))
            continue
        try:
            places.append(await free_place(session, network.id, [subnet]))
        except Conflict:
            continue  # a full subnet has no room for a server; its guests configure themselves
    await write_places(session, port_id, places, start=len(has))


async def _new(session: Session, op: Op, network: Any, host: str, port_id: str) -> Any:
    row = Record(
        {
            **born(op, {}, network.project_id, port_id),
            "network_id": network.id,
            "mac_address": new_mac(RANDOM),
            "admin_state_up": True,
            "status": "DOWN",
            "device_id": f"dhcp-{host}-{network.id}"[:255],
            "device_owner": DHCP_OWNER,
            "host": host,
            "vnic_type": "normal",
            "profile": {},
            "port_security_enabled": False,
            "address_pairs": [],
            "dhcp_opts": [],
            "with_server": False,
            "position": 0,
            "hostname": "",
        }
    )
    try:
        await session.run(_MAKE, row)
    except Duplicate as error:
        raise Stale("The DHCP port is being made; please try again.") from error
    return row


async def refresh_dhcp(session: Session, op: Op, network: Any, there: Sequence[Any]) -> None:
    """After a change of subnets: every host's DHCP port has the addresses it should."""
    hosts = await session.all(
        select(ports.c.host)
        .where(ports.c.network_id == network.id, ports.c.host != "", not_(ports.c.device_owner.startswith("network:")))
        .distinct()
    )
    for row in hosts:
        await ensure_dhcp(session, op, network, row.host, there)
    await wake_networks(session, op, [network.id])


async def drop_idle_dhcp(session: Session, op: Op, network_id: str, host: str) -> None:
    """Take the DHCP port away when no guest of the host is left on the network."""
    left = await session.first(
        select(ports.c.id)
        .where(
            ports.c.network_id == network_id,
            ports.c.host == host,
            not_(ports.c.device_owner.startswith("network:")),
        )
        .limit(1)
    )
    if left is not None:
        return
    wake_peers(session, op, network_id)
    port_id = dhcp_port_id(network_id, host)
    await session.run(delete(fixed_ips).where(fixed_ips.c.port_id == port_id))
    await session.run(delete(ports).where(ports.c.id == port_id))
