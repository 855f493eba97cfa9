"""Delegation of trusts and application credentials."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "access_rule",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_access_rule_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_rule")),
        sa.UniqueConstraint(
            "user_id", "service", "method", "path", name=op.f("uq_access_rule_user_id_service_method_path")
        ),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "application_credential",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("secret", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("unrestricted", sa.Boolean(), nullable=False),
        sa.Column("ruled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_application_credential_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_application_credential_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_credential")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_application_credential_user_id_name")),
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_application_credential_project_id"), "application_credential", ["project_id"], unique=False
    )
    op.create_table(
        "trust",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("trustor_user_id", sa.String(length=64), nullable=False),
        sa.Column("trustee_user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("impersonation", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("remaining_uses", sa.BigInteger(), nullable=True),
        sa.Column("redelegation_count", sa.BigInteger(), nullable=False),
        sa.Column("redelegated_trust_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_trust_project_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["redelegated_trust_id"], ["trust.id"], name=op.f("fk_trust_redelegated_trust_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["trustee_user_id"], ["identity_user.id"], name=op.f("fk_trust_trustee_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["trustor_user_id"], ["identity_user.id"], name=op.f("fk_trust_trustor_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trust")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_trust_project_id"), "trust", ["project_id"], unique=False)
    op.create_index(op.f("ix_trust_redelegated_trust_id"), "trust", ["redelegated_trust_id"], unique=False)
    op.create_index(op.f("ix_trust_trustee_user_id"), "trust", ["trustee_user_id"], unique=False)
    op.create_index(op.f("ix_trust_trustor_user_id"), "trust", ["trustor_user_id"], unique=False)
    op.create_table(
        "used_passcode",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_used_passcode_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "step", name=op.f("pk_used_passcode")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "application_credential_access_rule",
        sa.Column("credential_id", sa.String(length=64), nullable=False),
        sa.Column("rule_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["application_credential.id"],
            name=op.f("fk_application_credential_access_rule_credential_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["access_rule.id"],
            name=op.f("fk_application_credential_access_rule_rule_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("credential_id", "rule_id", name=op.f("pk_application_credential_access_rule")),
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_application_credential_access_rule_rule_id"),
        "application_credential_access_rule",
        ["rule_id"],
        unique=False,
    )
    op.create_table(
        "application_credential_role",
        sa.Column("credential_id", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["application_credential.id"],
            name=op.f("fk_application_credential_role_credential_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["role.id"], name=op.f("fk_application_credential_role_role_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("credential_id", "role_id", name=op.f("pk_application_credential_role")),
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_application_credential_role_role_id"), "application_credential_role", ["role_id"], unique=False
    )
    op.create_table(
        "trust_role",
        sa.Column("trust_id", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_trust_role_role_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trust_id"], ["trust.id"], name=op.f("fk_trust_role_trust_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trust_id", "role_id", name=op.f("pk_trust_role")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_trust_role_role_id"), "trust_role", ["role_id"], unique=False)
    op.add_column("revoked_token", sa.Column("revoked_at", sa.BigInteger(), nullable=True))
