"""Network namespaces, entered by threads.

A namespace belongs to a thread, so everything that must happen in one is done by a worker thread that enters it, works
and goes back: netlink sockets, /proc/sys/net, child processes and listening sockets are then all of that namespace, and
no process is started just to be there. The event loop's thread never leaves home.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN = Path("/run/netns")
CLONE_NEWNET = 0x40000000
COMMAND_S = 30
_libc = ctypes.CDLL(None, use_errno=True)


def run(command: list[str], text: str = "") -> str:
    """What a command printed; OSError with its complaint when it failed."""
    done = subprocess.run(
        command, input=text.encode(), capture_output=True, check=False, timeout=COMMAND_S, start_new_session=True
    )
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace").strip()
        raise OSError(f"{command[0]} failed: {complaint or done.returncode}")
    return done.stdout.decode()


def exists(name: str) -> bool:
    """A file that is no mount is what a crash between the two left: no namespace."""
    try:
        return (RUN / name).stat().st_dev != RUN.stat().st_dev
    except FileNotFoundError:
        return False


def create(name: str) -> bool:
    """Make the namespace if it is not there; True when it was made."""
    if exists(name):
        return False
    (RUN / name).unlink(missing_ok=True)
    run(["ip", "netns", "add", name])
    return True


def delete(name: str) -> None:
    if exists(name):
        run(["ip", "netns", "delete", name])


def listed() -> list[str]:
    return sorted(entry.name for entry in RUN.iterdir()) if RUN.is_dir() else []


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter a network namespace: {os.strerror(number)}")


@contextmanager
def entered(name: str | None) -> Iterator[None]:
    """The calling thread, never the event loop's, is in the namespace. None is the one this process started in."""
    path = Path(f"/proc/{os.getpid()}/ns/net") if name is None else RUN / name
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def sysctl(name: str, value: int) -> None:
    """Set "ipv4.ip_forward" or the like in the thread's namespace; FileNotFoundError if the kernel lacks it."""
    Path("/proc/sys/net", *name.split(".")).write_text(str(value))


def listen(name: str, address: str, port: int) -> socket.socket:
    """A non-blocking listening socket in the namespace."""
    with entered(name):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(128)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def processes(name: str, program: str) -> list[int]:
    """The processes of `program` whose namespace this is, whoever started them."""
    wanted = (RUN / name).stat()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            seen = (entry / "ns/net").stat()
            command = (entry / "cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            continue  # it ended while we looked
        if (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino) and Path(command.decode()).name == program:
            found.append(int(entry.name))
    return found


def end(name: str, program: str) -> None:
    """Delete the namespace, and the processes of `program` in it."""
    if exists(name):
        for pid in processes(name, program):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        delete(name)
