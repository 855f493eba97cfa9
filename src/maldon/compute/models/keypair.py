"""Public keys and certificates that users put into their servers. A name is unique for its user."""

from sqlalchemy import Column, Integer, String, UniqueConstraint

from maldon.store.schema import Id, LongText, Name, Time, table

keypairs = table(
    "keypair",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", Id, nullable=False),
    Column("name", Name, nullable=False),
    Column("type", String(8), nullable=False),
    Column("fingerprint", String(128), nullable=False),
    Column("public_key", LongText, nullable=False),
    Column("created_at", Time, nullable=False),
    UniqueConstraint("user_id", "name", name="uq_keypair_name"),
)
