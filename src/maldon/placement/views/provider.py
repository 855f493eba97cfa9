"""Hosts as the placement API shows them: resource providers without parents, of three resource classes."""

from typing import Any

from maldon.placement.service import Host
from maldon.placement.settings import PlacementSettings
from maldon.web.microversion import Version

CLASSES = ("VCPU", "MEMORY_MB", "DISK_GB")
_LINKS = (("inventories", (1, 0)), ("usages", (1, 0)), ("aggregates", (1, 1)), ("traits", (1, 6)))


def provider(host: Host, root: str, version: Version) -> dict[str, Any]:
    """A provider. `root` is the path of the API ("/placement")."""
    href = f"{root}/resource_providers/{host.id}"
    names = [name for name, since in (*_LINKS, ("allocations", (1, 11))) if version >= since]
    links = [{"rel": "self", "href": href}, *({"rel": name, "href": f"{href}/{name}"} for name in names)]
    shown: dict[str, Any] = {"uuid": host.id, "name": host.name, "generation": host.generation, "links": links}
    if version >= (1, 14):
        shown |= {"parent_provider_uuid": None, "root_provider_uuid": host.id}
    return shown


def inventories(host: Host, settings: PlacementSettings) -> dict[str, dict[str, Any]]:
    """What the host has, by resource class."""
    has = (
        ("VCPU", host.vcpus, 0, settings.cpu_ratio),
        ("MEMORY_MB", host.memory_mb, min(settings.reserved_memory_mb, host.memory_mb), settings.memory_ratio),
        ("DISK_GB", host.disk_gb, 0, settings.disk_ratio),
    )
    return {
        name: {
            "total": total,
            "reserved": reserved,
            "min_unit": 1,
            "max_unit": max(1, total),
            "step_size": 1,
            "allocation_ratio": ratio,
        }
        for name, total, reserved, ratio in has
    }


def usages(host: Host) -> dict[str, int]:
    """What is claimed of the host, by resource class."""
    return {"VCPU": host.used_vcpus, "MEMORY_MB": host.used_memory_mb, "DISK_GB": host.used_disk_gb}


def claimed(claim: Any) -> dict[str, int]:
    """The resources of one claim; a class of which nothing is claimed is left out."""
    sizes = {"VCPU": claim.vcpus, "MEMORY_MB": claim.memory_mb, "DISK_GB": claim.disk_gb}
    return {name: size for name, size in sizes.items() if size}


def summary(host: Host, settings: PlacementSettings, wanted: set[str], version: Version) -> dict[str, Any]:
    """A provider among allocation candidates; before 1.27 only of the classes asked for."""
    promised = dict(zip(CLASSES, host.promised(settings), strict=True))
    used = usages(host)
    names = [name for name in CLASSES if version >= (1, 27) or name in wanted]
    shown: dict[str, Any] = {"resources": {n: {"capacity": promised[n], "used": used[n]} for n in names}}
    if version >= (1, 17):
        shown["traits"] = []
    if version >= (1, 29):
        shown |= {"parent_provider_uuid": None, "root_provider_uuid": host.id}
    return shown
