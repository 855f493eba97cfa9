"""What projects, and users in them, may have where that differs from the settings.

`kind` is "class" (owner: its name), "project" (owner: the project) or "user" (owner: the project, and its user).
"""

from sqlalchemy import Column, Integer, String

from maldon.store.schema import Id, Name, table

quotas = table(
    "compute_quota",
    Column("kind", String(8), primary_key=True),
    Column("owner", Name, primary_key=True),
    Column("user_id", Id, primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("limit", Integer, nullable=False),
)
