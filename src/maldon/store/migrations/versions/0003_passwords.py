"""Passwords of users, and limits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "failed_login",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_failed_login")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "registered_limit",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=True),
        sa.Column("region_scope", sa.String(length=255), nullable=False),
        sa.Column("resource_name", sa.String(length=255), nullable=False),
        sa.Column("default_limit", sa.BigInteger(), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_registered_limit_region_id")),
        sa.ForeignKeyConstraint(["service_id"], ["catalog_service.id"], name=op.f("fk_registered_limit_service_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registered_limit")),
        sa.UniqueConstraint(
            "service_id",
            "region_scope",
            "resource_name",
            name=op.f("uq_registered_limit_service_id_region_scope_resource_name"),
        ),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_registered_limit_region_id"), "registered_limit", ["region_id"], unique=False)
    op.create_table(
        "past_password",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("password_at", sa.BigInteger(), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_past_password_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "password_at", name=op.f("pk_past_password")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "project_limit",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("registered_limit_id", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("resource_limit", sa.BigInteger(), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["project.id"], name=op.f("fk_project_limit_owner_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["registered_limit_id"], ["registered_limit.id"], name=op.f("fk_project_limit_registered_limit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_limit")),
        sa.UniqueConstraint(
            "registered_limit_id", "owner_id", name=op.f("uq_project_limit_registered_limit_id_owner_id")
        ),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_project_limit_owner_id"), "project_limit", ["owner_id"], unique=False)
    op.add_column("identity_user", sa.Column("password_at", sa.BigInteger(), nullable=True))
    op.add_column("identity_user", sa.Column("password_own", sa.Boolean(), nullable=True))
    op.add_column("identity_user", sa.Column("password_expires_at", sa.BigInteger(), nullable=True))
    op.add_column("identity_user", sa.Column("active_day", sa.BigInteger(), nullable=True))
    op.create_index(
        op.f("ix_identity_user_password_expires_at"), "identity_user", ["password_expires_at"], unique=False
    )
