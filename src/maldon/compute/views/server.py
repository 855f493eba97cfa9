"""Servers as each microversion shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha224
from typing import Any

import msgspec

from maldon.compute.plan.states import POWER, STATUSES
from maldon.compute.views.links import bookmark, links
from maldon.kernel.clock import micros_text, seconds_text
from maldon.web.microversion import Version

PROGRESS = {"BUILD": 0, "ACTIVE": 100, "REBOOT": 100, "HARD_REBOOT": 100}
Addresses = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Beside:
    """What is shown of a server and is no column of it; its server group only where it is shown alone."""

    addresses: Addresses
    groups: Sequence[str] = ()
    tags: Sequence[str] = ()
    host_status: str = ""
    server_groups: Sequence[str] = ()


def host_token(project_id: str, host: str | None) -> str:
    """The name of a host that is the same within a project and says nothing else."""
    return sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def created(server: Any, groups: Sequence[str], password: str, base: str) -> dict[str, Any]:
    """The answer to a create."""
    return {
        "id": server["id"],
        "links": links(base, "servers", server["id"]),
        "OS-DCF:diskConfig": server["disk_config"],
        "security_groups": [{"name": name} for name in groups],
        "adminPass": password,
    }


def brief(server: Any, base: str) -> dict[str, Any]:
    """A server in a short list."""
    return {"id": server.id, "name": server.name, "links": links(base, "servers", server.id)}


def document(value: Any) -> Any:
    """A stored document: text goes into the answer as it is."""
    return msgspec.Raw(value.encode()) if isinstance(value, str) else value


def embedded(flavor: Any) -> dict[str, Any]:
    """A flavor as servers show it since 2.47, and as they store it."""
    return {
        "original_name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.memory_mb,
        "disk": flavor.disk_gb,
        "ephemeral": flavor.ephemeral_gb,
        "swap": flavor.swap_mb,
        "extra_specs": flavor.extra_specs,
    }


def bare(addresses: Addresses) -> dict[str, list[dict[str, Any]]]:
    """Addresses without their kind and MAC."""
    return {
        label: [{"version": one["version"], "addr": one["addr"]} for one in found] for label, found in addresses.items()
    }


class Shape:
    """Servers of one request: its version, its base address, and what its asker may see."""

    __slots__ = ("_base", "_operator", "_version")

    def __init__(self, version: Version, base: str, *, operator: bool) -> None:
        self._version, self._base, self._operator = version, base, operator

    def plain(self, server: Any, beside: Beside) -> dict[str, Any]:
        """What every view holds, and all that an update showed before 2.75."""
        version, status = self._version, STATUSES[server.state, server.task]
        shown = {
            "id": server.id,
            "name": server.name,
            "status": status,
            "tenant_id": server.project_id,
            "user_id": server.user_id,
            "metadata": document(server.properties),
            "hostId": host_token(server.project_id, server.host),
            "image": self._image(server.image_id),
            "flavor": self._flavor(server),
            "created": seconds_text(server.created_at) + "Z",
            "updated": seconds_text(server.updated_at) + "Z",
            "addresses": beside.addresses,
            "accessIPv4": server.access_ip_v4,
            "accessIPv6": server.access_ip_v6,
            "links": links(self._base, "servers", server.id),
            "OS-DCF:diskConfig": server.disk_config,
        }
        if status in PROGRESS:
            shown["progress"] = PROGRESS[status]
        if server.fault and status in {"ERROR", "DELETED"}:
            shown["fault"] = self._fault(server.fault)
        if version >= (2, 9):
            shown["locked"] = server.locked
        if version >= (2, 19):
            shown["description"] = server.description
        if version >= (2, 26):
            shown["tags"] = beside.tags
        if version >= (2, 63):
            shown["trusted_image_certificates"] = None
        if version >= (2, 73):
            shown["locked_reason"] = server.locked_reason
        if version >= (2, 96):
            shown["pinned_availability_zone"] = server.pinned_availability_zone
        return shown

    def full(self, server: Any, beside: Beside) -> dict[str, Any]:
        """A server in a list of details."""
        volumes: list[Any] = []
        shown = self.plain(server, beside) | {
            "OS-EXT-AZ:availability_zone": server.availability_zone or "",
            "config_drive": "True" if server.config_drive else "",
            "key_name": server.key_name,
            "OS-SRV-USG:launched_at": micros_text(server.launched_at) if server.launched_at else None,
            "OS-SRV-USG:terminated_at": micros_text(server.terminated_at) if server.terminated_at else None,
            "OS-EXT-STS:task_state": server.task,
            "OS-EXT-STS:vm_state": server.state,
            "OS-EXT-STS:power_state": POWER[server.power],
            "os-extended-volumes:volumes_attached": volumes,
        }
        if beside.groups:
            shown["security_groups"] = [{"name": name} for name in beside.groups]
        if self._operator:
            shown |= self._operators(server)
            if self._version >= (2, 16):
                shown["host_status"] = beside.host_status
        elif self._version >= (2, 90):
            shown["OS-EXT-SRV-ATTR:hostname"] = server.hostname
        return shown

    def one(self, server: Any, beside: Beside) -> dict[str, Any]:
        """A server by itself."""
        return self._grouped(self.full(server, beside), beside)

    def updated(self, server: Any, beside: Beside) -> dict[str, Any]:
        """A server after an update."""
        if self._version < (2, 75):
            return self._grouped(self.plain(server, beside) | {"addresses": bare(beside.addresses)}, beside)
        return self.one(server, beside)

    def _grouped(self, shown: dict[str, Any], beside: Beside) -> dict[str, Any]:
        if self._version >= (2, 71):
            shown["server_groups"] = [*beside.server_groups]
        return shown

    def _operators(self, server: Any) -> dict[str, Any]:
        shown = {
            "OS-EXT-SRV-ATTR:host": server.host,
            "OS-EXT-SRV-ATTR:instance_name": server.id,
            "OS-EXT-SRV-ATTR:hypervisor_hostname": server.host,
        }
        if self._version >= (2, 3):
            shown |= {
                "OS-EXT-SRV-ATTR:reservation_id": server.reservation_id,
                "OS-EXT-SRV-ATTR:launch_index": server.launch_index,
                "OS-EXT-SRV-ATTR:hostname": server.hostname,
                "OS-EXT-SRV-ATTR:kernel_id": "",
                "OS-EXT-SRV-ATTR:ramdisk_id": "",
                "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
                "OS-EXT-SRV-ATTR:user_data": server.user_data,
            }
        return shown

    def _image(self, image_id: str | None) -> Any:
        if not image_id:
            return ""
        return {"id": image_id, "links": bookmark(self._base, "images", image_id)}

    def _flavor(self, server: Any) -> Any:
        if self._version < (2, 47):
            return {"id": server.flavor_id, "links": bookmark(self._base, "flavors", server.flavor_id)}
        return document(server.flavor)

    def _fault(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        shown = {
            "code": fault["status"],
            "created": seconds_text(fault["at"]) + "Z",
            "message": fault["message"],
        }
        if fault.get("details") and (self._operator or fault["status"] != 500):
            shown["details"] = fault["details"]
        return shown
