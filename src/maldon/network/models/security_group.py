"""Security groups and their rules.

`default_of` is the project whose default group it is, so that a second one is impossible. A rule's `fingerprint` is
all that makes it differ from others, so that a duplicate is impossible too.
"""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, UniqueConstraint

from maldon.network.models.standard import standard
from maldon.store.schema import Id, table

security_groups = table(
    "security_group",
    *standard(),
    Column("default_of", Id, unique=True),
    Column("stateful", Boolean, nullable=False),
)

security_group_rules = table(
    "security_group_rule",
    *standard(),
    Column("security_group_id", Id, ForeignKey("security_group.id"), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("ethertype", String(16), nullable=False),
    Column("protocol", String(40)),
    Column("port_range_min", Integer),
    Column("port_range_max", Integer),
    Column("remote_ip_prefix", String(64)),
    Column("remote_group_id", Id, ForeignKey("security_group.id"), index=True),
    Column("fingerprint", String(255), nullable=False),
    UniqueConstraint("security_group_id", "fingerprint"),
)
