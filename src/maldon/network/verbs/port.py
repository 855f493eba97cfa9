"""Ports within a transaction: made, changed, bound to a host, taken away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from maldon.kernel.errors import BadRequest, Conflict, Duplicate, InUse, Stale
from maldon.kernel.op import Op, Session
from maldon.network.models.port import fixed_ips, port_groups, ports
from maldon.network.models.router import floating_ips
from maldon.network.plan.addresses import new_mac
from maldon.network.plan.dhcp_options import options_of
from maldon.network.schemas.body import address, cidr
from maldon.network.verbs.address import RANDOM, Place, places_for, subnets_of, write_places
from maldon.network.verbs.dhcp import drop_idle_dhcp, ensure_dhcp
from maldon.network.verbs.record import Record, born, change
from maldon.network.verbs.security_group import check_groups, default_group
from maldon.network.verbs.wake import wake_hosts, wake_members

_MAKE, _JOIN = insert(ports), insert(port_groups)
_FIXED = select(fixed_ips).where(fixed_ips.c.port_id == bindparam("port")).order_by(fixed_ips.c.position)
_GROUPS = select(port_groups.c.group_id).where(port_groups.c.port_id == bindparam("port"))
_PLAIN = ("name", "admin_state_up", "port_security_enabled", "position", "hostname")
SERVICE_OWNERS = ("network:router_interface", "network:router_gateway", "network:floatingip")


@dataclass(frozen=True, slots=True)
class Made:
    """A port as it was written."""

    row: Any
    fixed: Sequence[Place]
    groups: Sequence[str]


async def create_port(  # noqa: PLR0913 - a port is of a network, for a project, perhaps with an id
    session: Session,
    op: Op,
    given: Mapping[str, Any],
    *,
    project_id: str,
    network: Any,
    item_id: str | None = None,
    there: Sequence[Any] | None = None,
) -> Made:
    """A new port with its addresses and groups; bound when `binding:host_id` is given.

    `there` are the network's subnets where the caller knows them. Raises BadRequest, NotFound, Conflict.
    """
    there = await subnets_of(session, network.id) if there is None else there
    row = Record({**born(op, given, project_id, item_id), **_columns(given, network)})
    if "mac_address" in given:
        await _check_mac(session, network.id, row.mac_address)
    places = await places_for(session, network, there, given.get("fixed_ips"), row)
    groups = await _groups(session, op, given, row)
    try:
        await session.run(_MAKE, row)
    except Duplicate as error:
        raise Stale("The port or its MAC address was just made; please try again.") from error
    await write_places(session, row.id, places)
    if groups:
        await session.run(_JOIN, [{"port_id": row.id, "group_id": g} for g in groups])
    if row.host:
        await _bound(session, op, row, network, there, groups)
    return Made(row, places, groups)


def _columns(given: Mapping[str, Any], network: Any) -> dict[str, Any]:
    owner = given.get("device_owner") or ""
    mac = given["mac_address"].lower() if "mac_address" in given else new_mac(RANDOM)
    secured = given.get("port_security_enabled", network.port_security_enabled)
    return {
        "network_id": network.id,
        "mac_address": mac,
        "admin_state_up": given.get("admin_state_up", True),
        "status": "DOWN",
        "device_id": given.get("device_id") or "",
        "device_owner": owner,
        "host": given.get("binding:host_id") or "",
        "vnic_type": _vnic(given.get("binding:vnic_type", "normal")),
        "profile": given.get("binding:profile") or {},
        "port_security_enabled": secured and not owner.startswith("network:"),
        "address_pairs": pairs_of(given.get("allowed_address_pairs") or [], mac, secured=secured),
        "dhcp_opts": options_of(given.get("extra_dhcp_opts") or []),
        "with_server": given.get("with_server", False),
        "position": given.get("position", 0),
        "hostname": given.get("hostname", ""),
    }


def _vnic(kind: str) -> str:
    if kind != "normal":
        raise BadRequest(f"binding:vnic_type {kind!r} is not offered by this cloud; there is 'normal'.")
    return kind


async def _check_mac(session: Session, network_id: str, mac: str) -> None:
    if mac[1] in "13579bdf" or mac == "00:00:00:00:00:00":
        raise BadRequest(f"'{mac}' is no MAC address a port can have.", kind="InvalidInput")
    where = (ports.c.network_id == network_id, ports.c.mac_address == mac)
    if await session.first(select(ports.c.id).where(*where)) is not None:
        raise Conflict(
            f"Unable to complete operation for network {network_id}. The mac address {mac} is in use.",
            kind="MacAddressInUse",
        )


def pairs_of(given: Sequence[Mapping[str, Any]], mac: str, *, secured: bool) -> list[dict[str, str]]:
    """Allowed address pairs in their one form. Raises BadRequest, Conflict."""
    pairs = []
    for one in given:
        text = one["ip_address"]
        pair = {
            "mac_address": (one.get("mac_address") or mac).lower(),
            "ip_address": cidr(text) if "/" in text else address(text),
        }
        if pair in pairs:
            raise BadRequest(f"Request contains duplicate address pair: {pair}.", kind="DuplicateAddressPairInRequest")
        pairs.append(pair)
    if pairs and not secured:
        raise Conflict(
            "Port Security must be enabled in order to have allowed address pairs on a port.",
            kind="AddressPairAndPortSecurityRequired",
        )
    return pairs


async def _groups(session: Session, op: Op, given: Mapping[str, Any], row: Record) -> list[str]:
    """The port's groups: those given, else the project's default one where the port is secured."""
    wanted = given.get("security_groups")
    if wanted and not row.port_security_enabled:
        raise Conflict(
            "Port security must be enabled and port must have an IP address in order to use security groups.",
            kind="PortSecurityAndIPRequiredForSecurityGroups",
        )
    if wanted is not None:
        await check_groups(session, op, wanted, row.project_id)
        return list(dict.fromkeys(wanted))
    if not row.port_security_enabled or not row.project_id:
        return []
    return [await default_group(session, op, row.project_id)]


async def _bound(session: Session, op: Op, row: Any, network: Any, there: Sequence[Any], groups: Sequence[str]) -> None:
    wake_hosts(session, op, [row.host])
    if not row.device_owner.startswith("network:"):
        await ensure_dhcp(session, op, network, row.host, there)
    wake_members(session, op, groups)


async def fixed_of(session: Session, port_id: str) -> list[Place]:
    """The port's addresses in order."""
    rows = await session.all(_FIXED, {"port": port_id})
    return [Place(row.subnet_id, row.ip_address) for row in rows]


