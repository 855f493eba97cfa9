"""Roles, which role implies which, and who has which role where.

`domain_id` is "" for the roles of the whole cloud. A role of a domain never shows in a token; what it implies does.
An assignment's target is a project, a domain or the system; an inherited one counts below its target, not at it.
"""

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, UniqueConstraint

from maldon.store.schema import Id, Json, LongText, Name, id_column, table

SYSTEM = "system"

role = table(
    "role",
    id_column(),
    Column("name", Name, nullable=False),
    Column("domain_id", Id, nullable=False),
    Column("description", LongText),
    Column("options", Json),
    Column("extra", Json),
    UniqueConstraint("domain_id", "name"),
)

implied_role = table(
    "implied_role",
    Column("prior_id", Id, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True),
    Column("implied_id", Id, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True, index=True),
)

assignment = table(
    "role_assignment",
    Column("actor_kind", String(8), primary_key=True),
    Column("actor_id", Id, primary_key=True),
    Column("target_kind", String(8), primary_key=True),
    Column("target_id", Id, primary_key=True),
    Column("role_id", Id, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("inherited", Boolean, primary_key=True),
    Index("ix_role_assignment_target", "target_kind", "target_id"),
)
