"""What the books know about tokens: which were revoked, and a number that moves whenever a token may mean less.

Tokens themselves are not stored.
"""

from sqlalchemy import BigInteger, Column

from maldon.store.schema import Id, Time, table

revoked = table(
    "revoked_token",
    Column("audit_id", Id, primary_key=True),
    Column("expires_at", Time, nullable=False, index=True),
)

generation = table(
    "identity_generation",
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)
