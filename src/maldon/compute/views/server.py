"""Servers as each microversion shows them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha224
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from maldon.compute.plan.states import POWER, STATUSES
from maldon.compute.views.links import bookmark, links
from maldon.kernel.clock import micros_text, seconds_text
from maldon.web.microversion import Version

PROGRESS = {"BUILD": 0, "ACTIVE": 100, "REBOOT": 100, "HARD_REBOOT": 100}
Addresses = Mapping[str, Sequence[Mapping[str, Any]]]
_NAMES = {
    "host_token": "hostId",
    "access_ip_v4": "accessIPv4",
    "access_ip_v6": "accessIPv6",
    "disk_config": "OS-DCF:diskConfig",
    "availability_zone": "OS-EXT-AZ:availability_zone",
    "launched_at": "OS-SRV-USG:launched_at",
    "terminated_at": "OS-SRV-USG:terminated_at",
    "volumes_attached": "os-extended-volumes:volumes_attached",
    **{name: f"OS-EXT-STS:{name}" for name in ("task_state", "vm_state", "power_state")},
    **{
        name: f"OS-EXT-SRV-ATTR:{name}"
        for name in (
            *("host", "instance_name", "hypervisor_hostname", "reservation_id", "launch_index", "hostname"),
            *("kernel_id", "ramdisk_id", "root_device_name", "user_data"),
        )
    },
}


class Beside(msgspec.Struct, frozen=True):
    """What is shown of a server and is no column of it; its server group only where it is shown alone."""

    addresses: Addresses
    groups: Sequence[str] = ()
    tags: Sequence[str] = ()
    host_status: str = ""
    server_groups: Sequence[str] = ()


@lru_cache(maxsize=4096)
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
    return msgspec.Raw(value) if isinstance(value, str) else value


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


class Server(msgspec.Struct, rename=_NAMES):
    """A server as it is written. What the version, the asker or the server itself leaves out is UNSET."""

    id: str
    name: str
    status: str
    tenant_id: str
    user_id: str
    metadata: Any
    host_token: str
    image: Any
    flavor: Any
    created: str
    updated: str
    addresses: Addresses
    access_ip_v4: str
    access_ip_v6: str
    links: list[dict[str, str]]
    disk_config: str
    progress: int | UnsetType = UNSET
    fault: dict[str, Any] | UnsetType = UNSET
    locked: bool | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    tags: Sequence[str] | UnsetType = UNSET
    trusted_image_certificates: UnsetType | None = UNSET
    locked_reason: str | UnsetType | None = UNSET
    pinned_availability_zone: str | UnsetType | None = UNSET
    availability_zone: str | UnsetType = UNSET
    config_drive: str | UnsetType = UNSET
    key_name: str | UnsetType | None = UNSET
    launched_at: str | UnsetType | None = UNSET
    terminated_at: str | UnsetType | None = UNSET
    task_state: str | UnsetType | None = UNSET
    vm_state: str | UnsetType = UNSET
    power_state: int | UnsetType = UNSET
    volumes_attached: tuple[Any, ...] | UnsetType = UNSET
    security_groups: list[dict[str, str]] | UnsetType = UNSET
    host: str | UnsetType | None = UNSET
    instance_name: str | UnsetType = UNSET
    hypervisor_hostname: str | UnsetType | None = UNSET
    reservation_id: str | UnsetType = UNSET
    launch_index: int | UnsetType = UNSET
    hostname: str | UnsetType = UNSET
    kernel_id: str | UnsetType = UNSET
    ramdisk_id: str | UnsetType = UNSET
    root_device_name: str | UnsetType = UNSET
    user_data: str | UnsetType | None = UNSET
    host_status: str | UnsetType = UNSET
    server_groups: Sequence[str] | UnsetType = UNSET


class Shape:
    """Servers of one request: its version, its base address, and what its asker may see."""

    __slots__ = ("_base", "_minor", "_operator")

    def __init__(self, version: Version, base: str, *, operator: bool) -> None:
        self._minor, self._base, self._operator = version[1], base, operator

    def plain(self, server: Any, beside: Beside) -> Server:
        """What every view holds, and all that an update showed before 2.75."""
        minor, status = self._minor, STATUSES[server.state, server.task]
        shown = Server(
            server.id,
            server.name,
            status,
            server.project_id,
            server.user_id,
            document(server.properties),
            host_token(server.project_id, server.host),
            self._image(server.image_id),
            self._flavor(server),
            seconds_text(server.created_at) + "Z",
            seconds_text(server.updated_at) + "Z",
            beside.addresses,
            server.access_ip_v4,
            server.access_ip_v6,
            links(self._base, "servers", server.id),
            server.disk_config,
            PROGRESS.get(status, UNSET),
        )
        if server.fault and status in {"ERROR", "DELETED"}:
            shown.fault = self._fault(server.fault)
        if minor >= 9:
            shown.locked = server.locked
        if minor >= 19:
            shown.description = server.description
        if minor >= 26:
            shown.tags = beside.tags
        if minor >= 63:
            shown.trusted_image_certificates = None
        if minor >= 73:
            shown.locked_reason = server.locked_reason
        if minor >= 96:
            shown.pinned_availability_zone = server.pinned_availability_zone
        return shown

    def full(self, server: Any, beside: Beside) -> Server:
        """A server in a list of details."""
        shown = self.plain(server, beside)
        shown.availability_zone = server.availability_zone or ""
        shown.config_drive = "True" if server.config_drive else ""
        shown.key_name = server.key_name
        shown.launched_at = micros_text(server.launched_at) if server.launched_at else None
        shown.terminated_at = micros_text(server.terminated_at) if server.terminated_at else None
        shown.task_state = server.task
        shown.vm_state = server.state
        shown.power_state = POWER[server.power]
        shown.volumes_attached = ()
        if beside.groups:
            shown.security_groups = [{"name": name} for name in beside.groups]
        if self._operator:
            self._add_for_operators(shown, server, beside)
        elif self._minor >= 90:
            shown.hostname = server.hostname
        return shown

    def one(self, server: Any, beside: Beside) -> Server:
        """A server by itself."""
        return self._grouped(self.full(server, beside), beside)

    def updated(self, server: Any, beside: Beside) -> Server:
        """A server after an update."""
        if self._minor < 75:
            return self._grouped(self.plain(server, replace(beside, addresses=bare(beside.addresses))), beside)
        return self.one(server, beside)

    def _grouped(self, shown: Server, beside: Beside) -> Server:
        if self._minor >= 71:
            shown.server_groups = beside.server_groups
        return shown

    def _add_for_operators(self, shown: Server, server: Any, beside: Beside) -> None:
        shown.host = shown.hypervisor_hostname = server.host
        shown.instance_name = server.id
        if self._minor >= 3:
            shown.reservation_id = server.reservation_id
            shown.launch_index = server.launch_index
            shown.hostname = server.hostname
            shown.kernel_id = shown.ramdisk_id = ""
            shown.root_device_name = "/dev/vda"
            shown.user_data = server.user_data
        if self._minor >= 16:
            shown.host_status = beside.host_status

    def _image(self, image_id: str | None) -> Any:
        if not image_id:
            return ""
        return {"id": image_id, "links": bookmark(self._base, "images", image_id)}

    def _flavor(self, server: Any) -> Any:
        if self._minor < 47:
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
