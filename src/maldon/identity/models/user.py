"""Users: who may log in. `extra` holds whatever else a client gave; tokens issued up to `tokens_from` are dead.

`password_own` tells that the user chose the password; `active_day` is the day (days since 1970) of the last login where
the cloud minds it. Past passwords are kept, hashed, as long as a new one may not be one of them. Failed logins stand in
a table of their own, which has a row for all names that nobody has, so that a failure writes as much for them.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, String, UniqueConstraint

from maldon.store.schema import Id, Json, Name, Time, id_column, table

user = table(
    "identity_user",
    id_column(),
    Column("name", Name, nullable=False),
    Column("domain_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("default_project_id", Id, index=True),
    Column("password", String(255)),
    Column("password_at", Time),
    Column("password_own", Boolean),
    Column("password_expires_at", Time, index=True),
    Column("active_day", BigInteger),
    Column("options", Json),
    Column("extra", Json),
    Column("tokens_from", Time, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

past_password = table(
    "past_password",
    Column("user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), primary_key=True),
    Column("password_at", Time, primary_key=True),
    Column("password", String(255), nullable=False),
)

NOBODY = ""
failed_login = table(
    "failed_login",
    Column("user_id", Id, primary_key=True),
    Column("times", BigInteger, nullable=False),
    Column("failed_at", Time, nullable=False),
)
