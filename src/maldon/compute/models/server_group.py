"""Groups of servers that are to be together or apart, and their members."""

from sqlalchemy import Column, ForeignKey, Integer, String

from maldon.store.schema import Id, Name, Time, id_column, table

server_groups = table(
    "server_group",
    id_column(),
    Column("project_id", Id, nullable=False, index=True),
    Column("user_id", Id, nullable=False),
    Column("name", Name, nullable=False),
    Column("policy", String(32), nullable=False),
    Column("max_server_per_host", Integer),
    Column("created_at", Time, nullable=False),
)

server_group_members = table(
    "server_group_member",
    Column("server_id", Id, ForeignKey("server.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", Id, ForeignKey("server_group.id", ondelete="CASCADE"), nullable=False, index=True),
)
