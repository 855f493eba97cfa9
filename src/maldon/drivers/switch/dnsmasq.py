"""One dnsmasq process: started in a namespace, found again by its pid file, outliving the agent.

Hosts and options are files of their own that it reads again on SIGHUP; only a changed configuration, or a lease that
must be forgotten, restarts it. Guests do not notice a restart: their leases stay in a file.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from maldon.drivers.switch import namespace
from maldon.drivers.switch.state import write_file

STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Service:
    """What a dnsmasq serves. `owners` says to whom each address may be leased: a MAC by address."""

    configuration: str
    hosts: str
    options: str
    owners: dict[str, str]


class Dnsmasq:
    """The dnsmasq whose files are in `directory` and which serves the namespace `place`."""

    def __init__(self, directory: Path, place: str) -> None:
        self._directory = directory
        self._place = place

    def ensure(self, service: Service) -> None:
        """Have it run with this service."""
        self._directory.mkdir(parents=True, exist_ok=True)
        configuration = self._frame() + service.configuration
        fresh = self._read("configuration") == configuration and self.alive()
        leases = self._read("leases")
        kept = "".join(line for line in leases.splitlines(keepends=True) if _still_owned(line, service.owners))
        if not fresh or kept != leases:
            self.stop()
            write_file(self._directory / "configuration", configuration.encode())
            # Read once more: a lease may have come until it stopped.
            kept = "".join(
                line for line in self._read("leases").splitlines(keepends=True) if _still_owned(line, service.owners)
            )
            write_file(self._directory / "leases", kept.encode())
            fresh = False
        write_file(self._directory / "hosts", service.hosts.encode())
        write_file(self._directory / "options", service.options.encode())
        pid = self.pid()
        if fresh and pid is not None:
            os.kill(pid, signal.SIGHUP)
        else:
            with namespace.entered(self._place):
                namespace.run(["dnsmasq", self._flag()])

    def _frame(self) -> str:
        where = self._directory
        return (
            f"port=0\nuser=root\nno-ping\nbind-dynamic\npid-file={where}/pid\ndhcp-leasefile={where}/leases\n"
            f"dhcp-hostsfile={where}/hosts\ndhcp-optsfile={where}/options\n"
            "quiet-dhcp\nquiet-dhcp6\nquiet-ra\n"
        )

    def _flag(self) -> str:
        return f"--conf-file={self._directory}/configuration"

    def _read(self, name: str) -> str:
        try:
            return (self._directory / name).read_text()
        except FileNotFoundError:
            return ""

    def pid(self) -> int | None:
        """Its process, if the pid file's number is really it."""
        text = self._read("pid").strip()
        if not text.isdigit():
            return None
        try:
            arguments = Path(f"/proc/{text}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return None
        return int(text) if self._flag().encode() in arguments else None

    def alive(self) -> bool:
        return self.pid() is not None

    def stop(self) -> None:
        """End it, and return when it has ended."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_S
            while self.alive():
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.002)

    def remove(self) -> None:
        """Stop it and forget its files."""
        self.stop()
        for name in ("configuration", "hosts", "options", "leases", "pid"):
            (self._directory / name).unlink(missing_ok=True)
        if self._directory.is_dir():
            self._directory.rmdir()


def _still_owned(lease: str, owners: dict[str, str]) -> bool:
    """Whether a line of the lease file may stay. IPv6 leases name no MAC, so only the address counts."""
    words = lease.split()
    if len(words) < 3 or words[0] == "duid":
        return True
    owner = owners.get(words[2])
    return owner is not None and (":" in words[2] or owner == words[1].lower())
