"""Flavors: what servers may be, and which projects may use those that are not for everybody."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, Integer

from maldon.store.schema import Id, Json, LongText, Name, Time, table

flavors = table(
    "flavor",
    Column("id", Name, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("description", LongText),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    Column("ephemeral_gb", Integer, nullable=False),
    Column("swap_mb", Integer, nullable=False),
    Column("rxtx_factor", Double, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("extra_specs", Json, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
)

flavor_access = table(
    "flavor_access",
    Column("flavor_id", Name, ForeignKey("flavor.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", Id, primary_key=True),
)
