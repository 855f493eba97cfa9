"""Directories of domains."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from maldon.store.schema import Json

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "directory_entry",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column(
            "local_id",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["project.id"], name=op.f("fk_directory_entry_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_entry")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_directory_entry_domain_id"), "directory_entry", ["domain_id"], unique=False)
    op.create_table(
        "directory_seen",
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["project.id"], name=op.f("fk_directory_seen_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("domain_id", name=op.f("pk_directory_seen")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "domain_option",
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("section", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", Json(), nullable=True),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["project.id"], name=op.f("fk_domain_option_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("domain_id", "section", "name", name=op.f("pk_domain_option")),
        mysql_engine="InnoDB",
    )
