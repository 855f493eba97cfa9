"""Guests that are only written down: what `maldon up --simulate` and the tests run on.

It keeps every promise of the port but that of running something. A guest is one small JSON file in the home, so the
next process finds it; each change is one write and one rename. `shut_down` and `kill` are what a guest or a fate may do
to a real one.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from maldon.drivers.hypervisor.disk import size_for
from maldon.drivers.hypervisor.names import check_name
from maldon.ports.hypervisor import Capacity, GuestFiles, GuestSeen, GuestSpec

BOOT = """\
[    0.000000] Linux version 6.1.0-maldon-fake (maldon@localhost)
[    0.000000] Command line: root=/dev/vda1 console=ttyS0
[    0.512000] virtio_blk virtio1: [vda]
[    1.204000] Run /init as init process
{name} login:
"""


class _Guest(msgspec.Struct, frozen=True):
    name: str
    starts: int
    seen: GuestSeen


class FakeHypervisor:
    """`home` holds the guests. The host is always the same: 64 VCPUs, 256 GiB, 4 TiB."""

    features = frozenset({"console-log", "config-drive", "soft-reboot"})

    def __init__(self, home: Path, guest_command: Callable[[list[str]], list[str]]) -> None:
        self._guest_command = guest_command  # taken so that all drivers are made alike; there is nothing to run
        home.mkdir(parents=True, exist_ok=True)
        self._home = str(home)
        self._guests = {file.stem: msgspec.json.decode(file.read_bytes(), type=_Guest) for file in home.glob("*.json")}

    @classmethod
    def missing(cls) -> str | None:
        """It lacks nothing."""
        return None

    async def capacity(self) -> Capacity:
        return Capacity("fake", 1_000_000, vcpus=64, memory_mb=256 * 1024, disk_gb=4096)

    async def ensure(self, guest: str, spec: GuestSpec, files: GuestFiles) -> None:  # noqa: ARG002 (the spec says all that a fake needs)
        check_name(guest)
        known = self._guests.get(guest)
        if known is None:
            size_for(spec.root_gb, spec.image.size if spec.image else 0)
        boots = (spec.hard_boots, spec.soft_boots)
        if spec.power == "stopped":
            starts, seen = known.starts if known else 0, GuestSeen("stopped", *boots)
        elif known and known.seen.power == "running" and not _behind(known.seen, spec):
            starts, seen = known.starts, msgspec.structs.replace(known.seen, tap_ports=_ports(spec))
        else:
            taps = _ports(spec)
            starts, seen = (known.starts if known else 0) + 1, GuestSeen("running", *boots, taps)
        self._write(guest, _Guest(spec.name, starts, seen))

    async def remove(self, guest: str) -> None:
        check_name(guest)
        if self._guests.pop(guest, None):
            with suppress(FileNotFoundError):
                os.unlink(f"{self._home}/{guest}.json")  # noqa: PTH108 (as in _write)

    async def observe(self) -> dict[str, GuestSeen]:
        return {guest: known.seen for guest, known in self._guests.items()}

    async def console_log(self, guest: str, limit: int) -> bytes:
        check_name(guest)
        known = self._guests.get(guest)
        if known is None or limit <= 0:
            return b""
        one = BOOT.format(name=known.name).encode()
        return (one * min(known.starts, limit // len(one) + 1))[-limit:]

    async def close(self) -> None:
        """Nothing is held between calls."""

    def shut_down(self, guest: str) -> None:
        """The guest turns itself off."""
        self._lose_process(guest, "stopped")

    def kill(self, guest: str) -> None:
        """The guest's process dies under it."""
        self._lose_process(guest, "vanished")

    def _lose_process(self, guest: str, power: Literal["stopped", "vanished"]) -> None:
        known = self._guests[guest]
        seen = msgspec.structs.replace(known.seen, power=power, tap_ports=())
        self._write(guest, msgspec.structs.replace(known, seen=seen))

    def _write(self, guest: str, known: _Guest) -> None:
        if self._guests.get(guest) == known:
            return
        whole = f"{self._home}/{guest}.json"
        with open(f"{whole}.part", "wb", buffering=0) as file:  # noqa: PTH123 (a Path costs as much as the write)
            file.write(msgspec.json.encode(known))
        os.replace(f"{whole}.part", whole)  # noqa: PTH105 (the same)
        self._guests[guest] = known


def _ports(spec: GuestSpec) -> tuple[str, ...]:
    return tuple(nic.port_id for nic in spec.nics)


def _behind(seen: GuestSeen, spec: GuestSpec) -> bool:
    return seen.hard_boots < spec.hard_boots or seen.soft_boots < spec.soft_boots
