"""Networks. `vni` is the VXLAN number of every network, used while the network is not external."""

from sqlalchemy import Boolean, Column, Integer, UniqueConstraint

from maldon.network.models.standard import standard
from maldon.store.schema import table

networks = table(
    "network",
    *standard(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("external", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("mtu", Integer, nullable=False),
    Column("vni", Integer, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    UniqueConstraint("vni"),
)
