"""Credentials and extensions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from maldon.store.schema import Json

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "endpoint_group",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("filters", Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_group")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "oauth1_consumer",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column(
            "sealed",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column("extra", Json(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth1_consumer")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "oauth1_used_nonce",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth1_used_nonce")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_oauth1_used_nonce_expires_at"), "oauth1_used_nonce", ["expires_at"], unique=False)
    op.create_table(
        "policy",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("blob", Json(), nullable=False),
        sa.Column("extra", Json(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "project_endpoint_group",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_group_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_group_id"],
            ["endpoint_group.id"],
            name=op.f("fk_project_endpoint_group_endpoint_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_endpoint_group_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "endpoint_group_id", name=op.f("pk_project_endpoint_group")),
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_project_endpoint_group_endpoint_group_id"),
        "project_endpoint_group",
        ["endpoint_group_id"],
        unique=False,
    )
    op.create_table(
        "credential",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column(
            "sealed",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column("access_hash", sa.String(length=64), nullable=True),
        sa.Column("extra", Json(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_credential_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_credential_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        sa.UniqueConstraint("access_hash", name=op.f("uq_credential_access_hash")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_credential_project_id"), "credential", ["project_id"], unique=False)
    op.create_index(op.f("ix_credential_user_id"), "credential", ["user_id"], unique=False)
    op.create_table(
        "oauth1_access_token",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column(
            "sealed",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("role_ids", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_id"], ["oauth1_consumer.id"], name=op.f("fk_oauth1_access_token_consumer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_oauth1_access_token_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_oauth1_access_token_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth1_access_token")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_oauth1_access_token_consumer_id"), "oauth1_access_token", ["consumer_id"], unique=False)
    op.create_index(op.f("ix_oauth1_access_token_project_id"), "oauth1_access_token", ["project_id"], unique=False)
    op.create_index(op.f("ix_oauth1_access_token_user_id"), "oauth1_access_token", ["user_id"], unique=False)
    op.create_table(
        "oauth1_request_token",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column(
            "sealed",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("role_ids", Json(), nullable=True),
        sa.Column("verifier_hash", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["consumer_id"],
            ["oauth1_consumer.id"],
            name=op.f("fk_oauth1_request_token_consumer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_oauth1_request_token_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_oauth1_request_token_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth1_request_token")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_oauth1_request_token_consumer_id"), "oauth1_request_token", ["consumer_id"], unique=False)
    op.create_index(op.f("ix_oauth1_request_token_expires_at"), "oauth1_request_token", ["expires_at"], unique=False)
    op.create_index(op.f("ix_oauth1_request_token_project_id"), "oauth1_request_token", ["project_id"], unique=False)
    op.create_index(op.f("ix_oauth1_request_token_user_id"), "oauth1_request_token", ["user_id"], unique=False)
    op.create_table(
        "policy_association",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("policy_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=True),
        sa.Column("service_id", sa.String(length=64), nullable=True),
        sa.Column("region_id", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["catalog_endpoint.id"], name=op.f("fk_policy_association_endpoint_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policy.id"], name=op.f("fk_policy_association_policy_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["region_id"], ["region.id"], name=op.f("fk_policy_association_region_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["service_id"], ["catalog_service.id"], name=op.f("fk_policy_association_service_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_association")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_policy_association_endpoint_id"), "policy_association", ["endpoint_id"], unique=False)
    op.create_index(op.f("ix_policy_association_policy_id"), "policy_association", ["policy_id"], unique=False)
    op.create_index(op.f("ix_policy_association_region_id"), "policy_association", ["region_id"], unique=False)
    op.create_index(op.f("ix_policy_association_service_id"), "policy_association", ["service_id"], unique=False)
    op.create_table(
        "project_endpoint",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["catalog_endpoint.id"], name=op.f("fk_project_endpoint_endpoint_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_endpoint_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", name=op.f("pk_project_endpoint")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_project_endpoint_endpoint_id"), "project_endpoint", ["endpoint_id"], unique=False)
