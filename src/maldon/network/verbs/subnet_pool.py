"""Subnet pools within a transaction, and the ranges that subnets get from them."""

from collections.abc import Mapping
from ipaddress import collapse_addresses, ip_network
from typing import Any

from sqlalchemy import delete, insert, select

from maldon.kernel.errors import BadRequest, Conflict, InUse, NotFound, QuotaExceeded
from maldon.kernel.op import Op, Session
from maldon.network.models.subnet import subnet_pools, subnets
from maldon.network.plan.addresses import cut, overlapping
from maldon.network.schemas.body import cidr
from maldon.network.verbs.record import Record, born, change

_LENGTHS = ("default_prefixlen", "min_prefixlen", "max_prefixlen")


async def create_pool(session: Session, op: Op, given: Mapping[str, Any], project_id: str) -> Record:
    """A new pool. Raises BadRequest."""
    version, prefixes = checked_prefixes(given["prefixes"])
    least = given.get("min_prefixlen", 8 if version == 4 else 64)
    row = Record(
        {
            **born(op, given, project_id),
            "ip_version": version,
            "prefixes": prefixes,
            "min_prefixlen": least,
            "max_prefixlen": given.get("max_prefixlen", 32 if version == 4 else 128),
            "default_prefixlen": given.get("default_prefixlen", least),
            "default_quota": given["default_quota"],
            "shared": given.get("shared", False),
            "is_default": given.get("is_default", False),
        }
    )
    check_lengths(row)
    await session.run(insert(subnet_pools), row)
    return row


async def update_pool(session: Session, op: Op, row: Any, given: Mapping[str, Any]) -> Record:
    """Change a pool; its prefixes only grow. Raises BadRequest."""
    values = {k: given[k] for k in ("name", "default_quota", "is_default", *_LENGTHS) if k in given}
    if "description" in given:
        values["description"] = given["description"] or ""
    if "prefixes" in given:
        version, values["prefixes"] = checked_prefixes([*given["prefixes"]])
        if version != row.ip_version or checked_prefixes([*values["prefixes"], *row.prefixes])[1] != values["prefixes"]:
            raise BadRequest(
                "Existing prefixes must be a subset of the new prefixes.", kind="IllegalSubnetPoolPrefixUpdate"
            )
    after = await change(session, op, subnet_pools, row, values)
    check_lengths(after)
    return after


def checked_prefixes(given: list[str]) -> tuple[int, list[str]]:
    """The IP version and the prefixes, joined where they touch. Raises BadRequest."""
    ranges = [ip_network(cidr(one)) for one in given]
    if len({r.version for r in ranges}) > 1:
        raise BadRequest("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", kind="PrefixVersionMismatch")
    return ranges[0].version, [str(r) for r in collapse_addresses(ranges)]  # type: ignore[type-var]


def check_lengths(row: Any) -> None:
    """Raises BadRequest unless min <= default <= max <= what the IP version has."""
    least, usual, most = row.min_prefixlen, row.default_prefixlen, row.max_prefixlen
    if not least <= usual <= most <= (32 if row.ip_version == 4 else 128):
        raise BadRequest(
            f"Illegal prefix bounds: min_prefixlen={least}, default_prefixlen={usual}, max_prefixlen={most}.",
            kind="IllegalSubnetPoolPrefixBounds",
        )


async def delete_pool(session: Session, row: Any) -> None:
    """Take a pool away. Raises Conflict while subnets are cut from it."""
    used = select(subnets.c.id).where(subnets.c.subnetpool_id == row.id).limit(1)
    if await session.first(used) is not None:
        raise InUse("Unable to delete subnet pool: Subnet pool has existing allocations.", kind="SubnetPoolDeleteError")
    await session.run(delete(subnet_pools).where(subnet_pools.c.id == row.id))


async def range_for(session: Session, given: Mapping[str, Any], project_id: str) -> tuple[str | None, str]:
    """The pool (if any) and the range of a new subnet: given, or the lowest free one of the pool.

    Raises BadRequest, NotFound, Conflict, QuotaExceeded.
    """
    wanted, pool_id = given.get("cidr"), given.get("subnetpool_id")
    if not pool_id:
        if not wanted:
            raise BadRequest("Bad subnets request: a subnetpool must be specified in the absence of a cidr.")
        return None, cidr(wanted)
    await session.lock(f"subnetpool:{pool_id}")
    pool = await session.first(select(subnet_pools).where(subnet_pools.c.id == pool_id))
    if pool is None:
        raise NotFound(f"Subnet pool {pool_id} could not be found.", kind="SubnetPoolNotFound")
    cut_from = select(subnets.c.cidr, subnets.c.project_id).where(subnets.c.subnetpool_id == pool_id)
    taken = await session.all(cut_from)
    found = _one_of(pool, given, [row.cidr for row in taken])
    _check_quota(pool, [found, *(row.cidr for row in taken if row.project_id == project_id)])
    return pool_id, found


def _one_of(pool: Any, given: Mapping[str, Any], taken: list[str]) -> str:
    """The range asked for, or one of the length asked for, where nothing is taken."""
    wanted, length = given.get("cidr"), given.get("prefixlen")
    if wanted:
        one = ip_network(cidr(wanted))
        inside = (ip_network(p) for p in pool.prefixes)
        if overlapping(str(one), taken) or not any(p.version == one.version and one.subnet_of(p) for p in inside):  # type: ignore[arg-type]
            raise Conflict(
                "Failed to allocate subnet: Cannot allocate requested subnet from the available set of prefixes.",
                kind="SubnetAllocationError",
            )
        return str(one)
    length = pool.default_prefixlen if length is None else length
    if not pool.min_prefixlen <= length <= pool.max_prefixlen:
        raise BadRequest(
            f"Unable to allocate subnet with prefix length {length}, the pool allows {pool.min_prefixlen} to "
            f"{pool.max_prefixlen}.",
            kind="MinPrefixSubnetAllocationError",
        )
    found = cut(pool.prefixes, taken, length)
    if found is None:
        raise Conflict(
            f"Failed to allocate subnet: Insufficient prefix space to allocate subnet size /{length}.",
            kind="SubnetAllocationError",
        )
    return found


def _check_quota(pool: Any, used: list[str]) -> None:
    """Raises QuotaExceeded when a project has more of the pool than it may: counted in IPv4 addresses or IPv6 /64s."""
    unit = 1 if pool.ip_version == 4 else 2**64
    if pool.default_quota and sum(ip_network(one).num_addresses for one in used) > pool.default_quota * unit:
        raise QuotaExceeded(
            f"Per-tenant subnet pool prefix quota exceeded: {pool.default_quota} may be used.",
            kind="SubnetPoolQuotaExceeded",
        )
