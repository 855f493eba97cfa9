"""The hypervisor drivers under the contract suite, each with what the suite must be able to do to its guests.

The real guests are boot sectors of our own: they say BANNER on the serial port, then wait for the power button, turn
themselves off, or play deaf. No kernel, up in a fraction of a second, 32 MB.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from maldon.drivers.hypervisor import processes, qmp
from maldon.drivers.hypervisor.command import CONSOLE
from maldon.drivers.hypervisor.fake import FakeHypervisor
from maldon.drivers.hypervisor.qemu import QemuHypervisor
from maldon.ports.hypervisor import GuestFiles, GuestSpec, Hypervisor, ImageRef

GUEST = "6f1c2a34-0000-4000-8000-00000000000a"
OTHER = "6f1c2a34-0000-4000-8000-00000000000b"
BANNER = b"maldon test guest\n"
MIB = 1024**2

SAY = "fa 31c0 8ed8 fc be007d"  # no interrupts; ds = 0; the text is at 0x7d00
SAY += "ac 84c0 7412"  # next: lodsb; the end of the text?
SAY += "88c3 bafd03 ec a820 74fb"  # wait until the serial port takes a byte
SAY += "88d8 baf803 ee ebe9"  # write it; next
WAIT = "b80001 ba0206 ef ba0006"  # let the power button be seen: bit 8 of PM1 enable
WAIT += "fb f4 ed f6c401 74f9"  # sleep to the next tick; pressed?
OFF = "ba0406 b80020 ef"  # PM1 control: sleep type 5, go
HALT = "fa f4 ebfc"

POLITE, SLEEPY, DEAF = SAY + WAIT + OFF + HALT, SAY + OFF + HALT, SAY + HALT


def boot_disk(path: Path, code: str, size: int = MIB) -> Path:
    """A raw disk that boots `code`."""
    sector = bytes.fromhex(code).ljust(0x100, b"\0") + BANNER
    path.write_bytes(sector.ljust(510, b"\0") + b"\x55\xaa")
    os.truncate(path, size)
    return path


async def until(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = 20.0) -> None:
    """Wait for something that must come true."""
    deadline = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.02)


class Subject(Protocol):
    """A driver under test, on a home of its own."""

    home: Path

    def make(self) -> Hypervisor:
        """A driver as a new process of the agent makes it."""

    def image(self, size: int = MIB) -> tuple[ImageRef, GuestFiles]: ...

    async def starts(self, guest: str) -> int:
        """How often the guest has booted so far."""

    async def shut_down(self, guest: str) -> None:
        """The guest turns itself off."""

    async def kill(self, guest: str) -> None:
        """The guest's process dies."""

    def clean(self) -> None: ...


class FakeSubject:
    def __init__(self, home: Path) -> None:
        self.home = home
        self._made: list[FakeHypervisor] = []

    def make(self) -> FakeHypervisor:
        self._made.append(FakeHypervisor(self.home, guest_command=list))
        return self._made[-1]

    def image(self, size: int = MIB) -> tuple[ImageRef, GuestFiles]:
        return ImageRef("image", "raw", size, "0" * 128), GuestFiles()

    async def starts(self, guest: str) -> int:
        return (await FakeHypervisor(self.home, guest_command=list).console_log(guest, MIB)).count(b"login:")

    async def shut_down(self, guest: str) -> None:
        self._made[-1].shut_down(guest)

    async def kill(self, guest: str) -> None:
        self._made[-1].kill(guest)

    def clean(self) -> None:
        pass


class QemuSubject:
    def __init__(self, home: Path) -> None:
        self.home = home

    def make(self) -> QemuHypervisor:
        driver = QemuHypervisor(self.home, guest_command=list)
        driver.powerdown_s = 4.0
        return driver

    def image(self, size: int = MIB, code: str = POLITE) -> tuple[ImageRef, GuestFiles]:
        path = boot_disk(self.home.parent / f"image-{size}", code, size)
        return ImageRef("image", "raw", size, "0" * 128), GuestFiles(base=path)

    async def starts(self, guest: str) -> int:
        return self._count(guest)

    async def booted(self, guest: str, times: int) -> None:
        async def as_often() -> bool:
            return self._count(guest) >= times

        await until(as_often, f"{times} boots, there were {self._count(guest)}")

    async def shut_down(self, guest: str) -> None:
        await self.booted(guest, 1)
        assert await qmp.press_power(self.home / guest, 10)

    async def kill(self, guest: str) -> None:
        for pid in processes.of_guest(self.home, guest):
            os.kill(pid, signal.SIGKILL)
            assert await processes.wait_gone(pid, self.home, guest, timeout_s=10)

    def clean(self) -> None:
        """Leave no process behind, whatever the test came to."""
        for pids in processes.scan(self.home).values():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

    def _count(self, guest: str) -> int:
        log = self.home / guest / CONSOLE
        return log.read_bytes().count(BANNER) if log.exists() else 0


def spec_of(image: ImageRef | None, **changes: object) -> GuestSpec:
    """A small guest."""
    usual = {"name": "small", "vcpus": 1, "memory_mb": 32, "root_gb": 1, "image": image}
    return GuestSpec(**{**usual, **changes})  # type: ignore[arg-type]


def qemu_at(home: Path) -> Iterator[QemuSubject]:
    """A QEMU driver's subject, cleaned up in the end; for fixtures."""
    if QemuHypervisor.missing():
        pytest.skip(QemuHypervisor.missing())
    subject = QemuSubject(home)
    yield subject
    subject.clean()


async def started(subject: Subject, guest: str = GUEST) -> Hypervisor:
    """A driver with one running guest that has booted."""
    driver = subject.make()
    image, files = subject.image()
    await driver.ensure(guest, spec_of(image), files)
    await booted(subject, guest, 1)
    return driver


async def booted(subject: Subject, guest: str, times: int) -> None:
    async def as_often() -> bool:
        return await subject.starts(guest) >= times

    await until(as_often, f"{times} boots of {guest}")
