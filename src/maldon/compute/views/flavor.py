"""Flavors as each microversion shows them."""

from typing import Any

from maldon.compute.verbs.flavor import Flavor
from maldon.compute.views.links import links
from maldon.web.microversion import Version


def brief(flavor: Flavor, base: str, version: Version) -> dict[str, Any]:
    """A flavor in a short list."""
    shown: dict[str, Any] = {"id": flavor.id, "name": flavor.name, "links": links(base, "flavors", flavor.id)}
    if version >= (2, 55):
        shown["description"] = flavor.description
    return shown


def full(flavor: Flavor, base: str, version: Version, *, specs: bool) -> dict[str, Any]:
    """A flavor by itself; `specs` says whether the asker may see extra specs."""
    shown = brief(flavor, base, version) | {
        "ram": flavor.memory_mb,
        "vcpus": flavor.vcpus,
        "disk": flavor.disk_gb,
        "swap": flavor.swap_mb if flavor.swap_mb or version >= (2, 75) else "",
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gb,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": flavor.rxtx_factor,
    }
    if specs and version >= (2, 61):
        shown["extra_specs"] = flavor.extra_specs
    return shown
