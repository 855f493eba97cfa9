"""Ports, their addresses and their security groups.

`host` is where the port is bound, "" while it is nowhere. `with_server` marks a port that was made for a server and
goes with it, `position` is its place among the server's ports, `hostname` what DHCP
calls the server. An address of a subnet is given once: that is the primary key of `fixed_ip`.
"""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, UniqueConstraint

from maldon.network.models.standard import standard
from maldon.store.schema import Id, Json, Name, table

ports = table(
    "port",
    *standard(),
    Column("network_id", Id, ForeignKey("network.id"), nullable=False),
    Column("mac_address", String(32), nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("device_id", Name, nullable=False),
    Column("device_owner", Name, nullable=False),
    Column("host", Name, nullable=False),
    Column("vnic_type", String(64), nullable=False),
    Column("profile", Json, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("address_pairs", Json, nullable=False),
    Column("dhcp_opts", Json, nullable=False),
    Column("with_server", Boolean, nullable=False),
    Column("position", Integer, nullable=False),
    Column("hostname", Name, nullable=False),
    UniqueConstraint("network_id", "mac_address"),
    Index("ix_port_device", "device_id"),
    Index("ix_port_host", "host"),
)

fixed_ips = table(
    "fixed_ip",
    Column("subnet_id", Id, ForeignKey("subnet.id"), primary_key=True),
    Column("ip_address", String(64), primary_key=True),
    Column("port_id", Id, ForeignKey("port.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
)

port_groups = table(
    "port_group",
    Column("port_id", Id, ForeignKey("port.id"), primary_key=True),
    Column("group_id", Id, ForeignKey("security_group.id"), primary_key=True, index=True),
)