async def groups_of(session: Session, port_id: str) -> list[str]:
    return [row.group_id for row in await session.all(_GROUPS, {"port": port_id})]


async def update_port(session: Session, op: Op, row: Any, given: Mapping[str, Any], network: Any) -> Made:
    """Change a port. Raises BadRequest, NotFound, Conflict."""
    values = {k: given[k] for k in _PLAIN if k in given}
    for name in ("description", "device_id", "device_owner"):
        if name in given:
            values[name] = given[name] or ""
    if "mac_address" in given and (mac := given["mac_address"].lower()) != row.mac_address:
        await _check_mac(session, row.network_id, mac)
        values["mac_address"] = mac
    if "binding:host_id" in given:
        values["host"] = given["binding:host_id"] or ""
    if "binding:profile" in given:
        values["profile"] = given["binding:profile"] or {}
    if "binding:vnic_type" in given:
        values["vnic_type"] = _vnic(given["binding:vnic_type"])
    if "extra_dhcp_opts" in given:
        values["dhcp_opts"] = options_of([*row.dhcp_opts, *(given["extra_dhcp_opts"] or [])])
    secured = values.get("port_security_enabled", row.port_security_enabled)
    pairs = given["allowed_address_pairs"] or [] if "allowed_address_pairs" in given else row.address_pairs
    values["address_pairs"] = pairs_of(pairs, values.get("mac_address", row.mac_address), secured=secured)
    if values.get("host", row.host) != row.host:
        values["status"] = "DOWN"
    after = await change(session, op, ports, row, values)
    fixed = await _new_fixed(session, op, after, given, network)
    groups = await _new_groups(session, op, after, given)
    await _rewire(session, op, row, after, network)
    return Made(after, fixed, groups)


