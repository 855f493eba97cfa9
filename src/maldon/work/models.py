"""The books of long work: one row per operation, one journal line per finished step.

The journal is the outbox as well: what is not `sent` yet is still to be told to the world.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String

from maldon.store.schema import Id, Json, Name, Time, id_column, table

operations = table(
    "operation",
    id_column(),
    Column("kind", String(64), nullable=False),
    Column("subject", Id, nullable=False),
    Column("project_id", Id),
    Column("user_id", Id),
    Column("request_id", Id, nullable=False),
    Column("params", Json, nullable=False),
    Column("done", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("step", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fault", Json),
    Column("due_at", Time, nullable=False),
    Column("deadline_at", Time, nullable=False),
    Column("lease_owner", Id),
    Column("lease_until", Time, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Index("ix_operation_due", "state", "due_at"),
    Index("ix_operation_subject", "subject", "created_at"),
)

journal = table(
    "journal",
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("operation_id", Id, nullable=False),
    Column("subject", Id, nullable=False),
    Column("project_id", Id),
    Column("request_id", Id, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("step", Name, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("note", Json),
    Column("at", Time, nullable=False),
    Column("sent", Boolean, nullable=False),
    Index("ix_journal_operation", "operation_id", "id"),
    Index("ix_journal_sent", "sent", "id"),
)
