"""What a project may have where that differs from the settings."""

from sqlalchemy import Column, Integer, String

from maldon.store.schema import Id, table

quota_overrides = table(
    "network_quota",
    Column("project_id", Id, primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("limit", Integer, nullable=False),
)