async def _new_groups(session: Session, op: Op, row: Record, given: Mapping[str, Any]) -> list[str]:
    before = await groups_of(session, row.id)
    wanted = list(dict.fromkeys(given["security_groups"] or [])) if "security_groups" in given else before
    if wanted and not row.port_security_enabled:
        raise Conflict(
            "Port has security group associated. Cannot disable port security until it is removed.",
            kind="PortSecurityPortHasSecurityGroup",
        )
    if set(wanted) != set(before):
        await check_groups(session, op, set(wanted) - set(before), row.project_id)
        await session.run(delete(port_groups).where(port_groups.c.port_id == row.id))
        if wanted:
            await session.run(_JOIN, [{"port_id": row.id, "group_id": g} for g in wanted])
    if row.host:
        wake_members(session, op, {*before, *wanted})
    return wanted


async def _new_fixed(session: Session, op: Op, row: Record, given: Mapping[str, Any], network: Any) -> list[Place]:
    before = await fixed_of(session, row.id)
    if given.get("fixed_ips") is None:
        return before
    kept, wanted = [], []
    for one in given["fixed_ips"]:
        same = [p for p in before if p not in kept and _fits(p, one)]
        if same:
            kept.append(same[0])
        else:
            wanted.append(one)
    fresh = await places_for(session, network, await subnets_of(session, network.id), wanted, row)
    gone = [p for p in before if p not in kept]
    for place in gone:
        where = (fixed_ips.c.subnet_id == place.subnet_id, fixed_ips.c.ip_address == place.ip_address)
        await session.run(delete(fixed_ips).where(*where))
        await release_floating(session, op, row.id, place.ip_address)
    await write_places(session, row.id, fresh, start=len(before))
    return [*kept, *fresh]


def _fits(place: Place, one: Mapping[str, str]) -> bool:
    same_subnet = one.get("subnet_id", place.subnet_id) == place.subnet_id
    return same_subnet and ("ip_address" not in one or address(one["ip_address"]) == place.ip_address)


async def _rewire(session: Session, op: Op, before: Any, after: Any, network: Any) -> None:
    """What a change means for the hosts."""
    wake_hosts(session, op, [before.host, after.host])
    if before.host != after.host:
        if before.host:
            await drop_idle_dhcp(session, op, network.id, before.host)
        if after.host and not after.device_owner.startswith("network:"):
            await ensure_dhcp(session, op, network, after.host, await subnets_of(session, network.id))


async def release_floating(session: Session, op: Op, port_id: str, fixed: str | None = None) -> None:
    """Floating IPs of the port (or of one of its addresses) point nowhere from now on."""
    where = [floating_ips.c.port_id == port_id]
    if fixed is not None:
        where.append(floating_ips.c.fixed_ip_address == fixed)
    await session.run(
        update(floating_ips)
        .where(*where)
        .values(
            port_id=None,
            fixed_ip_address=None,
            router_id=None,
            status="DOWN",
            revision_number=floating_ips.c.revision_number + 1,
            updated_at=op.clock.now(),
        )
    )


def check_not_serving(row: Any) -> None:
    """Raises Conflict for a port that a router or a floating IP stands on."""
    if row.device_owner in SERVICE_OWNERS:
        raise InUse(
            f"Port {row.id} cannot be deleted directly via the port API: has device owner {row.device_owner}.",
            kind="ServicePortInUse",
        )


async def drop_port(session: Session, op: Op, row: Any) -> None:
    """Take a port away with all that hangs on it."""
    if row.host:
        wake_members(session, op, await groups_of(session, row.id))
        wake_hosts(session, op, [row.host])
    await release_floating(session, op, row.id)
    await session.run(delete(fixed_ips).where(fixed_ips.c.port_id == row.id))
    await session.run(delete(port_groups).where(port_groups.c.port_id == row.id))
    await session.run(delete(ports).where(ports.c.id == row.id))
    if row.host and not row.device_owner.startswith("network:"):
        await drop_idle_dhcp(session, op, row.network_id, row.host)
