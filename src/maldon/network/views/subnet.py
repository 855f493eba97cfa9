"""How subnets and subnet pools look, and who sees which."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select

from maldon.kernel.op import Op, Session
from maldon.network.collection import ASKER, Collection
from maldon.network.models.network import networks
from maldon.network.models.subnet import subnet_pools, subnets
from maldon.network.views.standard import standard

_OPEN = select(networks.c.id).where(or_(networks.c.project_id == ASKER, networks.c.shared.is_(True)))
VISIBLE = or_(subnets.c.project_id == ASKER, subnets.c.network_id.in_(_OPEN))
POOL_VISIBLE = or_(subnet_pools.c.project_id == ASKER, subnet_pools.c.shared.is_(True))


def subnet(row: Any) -> dict[str, Any]:
    return {
        **standard(row),
        "network_id": row.network_id,
        "ip_version": row.ip_version,
        "cidr": row.cidr,
        "gateway_ip": row.gateway_ip,
        "enable_dhcp": row.enable_dhcp,
        "allocation_pools": [{"start": start, "end": end} for start, end in row.pools],
        "dns_nameservers": row.dns_nameservers,
        "host_routes": row.host_routes,
        "ipv6_ra_mode": row.ipv6_ra_mode,
        "ipv6_address_mode": row.ipv6_address_mode,
        "subnetpool_id": row.subnetpool_id,
    }


async def shape(_session: Session, _op: Op, rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [subnet(row) for row in rows]


SUBNETS = Collection("subnet", "subnets", "Subnet", subnets, VISIBLE, shape)


def pool(row: Any) -> dict[str, Any]:
    return {
        **standard(row),
        "ip_version": row.ip_version,
        "prefixes": row.prefixes,
        "min_prefixlen": row.min_prefixlen,
        "max_prefixlen": row.max_prefixlen,
        "default_prefixlen": row.default_prefixlen,
        "default_quota": row.default_quota,
        "shared": row.shared,
        "is_default": row.is_default,
        "address_scope_id": None,
    }


async def pool_shape(_session: Session, _op: Op, rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [pool(row) for row in rows]


SUBNET_POOLS = Collection("subnetpool", "subnetpools", "SubnetPool", subnet_pools, POOL_VISIBLE, pool_shape)
