"""Groups of users, to which roles are given together."""

from sqlalchemy import Column, ForeignKey, UniqueConstraint

from maldon.store.schema import Id, Json, LongText, Name, id_column, table

group = table(
    "identity_group",
    id_column(),
    Column("name", Name, nullable=False),
    Column("domain_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("description", LongText),
    Column("extra", Json),
    UniqueConstraint("domain_id", "name"),
)

membership = table(
    "group_membership",
    Column("group_id", Id, ForeignKey("identity_group.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), primary_key=True, index=True),
)
