"""Application credentials: a name and a secret with which a program is its user on one project, with some of the roles.

An access rule is one kind of call, by method, path and service; it belongs to a user, may be shared by several of the
user's credentials and outlives them.
"""

from sqlalchemy import Boolean, Column, ForeignKey, String, UniqueConstraint

from maldon.store.schema import Id, LongText, Name, Time, id_column, table

application_credential = table(
    "application_credential",
    id_column(),
    Column("name", Name, nullable=False),
    Column("user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), nullable=False),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("description", LongText),
    Column("secret", String(255), nullable=False),
    Column("expires_at", Time),
    Column("unrestricted", Boolean, nullable=False),
    Column("ruled", Boolean, nullable=False),
    UniqueConstraint("user_id", "name"),
)

application_credential_role = table(
    "application_credential_role",
    Column("credential_id", Id, ForeignKey("application_credential.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", Id, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True, index=True),
)

access_rule = table(
    "access_rule",
    id_column(),
    Column("user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), nullable=False),
    Column("service", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("path", String(255), nullable=False),
    UniqueConstraint("user_id", "service", "method", "path"),
)

application_credential_access_rule = table(
    "application_credential_access_rule",
    Column("credential_id", Id, ForeignKey("application_credential.id", ondelete="CASCADE"), primary_key=True),
    Column("rule_id", Id, ForeignKey("access_rule.id", ondelete="CASCADE"), primary_key=True, index=True),
)
