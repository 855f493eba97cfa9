"""The hypervisor port: guests on one host.

A guest is named by its server's UUID. The driver keeps what it must remember (disks, console log, which reboot was
done last) in a directory of the guest's own, so that a new process of the agent finds every guest again. Guests outlive
the process that started them.
"""

from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

Power = Literal["running", "stopped"]
Amount = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class ImageRef(msgspec.Struct, frozen=True):
    """The image a root disk is made from. `os_hash` is the hex SHA-512 of its bytes; `size` is in bytes."""

    id: str
    disk_format: str
    size: int
    os_hash: str


class Nic(msgspec.Struct, frozen=True):
    """A network card. The tap device it is plugged into is `hypervisor.tap_name(port_id)` on the node."""

    port_id: str
    mac: str
    mtu: int


class GuestSpec(msgspec.Struct, frozen=True):
    """What a guest is to be.

    `hard_boots` and `soft_boots` only grow: a driver that has seen a smaller number power-cycles the guest (hard) or
    presses its power button and starts it again (soft), once, and remembers the number. Starting a stopped guest counts
    as a hard boot: whoever wants it running again says `power` "running" and a greater `hard_boots`.
    """

    name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    image: ImageRef | None
    nics: tuple[Nic, ...] = ()
    power: Power = "running"
    hard_boots: int = 0
    soft_boots: int = 0
    config_drive: bool = False


class GuestFiles(msgspec.Struct, frozen=True):
    """Files the agent made ready on this host: the image's bytes (checked, read-only) and an ISO 9660 config drive."""

    base: Path | None = None
    base_format: Literal["raw", "qcow2"] = "raw"
    config_drive: Path | None = None


class GuestSeen(msgspec.Struct, frozen=True):
    """What a guest is. `stopped` after the guest shut itself down, too; `vanished` when its process died under it."""

    power: Literal["running", "stopped", "vanished"]
    hard_boots: int = 0
    soft_boots: int = 0
    tap_ports: tuple[str, ...] = ()


class Capacity(msgspec.Struct, frozen=True):
    """What a host has to give. `cpu_info` is the JSON text that the hypervisors API shows."""

    hypervisor_type: Annotated[str, Meta(max_length=64)]
    hypervisor_version: Amount
    vcpus: Amount
    memory_mb: Amount
    disk_gb: Amount
    cpu_info: Annotated[str, Meta(max_length=65535)] = "{}"


class DriverRefused(Exception):
    """The driver cannot do what was asked, and says in one sentence why; a repeat will not help."""


def tap_name(port_id: str) -> str:
    """The tap device of a port: 14 characters, below Linux's 15."""
    return f"tap{port_id[:11]}"


class Hypervisor(Protocol):
    """Guests on one host. `features`: "console-log", "config-drive", "disk-image" (it wants `base`), "soft-reboot"."""

    features: frozenset[str]

    async def capacity(self) -> Capacity: ...

    async def ensure(self, guest: str, spec: GuestSpec, files: GuestFiles) -> None:
        """Make the guest as `spec` says: disks made on the first call, then power, boots and network cards up to date.

        A running guest's cards are plugged and unplugged; one that does not let go of a card is an OSError.
        Disks are never made anew once they are whole. Taps named by the spec exist before the call.
        Raises DriverRefused for what cannot be (an image larger than the disk), OSError for what may pass.
        """

    async def remove(self, guest: str) -> None:
        """Stop the guest and delete its directory. Absent is done."""

    async def observe(self) -> dict[str, GuestSeen]:
        """Every guest that has a directory or a process here, whoever started it."""

    async def console_log(self, guest: str, limit: int) -> bytes:
        """The last `limit` bytes the guest wrote to its serial console since its disks were made; empty when none."""

    async def close(self) -> None:
        """Let go of sockets and tasks; guests run on."""
