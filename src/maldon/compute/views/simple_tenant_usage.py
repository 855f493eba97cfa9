"""Usages of projects."""

from collections.abc import Sequence
from typing import Any

from maldon.compute.plan.tenant_usage import Period, ServerUsage, totals
from maldon.kernel.clock import micros_text


def project(project_id: str, usages: Sequence[ServerUsage], period: Period, *, detailed: bool) -> dict[str, Any]:
    """What a project used in a period, and each of its servers when it is asked for."""
    shown: dict[str, Any] = {
        "tenant_id": project_id,
        "start": micros_text(period.start),
        "stop": micros_text(period.stop),
        **totals(usages),
    }
    return shown | {"server_usages": [_server(usage) for usage in usages]} if detailed else shown


def _server(usage: ServerUsage) -> dict[str, Any]:
    server = usage.server
    return {
        "instance_id": server.id,
        "name": server.name,
        "tenant_id": server.project_id,
        "flavor": server.flavor["original_name"],
        "vcpus": server.vcpus,
        "memory_mb": server.memory_mb,
        "local_gb": usage.disk_gb,
        "hours": usage.hours,
        "uptime": usage.uptime_s,
        "started_at": micros_text(server.launched_at),
        "ended_at": micros_text(usage.ended_at) if usage.ended_at is not None else None,
        "state": "terminated" if server.deleted_at is not None else server.state,
    }
