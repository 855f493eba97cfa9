"""Limits: how much of a resource everybody may have, and what projects and domains may have instead.

`region_scope` is the region or "" for all of them, so that a resource is registered once for all regions. The owner of
a limit is a project or a domain, which are rows of one table.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, UniqueConstraint

from maldon.store.schema import Id, LongText, Name, id_column, table

registered_limit = table(
    "registered_limit",
    id_column(),
    Column("service_id", Id, ForeignKey("catalog_service.id"), nullable=False),
    Column("region_id", Name, ForeignKey("region.id"), index=True),
    Column("region_scope", Name, nullable=False),
    Column("resource_name", Name, nullable=False),
    Column("default_limit", BigInteger, nullable=False),
    Column("description", LongText),
    UniqueConstraint("service_id", "region_scope", "resource_name"),
)

limit = table(
    "project_limit",
    id_column(),
    Column("registered_limit_id", Id, ForeignKey("registered_limit.id"), nullable=False),
    Column("owner_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("resource_limit", BigInteger, nullable=False),
    Column("description", LongText),
    UniqueConstraint("registered_limit_id", "owner_id"),
)
