"""Projects and domains: one tree. A domain is a root of it, a project has a domain and a parent.

`name_scope` is the domain within which the name is unique, "" for domains themselves. Tokens issued up to `tokens_from`
are dead for this scope, so that one that was disabled does not bring old tokens back when it is enabled again.
"""

from sqlalchemy import Boolean, Column, ForeignKey, UniqueConstraint

from maldon.store.schema import Id, Json, LongText, Name, Time, id_column, table

project = table(
    "project",
    id_column(),
    Column("name", Name, nullable=False),
    Column("name_scope", Id, nullable=False),
    Column("domain_id", Id, index=True),
    Column("parent_id", Id, index=True),
    Column("is_domain", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("description", LongText),
    Column("options", Json),
    Column("extra", Json),
    Column("tokens_from", Time, nullable=False),
    UniqueConstraint("name_scope", "name"),
)

project_tag = table(
    "project_tag",
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Name, primary_key=True),
)
