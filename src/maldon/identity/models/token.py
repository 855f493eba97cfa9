"""What the books know about tokens: which were revoked, and a number that moves whenever a token may mean less.

Tokens themselves are not stored. A passcode is good once, so it is noted for which step of time one was used. What is
in `revocation_event` is for other services alone, see `revocations.py`.
"""

from sqlalchemy import BigInteger, Column, ForeignKey

from maldon.store.schema import Id, Json, Time, id_column, table

revoked = table(
    "revoked_token",
    Column("audit_id", Id, primary_key=True),
    Column("expires_at", Time, nullable=False, index=True),
    Column("revoked_at", Time),
)

revocation = table(
    "revocation_event",
    id_column(),
    Column("revoked_at", Time, nullable=False, index=True),
    Column("about", Json, nullable=False),
)

used_passcode = table(
    "used_passcode",
    Column("user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
)

generation = table(
    "identity_generation",
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)
