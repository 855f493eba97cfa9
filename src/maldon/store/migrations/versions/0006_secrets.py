"""Secrets of domains' configurations sealed, and what was revoked of things that are gone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from maldon.store.schema import Json

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "revocation_event",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=False),
        sa.Column("about", Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocation_event")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_revocation_event_revoked_at"), "revocation_event", ["revoked_at"], unique=False)
    op.add_column(
        "domain_option",
        sa.Column(
            "sealed",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
    )
