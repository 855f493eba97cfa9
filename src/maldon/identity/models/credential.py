"""Credentials of users for others than ourselves: EC2 keys, TOTP seeds, certificates, whatever a client keeps here.

What is secret is `sealed` with the keys of `credential_keys.py`. `access_hash` is the SHA-256 of an EC2 credential's
access key, by which signatures are looked up; a change of the key moves it and leaves the id alone.
"""

from sqlalchemy import Column, ForeignKey

from maldon.store.schema import Id, Json, LongText, Name, id_column, table

credential = table(
    "credential",
    id_column(),
    Column("user_id", Id, ForeignKey("identity_user.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", Id, ForeignKey("project.id", ondelete="CASCADE"), index=True),
    Column("type", Name, nullable=False),
    Column("sealed", LongText, nullable=False),
    Column("access_hash", Id, unique=True),
    Column("extra", Json),
)
