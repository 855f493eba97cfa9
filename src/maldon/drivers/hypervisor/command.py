"""The command line of a guest: a pure function of its spec and of what this host can do.

A `pc` machine with virtio everywhere: Debian's cloud kernel knows neither AHCI nor e1000. Nothing is left to defaults,
every block device names its format, and QEMU stays (`-no-shutdown`) after the guest turned itself off, so that this can
be told from a crash. The product name is the one by which cloud-init recognises an OpenStack cloud.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from maldon.drivers.hypervisor.disk import ROOT
from maldon.drivers.hypervisor.processes import PID
from maldon.ports.hypervisor import DriverRefused, GuestSpec, Nic, tap_name

BINARY = "qemu-system-x86_64"
MAX_VCPUS = 255
CONSOLE = "console.log"
CONFIG_DRIVE = "config.iso"
LOG = "qemu.log"
SANDBOX = ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
ACCELERATED = {
    "kvm": ["-accel", "kvm", "-cpu", "host"],
    "tcg": ["-accel", "tcg,thread=multi", "-cpu", "max"],
}


class Abilities(msgspec.Struct, frozen=True):
    """What QEMU can do on this host: `accel` is "kvm" or "tcg"."""

    accel: str
    sandbox: bool
    vhost: bool
    version: int


def check(spec: GuestSpec) -> None:
    """Refuse a guest that no host of this kind can run."""
    if not 1 <= spec.vcpus <= MAX_VCPUS:
        raise DriverRefused(
            f"the flavor asks for {spec.vcpus} VCPUs and QEMU gives 1 to {MAX_VCPUS}: choose another flavor"
        )


def command_line(home: Path, guest: str, spec: GuestSpec, abilities: Abilities, qmp_fd: int) -> list[str]:
    """QEMU's arguments. It answers QMP on the listening socket that it inherits as `qmp_fd`."""
    directory = home / guest
    line = [BINARY, "-nodefaults", "-no-user-config", "-no-shutdown", "-display", "none", "-vga", "none"]
    line += ["-name", f"guest={guest}", "-uuid", guest, "-pidfile", str(directory / PID)]
    line += ["-machine", "pc,usb=off", *ACCELERATED[abilities.accel]]
    line += ["-smp", str(spec.vcpus), "-m", f"{spec.memory_mb}M", "-rtc", "base=utc", "-boot", "strict=on"]
    line += ["-global", "PIIX4_PM.disable_s3=1", "-global", "PIIX4_PM.disable_s4=1"]
    line += ["-smbios", f"type=1,manufacturer=Maldon,product=OpenStack Nova,serial={guest},uuid={guest}"]
    line += ["-chardev", f"socket,id=qmp,fd={qmp_fd},server=on,wait=off", "-mon", "chardev=qmp,mode=control"]
    line += ["-chardev", f"file,id=console,path={_comma(directory / CONSOLE)},append=on"]
    line += ["-device", "isa-serial,chardev=console"]
    line += ["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"]
    line += _disk("root", directory / ROOT, "qcow2", read_only=False)
    if spec.config_drive:
        line += _disk("config", directory / CONFIG_DRIVE, "raw", read_only=True)
    for nic in spec.nics:
        line += ["-netdev", _option(netdev(nic, vhost=abilities.vhost)), "-device", _option(card(nic))]
    return line + (SANDBOX if abilities.sandbox else [])


def _disk(name: str, path: Path, disk_format: str, *, read_only: bool) -> list[str]:
    file = {"driver": "file", "filename": str(path), "aio": "threads"}
    node = {"driver": disk_format, "node-name": name, "read-only": read_only, "discard": "unmap", "file": file}
    boot = ",bootindex=1" if name == "root" else ""
    return ["-blockdev", json.dumps(node), "-device", f"virtio-blk-pci,drive={name},id={name}{boot}"]


def netdev_id(port_id: str) -> str:
    """What QEMU calls the host's side of a port's card."""
    return f"net-{port_id}"


def card_id(port_id: str) -> str:
    """What QEMU calls a port's card."""
    return f"card-{port_id}"


def netdev(nic: Nic, *, vhost: bool) -> dict[str, Any]:
    """The host's side of a card: the arguments of QMP's netdev_add."""
    tap = {"type": "tap", "id": netdev_id(nic.port_id), "ifname": tap_name(nic.port_id)}
    return {**tap, "script": "no", "downscript": "no", "vhost": vhost}


def card(nic: Nic) -> dict[str, Any]:
    """A card: the arguments of QMP's device_add."""
    ids = {"driver": "virtio-net-pci", "id": card_id(nic.port_id), "netdev": netdev_id(nic.port_id)}
    return {**ids, "mac": nic.mac, "host_mtu": nic.mtu, "romfile": ""}


def _option(arguments: dict[str, Any]) -> str:
    """QMP's arguments as the command line has them."""
    (_, kind), *rest = arguments.items()
    switches = {True: "on", False: "off"}
    return ",".join([kind, *(f"{key}={switches[v] if isinstance(v, bool) else v}" for key, v in rest)])


def _comma(path: Path) -> str:
    """A path inside a QEMU option, where a comma would end it."""
    return str(path).replace(",", ",,")
