"""The columns every resource of the network API has: owner, description, times, revision, tags.

Tags are a JSON list in the row: a resource has few, and every view of it shows them all.
"""

from sqlalchemy import BigInteger, Column
from sqlalchemy.schema import SchemaItem

from maldon.store.schema import Id, Json, Name, Time, id_column


def standard() -> tuple[SchemaItem, ...]:
    """Fresh columns, to be spread into a table."""
    return (
        id_column(),
        Column("project_id", Id, nullable=False, index=True),
        Column("name", Name, nullable=False),
        Column("description", Name, nullable=False),
        Column("revision_number", BigInteger, nullable=False),
        Column("created_at", Time, nullable=False),
        Column("updated_at", Time, nullable=False),
        Column("tags", Json, nullable=False),
    )
