"""What is configured for a domain: where its users and groups are. And what we know of those that are elsewhere.

An option that is a secret has no `value`: it is `sealed`, as a JSON text, with the keys of `credential_keys.py`.

A directory's users and groups have rows in the tables of users and groups like all others, a mirror of what was last
seen. `directory_entry` says which rows are such a mirror, and of what; `local_id` is the directory's own id. An entry
stays when its mirror goes, for one who comes back is the same one.
"""

from sqlalchemy import Column, ForeignKey, String

from maldon.store.schema import Id, Json, LongText, Time, id_column, table

domain_option = table(
    "domain_option",
    Column("domain_id", Id, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("section", Id, primary_key=True),
    Column("name", Id, primary_key=True),
    Column("value", Json),
    Column("sealed", LongText),
)

directory_entry = table(
    "directory_entry",
    id_column(),
    Column("domain_id", Id, ForeignKey("project.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(8), nullable=False),
    Column("local_id", LongText, nullable=False),
)

directory_seen = table(
    "directory_seen",
    Column("domain_id", Id, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("seen_at", Time, nullable=False),
)
