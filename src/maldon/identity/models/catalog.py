"""The catalog: which services there are, and where."""

from sqlalchemy import Boolean, Column, ForeignKey, String

from maldon.store.schema import Id, Json, LongText, Name, id_column, table

region = table(
    "region",
    Column("id", Name, primary_key=True),
    Column("description", LongText),
    Column("parent_region_id", Name, index=True),
    Column("extra", Json),
)

service = table(
    "catalog_service",
    id_column(),
    Column("type", Name, nullable=False, index=True),
    Column("name", Name),
    Column("description", LongText),
    Column("enabled", Boolean, nullable=False),
    Column("extra", Json),
)

endpoint = table(
    "catalog_endpoint",
    id_column(),
    Column("service_id", Id, ForeignKey("catalog_service.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("region_id", Name, ForeignKey("region.id"), index=True),
    Column("interface", String(8), nullable=False),
    Column("url", String(2048), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("extra", Json),
)
