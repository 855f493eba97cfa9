"""Hypervisors as each microversion shows them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from maldon.compute.plan.host_number import shown_id
from maldon.placement.service import Host
from maldon.web.microversion import Version

LEAN = (2, 88)  # since then placement is where to look for numbers
COUNTED = {
    "vcpus": "vcpus",
    "vcpus_used": "used_vcpus",
    "memory_mb": "memory_mb",
    "memory_mb_used": "used_memory_mb",
    "local_gb": "disk_gb",
    "local_gb_used": "used_disk_gb",
    "running_vms": "claims",
}


def brief(host: Host, version: Version, servers: Sequence[Any] | None = None) -> dict[str, Any]:
    """A hypervisor in a short list; `servers` are told when they were asked for."""
    shown: dict[str, Any] = {
        "id": shown_id(host.id, version),
        "hypervisor_hostname": host.name,
        "state": "up" if host.alive else "down",
        "status": "enabled" if host.enabled else "disabled",
    }
    if servers or (servers is not None and version >= (2, 75)):
        shown["servers"] = [{"name": server.name, "uuid": server.id} for server in servers]
    return shown


def full(host: Host, version: Version, servers: Sequence[Any] | None = None) -> dict[str, Any]:
    """A hypervisor by itself."""
    shown = brief(host, version, servers) | {
        "service": {
            "id": shown_id(host.id, version),
            "host": host.name,
            "disabled_reason": host.disabled_reason,
        },
        "hypervisor_type": host.hypervisor_type,
        "hypervisor_version": host.hypervisor_version,
        "host_ip": host.tunnel_ip,
    }
    if version >= LEAN:
        return shown | {"uptime": None}
    return shown | totals([host]) | {"cpu_info": _cpu_info(host) if version >= (2, 28) else host.cpu_info}


def totals(hosts: Iterable[Host]) -> dict[str, int]:
    """The numbers of some hosts, added up."""
    known = [*hosts]
    shown = {name: sum(getattr(host, field) for host in known) for name, field in COUNTED.items()}
    free_gb = shown["local_gb"] - shown["local_gb_used"]
    return shown | {
        "free_ram_mb": shown["memory_mb"] - shown["memory_mb_used"],
        "free_disk_gb": free_gb,
        "disk_available_least": free_gb,
        "current_workload": 0,
    }


def _cpu_info(host: Host) -> dict[str, Any]:
    """What the host told of its processors; nothing, if it was no object."""
    try:
        info: dict[str, Any] = msgspec.json.decode(host.cpu_info, type=dict)
    except msgspec.DecodeError:
        return {}
    return info
