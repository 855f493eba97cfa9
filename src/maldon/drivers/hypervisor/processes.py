"""Guests as processes of this host.

A QEMU is known by an argument of its own command line, the path of its pid file; that holds from the first instant,
also for one whose agent died while starting it. Ids of processes are reused, so nothing is killed by number: first a
pidfd, then the look at the command line, then the signal.
"""

import asyncio
import os
import signal
from collections import defaultdict
from pathlib import Path

from maldon.drivers.hypervisor.names import GUEST

PID = "pid"


def scan(home: Path) -> dict[str, list[int]]:
    """The processes of every guest of this home."""
    found = defaultdict(list)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            guest = _guest_of(int(entry.name), home)
            if guest:
                found[guest].append(int(entry.name))
    return dict(found)


def of_guest(home: Path, guest: str) -> list[int]:
    """The processes of one guest: by its pid file, or by looking at all when that leads nowhere."""
    pid = recorded(home, guest)
    return [pid] if pid else scan(home).get(guest, [])


def recorded(home: Path, guest: str) -> int | None:
    """The process that the guest's pid file names, if it really is the guest's."""
    try:
        pid = int((home / guest / PID).read_text())
    except (OSError, ValueError):
        return None
    return pid if _guest_of(pid, home) == guest else None


def _guest_of(pid: int, home: Path) -> str | None:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    marker = os.fsencode(home) + b"/"
    for argument in line.split(b"\0"):
        if argument.startswith(marker) and argument.endswith(b"/" + PID.encode()):
            name = os.fsdecode(argument[len(marker) : -len(PID) - 1])
            return name if GUEST.fullmatch(name) else None
    return None


async def wait_gone(pid: int, home: Path, guest: str, *, timeout_s: float, kill: bool = False) -> bool:
    """Whether the guest's process has ended within the time; `kill` ends it at once."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    try:
        if _guest_of(pid, home) != guest:
            return True
        if kill:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        loop.add_reader(fd, gone.set)
        async with asyncio.timeout(timeout_s):
            await gone.wait()
    except ProcessLookupError:
        return True
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return True
