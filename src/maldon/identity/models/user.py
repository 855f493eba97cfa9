"""Users: who may log in. `extra` holds whatever else a client gave; tokens issued up to `tokens_from` are dead."""

from sqlalchemy import Boolean, Column, ForeignKey, String, UniqueConstraint

from maldon.store.schema import Id, Json, Name, Time, id_column, table

user = table(
    "identity_user",
    id_column(),
    Column("name", Name, nullable=False),
    Column("domain_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("default_project_id", Id, index=True),
    Column("password", String(255)),
    Column("options", Json),
    Column("extra", Json),
    Column("tokens_from", Time, nullable=False),
    UniqueConstraint("domain_id", "name"),
)
