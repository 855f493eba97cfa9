"""First schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from maldon.store.schema import Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "aggregate",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("properties", Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aggregate")),
        sa.UniqueConstraint("name", name=op.f("uq_aggregate_name")),
        sa.UniqueConstraint("uuid", name=op.f("uq_aggregate_uuid")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "catalog_service",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("extra", Json(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_service")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_catalog_service_type"), "catalog_service", ["type"], unique=False)
    op.create_table(
        "compute_quota",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "owner", "user_id", "resource", name=op.f("pk_compute_quota")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "flavor",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("disk_gb", sa.Integer(), nullable=False),
        sa.Column("ephemeral_gb", sa.Integer(), nullable=False),
        sa.Column("swap_mb", sa.Integer(), nullable=False),
        sa.Column("rxtx_factor", sa.Double(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("extra_specs", Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavor")),
        sa.UniqueConstraint("name", name=op.f("uq_flavor_name")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "guest",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("spec", Json(), nullable=True),
        sa.Column("details", Json(), nullable=True),
        sa.Column("seen_revision", sa.BigInteger(), nullable=False),
        sa.Column("seen_power", sa.String(length=16), nullable=True),
        sa.Column(
            "seen_error",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("operation_id", sa.String(length=64), nullable=True),
        sa.Column("asked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guest")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_guest_host", "guest", ["host", "revision"], unique=False)
    op.create_table(
        "guest_job",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("guest_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("params", Json(), nullable=False),
        sa.Column(
            "output",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column(
            "error",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guest_job")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_guest_job_guest", "guest_job", ["guest_id", "answered"], unique=False)
    op.create_table(
        "host",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("availability_zone", sa.String(length=255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.String(length=255), nullable=True),
        sa.Column("forced_down", sa.Boolean(), nullable=False),
        sa.Column("hypervisor_type", sa.String(length=64), nullable=False),
        sa.Column("hypervisor_version", sa.Integer(), nullable=False),
        sa.Column(
            "cpu_info",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column("features", Json(), nullable=False),
        sa.Column("tunnel_ip", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("agent_user_id", sa.String(length=64), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.BigInteger(), nullable=False),
        sa.Column("disk_gb", sa.BigInteger(), nullable=False),
        sa.Column("used_vcpus", sa.Integer(), nullable=False),
        sa.Column("used_memory_mb", sa.BigInteger(), nullable=False),
        sa.Column("used_disk_gb", sa.BigInteger(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host")),
        sa.UniqueConstraint("name", name=op.f("uq_host_name")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "host_revision",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_host_revision")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "identity_generation",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_generation")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "image",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("disk_format", sa.String(length=16), nullable=True),
        sa.Column("container_format", sa.String(length=16), nullable=True),
        sa.Column("min_disk", sa.Integer(), nullable=False),
        sa.Column("min_ram", sa.Integer(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("os_hidden", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("virtual_size", sa.BigInteger(), nullable=True),
        sa.Column("checksum", sa.String(length=32), nullable=True),
        sa.Column("os_hash_value", sa.String(length=128), nullable=True),
        sa.Column("properties", Json(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("file", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
        sa.UniqueConstraint("file", name=op.f("uq_image_file")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_image_created_at", "image", ["created_at", "id"], unique=False)
    op.create_index("ix_image_owner", "image", ["owner", "created_at"], unique=False)
    op.create_index("ix_image_status", "image", ["status"], unique=False)
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("step", sa.String(length=255), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("note", Json(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_journal_operation", "journal", ["operation_id", "id"], unique=False)
    op.create_index("ix_journal_sent", "journal", ["sent", "id"], unique=False)
    op.create_table(
        "keypair",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column(
            "public_key",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keypair")),
        sa.UniqueConstraint("user_id", "name", name="uq_keypair_name"),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "lock_row",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lock_row")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "network",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("external", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("vni", sa.Integer(), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network")),
        sa.UniqueConstraint("vni", name=op.f("uq_network_vni")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_network_project_id"), "network", ["project_id"], unique=False)
    op.create_table(
        "network_quota",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource", name=op.f("pk_network_quota")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("params", Json(), nullable=False),
        sa.Column("done", Json(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fault", Json(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_operation_due", "operation", ["state", "due_at"], unique=False)
    op.create_index("ix_operation_subject", "operation", ["subject", "created_at"], unique=False)
    op.create_table(
        "project",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_scope", sa.String(length=64), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=True),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.Column("is_domain", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("options", Json(), nullable=True),
        sa.Column("extra", Json(), nullable=True),
        sa.Column("tokens_from", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("name_scope", "name", name=op.f("uq_project_name_scope_name")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_project_domain_id"), "project", ["domain_id"], unique=False)
    op.create_index(op.f("ix_project_parent_id"), "project", ["parent_id"], unique=False)
    op.create_table(
        "region",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("parent_region_id", sa.String(length=255), nullable=True),
        sa.Column("extra", Json(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_region")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_region_parent_region_id"), "region", ["parent_region_id"], unique=False)
    op.create_table(
        "revoked_token",
        sa.Column("audit_id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_revoked_token")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_revoked_token_expires_at"), "revoked_token", ["expires_at"], unique=False)
    op.create_table(
        "role",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("options", Json(), nullable=True),
        sa.Column("extra", Json(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_role_domain_id_name")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "security_group",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("default_of", sa.String(length=64), nullable=True),
        sa.Column("stateful", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_group")),
        sa.UniqueConstraint("default_of", name=op.f("uq_security_group_default_of")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_security_group_project_id"), "security_group", ["project_id"], unique=False)
    op.create_table(
        "server",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("task", sa.String(length=24), nullable=True),
        sa.Column("power", sa.String(length=16), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("locked_reason", sa.String(length=255), nullable=True),
        sa.Column("flavor_id", sa.String(length=255), nullable=False),
        sa.Column("flavor", Json(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("disk_gb", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.String(length=64), nullable=True),
        sa.Column("image", Json(), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("host_id", sa.String(length=64), nullable=True),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("pinned_availability_zone", sa.String(length=255), nullable=True),
        sa.Column("key_name", sa.String(length=255), nullable=True),
        sa.Column(
            "key_data",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column(
            "user_data",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("admin_pass", sa.String(length=255), nullable=True),
        sa.Column("config_drive", sa.Boolean(), nullable=False),
        sa.Column("disk_config", sa.String(length=8), nullable=False),
        sa.Column("access_ip_v4", sa.String(length=64), nullable=False),
        sa.Column("access_ip_v6", sa.String(length=64), nullable=False),
        sa.Column("reservation_id", sa.String(length=64), nullable=False),
        sa.Column("launch_index", sa.Integer(), nullable=False),
        sa.Column("properties", Json(), nullable=False),
        sa.Column("fault", Json(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("launched_at", sa.BigInteger(), nullable=True),
        sa.Column("terminated_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_server_all", "server", ["deleted_at", "created_at", "id"], unique=False)
    op.create_index("ix_server_host", "server", ["host_id"], unique=False)
    op.create_index("ix_server_project", "server", ["project_id", "deleted_at", "created_at", "id"], unique=False)
    op.create_table(
        "server_group",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("max_server_per_host", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_group")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_server_group_project_id"), "server_group", ["project_id"], unique=False)
    op.create_table(
        "subnet_pool",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("prefixes", Json(), nullable=False),
        sa.Column("min_prefixlen", sa.Integer(), nullable=False),
        sa.Column("max_prefixlen", sa.Integer(), nullable=False),
        sa.Column("default_prefixlen", sa.Integer(), nullable=False),
        sa.Column("default_quota", sa.Integer(), nullable=True),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subnet_pool")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_subnet_pool_project_id"), "subnet_pool", ["project_id"], unique=False)
    op.create_table(
        "aggregate_host",
        sa.Column("aggregate_id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["aggregate_id"], ["aggregate.id"], name=op.f("fk_aggregate_host_aggregate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("aggregate_id", "host", name=op.f("pk_aggregate_host")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "catalog_endpoint",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=True),
        sa.Column("interface", sa.String(length=8), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("extra", Json(), nullable=True),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_catalog_endpoint_region_id")),
        sa.ForeignKeyConstraint(
            ["service_id"], ["catalog_service.id"], name=op.f("fk_catalog_endpoint_service_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_endpoint")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_catalog_endpoint_region_id"), "catalog_endpoint", ["region_id"], unique=False)
    op.create_index(op.f("ix_catalog_endpoint_service_id"), "catalog_endpoint", ["service_id"], unique=False)
    op.create_table(
        "claim",
        sa.Column("consumer", sa.String(length=64), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.BigInteger(), nullable=False),
        sa.Column("disk_gb", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_claim_host_id")),
        sa.PrimaryKeyConstraint("consumer", name=op.f("pk_claim")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_claim_host_id"), "claim", ["host_id"], unique=False)
    op.create_index(op.f("ix_claim_project_id"), "claim", ["project_id"], unique=False)
    op.create_table(
        "flavor_access",
        sa.Column("flavor_id", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["flavor_id"], ["flavor.id"], name=op.f("fk_flavor_access_flavor_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flavor_id", "project_id", name=op.f("pk_flavor_access")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "identity_group",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column(
            "description",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("extra", Json(), nullable=True),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["project.id"], name=op.f("fk_identity_group_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_group")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_identity_group_domain_id_name")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "identity_user",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("default_project_id", sa.String(length=64), nullable=True),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("options", Json(), nullable=True),
        sa.Column("extra", Json(), nullable=True),
        sa.Column("tokens_from", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["project.id"], name=op.f("fk_identity_user_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_user")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_identity_user_domain_id_name")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_identity_user_default_project_id"), "identity_user", ["default_project_id"], unique=False)
    op.create_table(
        "image_member",
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_image_member_image_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "member_id", name=op.f("pk_image_member")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_image_member_member_id", "image_member", ["member_id", "status"], unique=False)
    op.create_table(
        "image_property",
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column(
            "value",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_image_property_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "name", name=op.f("pk_image_property")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "image_tag",
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_image_tag_image_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "tag", name=op.f("pk_image_tag")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_image_tag_tag", "image_tag", ["tag"], unique=False)
    op.create_table(
        "image_task",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("request", Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_image_task_image_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_task")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_image_task_image_id", "image_task", ["image_id", "created_at"], unique=False)
    op.create_table(
        "implied_role",
        sa.Column("prior_id", sa.String(length=64), nullable=False),
        sa.Column("implied_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["implied_id"], ["role.id"], name=op.f("fk_implied_role_implied_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["prior_id"], ["role.id"], name=op.f("fk_implied_role_prior_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("prior_id", "implied_id", name=op.f("pk_implied_role")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_implied_role_implied_id"), "implied_role", ["implied_id"], unique=False)
    op.create_table(
        "port",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("network_id", sa.String(length=64), nullable=False),
        sa.Column("mac_address", sa.String(length=32), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("device_id", sa.String(length=255), nullable=False),
        sa.Column("device_owner", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("vnic_type", sa.String(length=64), nullable=False),
        sa.Column("profile", Json(), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.Column("address_pairs", Json(), nullable=False),
        sa.Column("dhcp_opts", Json(), nullable=False),
        sa.Column("with_server", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_port_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_port")),
        sa.UniqueConstraint("network_id", "mac_address", name=op.f("uq_port_network_id_mac_address")),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_port_device", "port", ["device_id"], unique=False)
    op.create_index("ix_port_host", "port", ["host"], unique=False)
    op.create_index(op.f("ix_port_project_id"), "port", ["project_id"], unique=False)
    op.create_table(
        "project_tag",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_tag_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_project_tag")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "role_assignment",
        sa.Column("actor_kind", sa.String(length=8), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=False),
        sa.Column("target_kind", sa.String(length=8), nullable=False),
        sa.Column("target_id", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=False),
        sa.Column("inherited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_role_assignment_role_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(
            "actor_kind",
            "actor_id",
            "target_kind",
            "target_id",
            "role_id",
            "inherited",
            name=op.f("pk_role_assignment"),
        ),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_role_assignment_role_id"), "role_assignment", ["role_id"], unique=False)
    op.create_index("ix_role_assignment_target", "role_assignment", ["target_kind", "target_id"], unique=False)
    op.create_table(
        "security_group_rule",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("security_group_id", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("ethertype", sa.String(length=16), nullable=False),
        sa.Column("protocol", sa.String(length=40), nullable=True),
        sa.Column("port_range_min", sa.Integer(), nullable=True),
        sa.Column("port_range_max", sa.Integer(), nullable=True),
        sa.Column("remote_ip_prefix", sa.String(length=64), nullable=True),
        sa.Column("remote_group_id", sa.String(length=64), nullable=True),
        sa.Column("fingerprint", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["remote_group_id"], ["security_group.id"], name=op.f("fk_security_group_rule_remote_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["security_group_id"], ["security_group.id"], name=op.f("fk_security_group_rule_security_group_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_group_rule")),
        sa.UniqueConstraint(
            "security_group_id", "fingerprint", name=op.f("uq_security_group_rule_security_group_id_fingerprint")
        ),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_security_group_rule_project_id"), "security_group_rule", ["project_id"], unique=False)
    op.create_index(
        op.f("ix_security_group_rule_remote_group_id"), "security_group_rule", ["remote_group_id"], unique=False
    )
    op.create_table(
        "server_group_member",
        sa.Column("server_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["server_group.id"], name=op.f("fk_server_group_member_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["server_id"], ["server.id"], name=op.f("fk_server_group_member_server_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("server_id", name=op.f("pk_server_group_member")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_server_group_member_group_id"), "server_group_member", ["group_id"], unique=False)
    op.create_table(
        "server_tag",
        sa.Column("server_id", sa.String(length=64), nullable=False),
        sa.Column("tag", sa.String(length=60), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["server.id"], name=op.f("fk_server_tag_server_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("server_id", "tag", name=op.f("pk_server_tag")),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "subnet",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("network_id", sa.String(length=64), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("cidr", sa.String(length=64), nullable=False),
        sa.Column("gateway_ip", sa.String(length=64), nullable=True),
        sa.Column("enable_dhcp", sa.Boolean(), nullable=False),
        sa.Column("pools", Json(), nullable=False),
        sa.Column("dns_nameservers", Json(), nullable=False),
        sa.Column("host_routes", Json(), nullable=False),
        sa.Column("ipv6_ra_mode", sa.String(length=32), nullable=True),
        sa.Column("ipv6_address_mode", sa.String(length=32), nullable=True),
        sa.Column("subnetpool_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_subnet_network_id")),
        sa.ForeignKeyConstraint(["subnetpool_id"], ["subnet_pool.id"], name=op.f("fk_subnet_subnetpool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subnet")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_subnet_network_id"), "subnet", ["network_id"], unique=False)
    op.create_index(op.f("ix_subnet_project_id"), "subnet", ["project_id"], unique=False)
    op.create_table(
        "fixed_ip",
        sa.Column("subnet_id", sa.String(length=64), nullable=False),
        sa.Column("ip_address", sa.String(length=64), nullable=False),
        sa.Column("port_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["port_id"], ["port.id"], name=op.f("fk_fixed_ip_port_id")),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnet.id"], name=op.f("fk_fixed_ip_subnet_id")),
        sa.PrimaryKeyConstraint("subnet_id", "ip_address", name=op.f("pk_fixed_ip")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_fixed_ip_port_id"), "fixed_ip", ["port_id"], unique=False)
    op.create_table(
        "group_membership",
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["identity_group.id"], name=op.f("fk_group_membership_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_group_membership_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_group_membership")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_group_membership_user_id"), "group_membership", ["user_id"], unique=False)
    op.create_table(
        "port_group",
        sa.Column("port_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["security_group.id"], name=op.f("fk_port_group_group_id")),
        sa.ForeignKeyConstraint(["port_id"], ["port.id"], name=op.f("fk_port_group_port_id")),
        sa.PrimaryKeyConstraint("port_id", "group_id", name=op.f("pk_port_group")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_port_group_group_id"), "port_group", ["group_id"], unique=False)
    op.create_table(
        "router",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("enable_snat", sa.Boolean(), nullable=False),
        sa.Column("gateway_port_id", sa.String(length=64), nullable=True),
        sa.Column("routes", Json(), nullable=False),
        sa.Column("az_hints", Json(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["gateway_port_id"], ["port.id"], name=op.f("fk_router_gateway_port_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_router")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_router_gateway_port_id"), "router", ["gateway_port_id"], unique=False)
    op.create_index(op.f("ix_router_host"), "router", ["host"], unique=False)
    op.create_index(op.f("ix_router_project_id"), "router", ["project_id"], unique=False)
    op.create_table(
        "floating_ip",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("floating_network_id", sa.String(length=64), nullable=False),
        sa.Column("floating_ip_address", sa.String(length=64), nullable=False),
        sa.Column("floating_port_id", sa.String(length=64), nullable=False),
        sa.Column("port_id", sa.String(length=64), nullable=True),
        sa.Column("fixed_ip_address", sa.String(length=64), nullable=True),
        sa.Column("router_id", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["floating_network_id"], ["network.id"], name=op.f("fk_floating_ip_floating_network_id")
        ),
        sa.ForeignKeyConstraint(["floating_port_id"], ["port.id"], name=op.f("fk_floating_ip_floating_port_id")),
        sa.ForeignKeyConstraint(["port_id"], ["port.id"], name=op.f("fk_floating_ip_port_id")),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_floating_ip_router_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_floating_ip")),
        sa.UniqueConstraint("port_id", "fixed_ip_address", name=op.f("uq_floating_ip_port_id_fixed_ip_address")),
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_floating_ip_floating_network_id"), "floating_ip", ["floating_network_id"], unique=False)
    op.create_index(op.f("ix_floating_ip_project_id"), "floating_ip", ["project_id"], unique=False)
    op.create_index(op.f("ix_floating_ip_router_id"), "floating_ip", ["router_id"], unique=False)
