"""What this host has to give."""

import json
from pathlib import Path

import psutil

from maldon.ports.hypervisor import Capacity


def capacity(home: Path, hypervisor_type: str, version: int) -> Capacity:
    """All of the host's processors and memory, and the file system that holds the guests."""
    return Capacity(
        hypervisor_type=hypervisor_type,
        hypervisor_version=version,
        vcpus=psutil.cpu_count() or 1,
        memory_mb=psutil.virtual_memory().total // 1024**2,
        disk_gb=psutil.disk_usage(str(home)).total // 1024**3,
        cpu_info=json.dumps(_cpu_info()),
    )


def _cpu_info() -> dict[str, object]:
    first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0]
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    threads, cores = psutil.cpu_count() or 1, psutil.cpu_count(logical=False) or 1
    return {
        "arch": "x86_64",
        "model": fields.get("model name", "unknown"),
        "vendor": fields.get("vendor_id", "unknown"),
        "features": sorted(fields.get("flags", "").split()),
        "topology": {"sockets": 1, "cores": cores, "threads": max(1, threads // cores)},
    }
