"""Subnets, and the pools that subnets may be cut from. `pools` are [first, last] pairs of addresses."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String

from maldon.network.models.standard import standard
from maldon.store.schema import Id, Json, table

subnet_pools = table(
    "subnet_pool",
    *standard(),
    Column("ip_version", Integer, nullable=False),
    Column("prefixes", Json, nullable=False),
    Column("min_prefixlen", Integer, nullable=False),
    Column("max_prefixlen", Integer, nullable=False),
    Column("default_prefixlen", Integer, nullable=False),
    Column("default_quota", Integer),
    Column("shared", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
)

subnets = table(
    "subnet",
    *standard(),
    Column("network_id", Id, ForeignKey("network.id"), nullable=False, index=True),
    Column("ip_version", Integer, nullable=False),
    Column("cidr", String(64), nullable=False),
    Column("gateway_ip", String(64)),
    Column("enable_dhcp", Boolean, nullable=False),
    Column("pools", Json, nullable=False),
    Column("dns_nameservers", Json, nullable=False),
    Column("host_routes", Json, nullable=False),
    Column("ipv6_ra_mode", String(32)),
    Column("ipv6_address_mode", String(32)),
    Column("subnetpool_id", Id, ForeignKey("subnet_pool.id")),
)
