"""Aggregates: hosts that belong together, and what is said of them. A zone is an item of an aggregate's metadata."""

from sqlalchemy import Column, ForeignKey, Integer

from maldon.store.schema import Id, Json, Name, Time, table

aggregates = table(
    "aggregate",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uuid", Id, nullable=False, unique=True),
    Column("name", Name, nullable=False, unique=True),
    Column("properties", Json, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time),
)

aggregate_hosts = table(
    "aggregate_host",
    Column("aggregate_id", Integer, ForeignKey("aggregate.id", ondelete="CASCADE"), primary_key=True),
    Column("host", Name, primary_key=True),
)
