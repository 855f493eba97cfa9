"""Giving addresses to ports.

What is asked for is held against the network's subnets; what is not asked for is guessed: a few random addresses of
the pools in one statement, and only when all of them are taken is the subnet read. The primary key of `fixed_ip` has
the last word: who loses a race comes back and guesses again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

from sqlalchemy import bindparam, insert, select

from maldon.kernel.errors import BadRequest, Conflict, Duplicate, Stale
from maldon.kernel.op import Session
from maldon.network.models.port import fixed_ips
from maldon.network.models.subnet import subnets
from maldon.network.plan.addresses import guesses, lowest_free, slaac, usable
from maldon.network.schemas.body import address as checked_address

GUESSES = 8
RANDOM = Random()
_SUBNETS = (
    select(subnets).where(subnets.c.network_id == bindparam("network")).order_by(subnets.c.created_at, subnets.c.id)
)
_USED = select(fixed_ips.c.ip_address).where(fixed_ips.c.subnet_id == bindparam("subnet"))
_TAKEN = _USED.where(fixed_ips.c.ip_address.in_(bindparam("tries", expanding=True)))
_GIVE = insert(fixed_ips)
AUTOMATIC = frozenset({"slaac", "dhcpv6-stateless"})


@dataclass(frozen=True, slots=True)
class Place:
    """One address of a port. `chosen` says that somebody named it."""

    subnet_id: str
    ip_address: str
    chosen: bool = False


def gives_itself(subnet: Any) -> bool:
    """Whether a subnet's addresses are made of the MAC (SLAAC), not given."""
    return subnet.ipv6_address_mode in AUTOMATIC


async def subnets_of(session: Session, network_id: str) -> list[Any]:
    """The network's subnets, the oldest first."""
    return await session.all(_SUBNETS, {"network": network_id})


async def places_for(
    session: Session, network: Any, there: Sequence[Any], wanted: Sequence[Mapping[str, str]] | None, port: Any
) -> list[Place]:
    """The addresses of a port: those wanted, or one of each IP version. Raises BadRequest, Conflict."""
    if wanted is None:
        return await _usual(session, network, there, port["mac_address"])
    is_leg = port["device_owner"].startswith("network:router")
    places = [await _wanted(session, network, there, one, port["mac_address"], is_leg=is_leg) for one in wanted]
    if len({(p.subnet_id, p.ip_address) for p in places}) < len(places):
        raise BadRequest("The same fixed IP is given twice.", kind="InvalidInput")
    return places


async def _usual(session: Session, network: Any, there: Sequence[Any], mac: str) -> list[Place]:
    places = []
    for version in (4, 6):
        given = [s for s in there if s.ip_version == version and not gives_itself(s)]
        if given:
            places.append(await free_place(session, network.id, given))
    places += [Place(s.id, slaac(s.cidr, mac)) for s in there if gives_itself(s)]
    return places


async def _wanted(
    session: Session, network: Any, there: Sequence[Any], one: Mapping[str, str], mac: str, *, is_leg: bool
) -> Place:
    subnet = _subnet(network, there, one)
    if "ip_address" not in one:
        if gives_itself(subnet) and not is_leg:
            return Place(subnet.id, slaac(subnet.cidr, mac))
        return await free_place(session, network.id, [subnet])
    text = checked_address(one["ip_address"])
    if gives_itself(subnet) and not is_leg and text != slaac(subnet.cidr, mac):
        raise BadRequest(
            f"IPv6 address {text} can not be directly assigned to a port on subnet {subnet.id} as the subnet is "
            "configured for automatic addresses.",
            kind="AllocationOnAutoAddressSubnet",
        )
    first, last = usable(subnet.cidr)
    if not first <= int(ip_address(text)) <= last:
        raise BadRequest(f"IP address {text} is not a valid IP for the specified subnet.", kind="InvalidIpForSubnet")
    taken = await session.first(
        select(fixed_ips.c.port_id).where(fixed_ips.c.subnet_id == subnet.id, fixed_ips.c.ip_address == text)
    )
    if taken is not None:
        raise Conflict(
            f"IP address {text} already allocated in subnet {subnet.id}: there is an object with that IP address "
            "already.",
            kind="IpAddressAlreadyAllocated",
        )
    return Place(subnet.id, text, chosen=True)


def _subnet(network: Any, there: Sequence[Any], one: Mapping[str, str]) -> Any:
    """The subnet that a wish names or that holds its address."""
    if "subnet_id" in one:
        for subnet in there:
            if subnet.id == one["subnet_id"]:
                if "ip_address" in one and not _holds(subnet, one["ip_address"]):
                    raise BadRequest(
                        f"IP address {one['ip_address']} is not a valid IP for the specified subnet.",
                        kind="InvalidIpForSubnet",
                    )
                return subnet
        raise BadRequest(
            f"Invalid input for operation: Failed to create port on network {network.id}, because fixed_ips included "
            f"invalid subnet {one['subnet_id']}.",
            kind="InvalidInput",
        )
    if "ip_address" not in one:
        raise BadRequest("IP allocation requires subnet_id or ip_address.", kind="InvalidInput")
    for subnet in there:
        if _holds(subnet, one["ip_address"]):
            return subnet
    raise BadRequest(
        f"IP address {one['ip_address']} is not a valid IP for any of the subnets on the specified network.",
        kind="InvalidIpForNetwork",
    )


def _holds(subnet: Any, text: str) -> bool:
    return ip_address(checked_address(text)) in ip_network(subnet.cidr)


async def free_place(session: Session, network_id: str, candidates: Sequence[Any]) -> Place:
    """A free address of the first subnet that has one. Raises Conflict when all are full."""
    for subnet in candidates:
        tries = guesses(subnet.pools, subnet.ip_version, RANDOM, GUESSES)
        known = await session.all(_TAKEN, {"subnet": subnet.id, "tries": tries})
        taken = {row.ip_address for row in known}
        for guess in tries:
            if guess not in taken:
                return Place(subnet.id, guess)
        used = {row.ip_address for row in await session.all(_USED, {"subnet": subnet.id})}
        for free in lowest_free(subnet.pools, subnet.ip_version, used):
            return Place(subnet.id, free)
    raise Conflict(f"No more IP addresses available on network {network_id}.", kind="IpAddressGenerationFailure")


async def write_places(session: Session, port_id: str, places: Iterable[Place], start: int = 0) -> None:
    """Give the addresses to the port. Raises Stale when somebody was quicker."""
    rows = [
        {"subnet_id": p.subnet_id, "ip_address": p.ip_address, "port_id": port_id, "position": start + n}
        for n, p in enumerate(places)
    ]
    if not rows:
        return
    try:
        await session.run(_GIVE, rows)
    except Duplicate as error:
        raise Stale("An address was taken while we looked; please try again.", internal=error.internal) from error
