"""Routers and floating IPs.

A router's legs are ports whose `device_id` is the router; its way out is `gateway_port_id`. `host` is the node that
carries the router, NULL while it has nothing to carry or no host lives.
"""

from sqlalchemy import Boolean, Column, ForeignKey, String, UniqueConstraint

from maldon.network.models.standard import standard
from maldon.store.schema import Id, Json, Name, table

routers = table(
    "router",
    *standard(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("enable_snat", Boolean, nullable=False),
    Column("gateway_port_id", Id, ForeignKey("port.id"), index=True),
    Column("routes", Json, nullable=False),
    Column("az_hints", Json, nullable=False),
    Column("host", Name, index=True),
)

floating_ips = table(
    "floating_ip",
    *standard(),
    Column("floating_network_id", Id, ForeignKey("network.id"), nullable=False, index=True),
    Column("floating_ip_address", String(64), nullable=False),
    Column("floating_port_id", Id, ForeignKey("port.id"), nullable=False),
    Column("port_id", Id, ForeignKey("port.id")),
    Column("fixed_ip_address", String(64)),
    Column("router_id", Id, ForeignKey("router.id"), index=True),
    Column("status", String(16), nullable=False),
    UniqueConstraint("port_id", "fixed_ip_address"),
)
