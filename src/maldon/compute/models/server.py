"""Servers as the cloud's books hold them, and the guests that hosts are to run for them.

`server` is what the user sees. `guest` is the same server as its host's agent sees it: the desired half (spec and
revision) and the observed half (what the agent reported last). A guest row outlives its server until the agent has
confirmed the removal. `operation_id` is the operation that waits for the guest to be as desired; `asked` says that
jobs wait. `host_revision` counts the changes of one host; it is raised in the transaction that changes a
guest, and its row lock makes revisions grow in the order of commit.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String

from maldon.store.schema import Id, Json, LongText, Name, Time, id_column, table

servers = table(
    "server",
    id_column(),
    Column("project_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("name", Name, nullable=False),
    Column("description", Name),
    Column("hostname", Name, nullable=False),
    Column("state", String(16), nullable=False),
    Column("task", String(24)),
    Column("power", String(16), nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("locked_reason", Name),
    Column("flavor_id", Name, nullable=False),
    Column("flavor", Json, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    Column("image_id", Id),
    Column("image", Json),
    Column("host", Name),
    Column("host_id", Id),
    Column("availability_zone", Name),
    Column("pinned_availability_zone", Name),
    Column("key_name", Name),
    Column("key_data", LongText),
    Column("user_data", LongText),
    Column("admin_pass", Name),
    Column("config_drive", Boolean, nullable=False),
    Column("disk_config", String(8), nullable=False),
    Column("access_ip_v4", String(64), nullable=False),
    Column("access_ip_v6", String(64), nullable=False),
    Column("reservation_id", String(64), nullable=False),
    Column("launch_index", Integer, nullable=False),
    Column("properties", Json, nullable=False),
    Column("fault", Json),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("launched_at", Time),
    Column("terminated_at", Time),
    Column("deleted_at", Time),
    Index("ix_server_project", "project_id", "deleted_at", "created_at", "id"),
    Index("ix_server_all", "deleted_at", "created_at", "id"),
    Index("ix_server_host", "host_id"),
)

server_tags = table(
    "server_tag",
    Column("server_id", Id, ForeignKey("server.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(60), primary_key=True),
)

guests = table(
    "guest",
    id_column(),
    Column("host", Name, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("spec", Json),
    Column("details", Json),
    Column("seen_revision", BigInteger, nullable=False),
    Column("seen_power", String(16)),
    Column("seen_error", LongText),
    Column("seen_at", Time),
    Column("operation_id", Id),
    Column("asked", Boolean, nullable=False),
    Index("ix_guest_host", "host", "revision"),
)

guest_jobs = table(
    "guest_job",
    id_column(),
    Column("guest_id", Id, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("params", Json, nullable=False),
    Column("output", LongText),
    Column("error", LongText),
    Column("answered", Boolean, nullable=False),
    Column("created_at", Time, nullable=False),
    Index("ix_guest_job_guest", "guest_id", "answered"),
)

host_revisions = table(
    "host_revision",
    Column("host", Name, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)
