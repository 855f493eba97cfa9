"""Hosts and what is claimed of them.

`used_*` is the sum of the host's claims, kept in the same transaction as they are, so that choosing among a hundred
hosts reads a hundred rows; `service.audit` compares the two. A claim's consumer is its key: nothing is claimed twice.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, String

from maldon.store.schema import Id, Json, LongText, Name, Time, id_column, table

hosts = table(
    "host",
    id_column(),
    Column("name", Name, nullable=False, unique=True),
    Column("availability_zone", Name, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", Name),
    Column("forced_down", Boolean, nullable=False),
    Column("hypervisor_type", String(64), nullable=False),
    Column("hypervisor_version", Integer, nullable=False),
    Column("cpu_info", LongText, nullable=False),
    Column("features", Json, nullable=False),
    Column("tunnel_ip", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("agent_user_id", Id, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", BigInteger, nullable=False),
    Column("disk_gb", BigInteger, nullable=False),
    Column("used_vcpus", Integer, nullable=False),
    Column("used_memory_mb", BigInteger, nullable=False),
    Column("used_disk_gb", BigInteger, nullable=False),
    Column("claims", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("last_seen", Time, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
)

claims = table(
    "claim",
    id_column("consumer"),
    Column("host_id", Id, ForeignKey("host.id"), nullable=False, index=True),
    Column("project_id", Id, nullable=False, index=True),
    Column("user_id", Id, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", BigInteger, nullable=False),
    Column("disk_gb", BigInteger, nullable=False),
    Column("created_at", Time, nullable=False),
)
