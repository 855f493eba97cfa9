"""The range of a cloud's external network: 172.24.4.0/24, or the next one nobody on this machine uses."""

import contextlib
import fcntl
import ipaddress
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from maldon.runtime.home import Trouble

FIRST = ipaddress.IPv4Network("172.24.4.0/24")
CHOICES = 64
REGISTER = Path("/run/maldon/external-ranges.json")


def choose_range(home: Path, *, shared: bool) -> str:
    """A free range for the cloud in `home`; kept in a register when others on the machine could choose it too."""
    if not shared:
        return str(FIRST)
    with _register() as taken:
        for other in [cidr for cidr, owner in taken.items() if not (Path(owner) / "state.json").exists()]:
            del taken[other]
        addresses = [
            ipaddress.IPv4Address(a.address)
            for cards in psutil.net_if_addrs().values()
            for a in cards
            if a.family == socket.AF_INET
        ]
        for n in range(CHOICES):
            network = ipaddress.IPv4Network((int(FIRST.network_address) + n * 256, 24))
            owner = taken.get(str(network))
            if owner == str(home) or (owner is None and not any(a in network for a in addresses)):
                taken[str(network)] = str(home)
                return str(network)
    raise Trouble("No range for the external network is free; name one with MALDON_HOST_EXTERNAL_CIDR.")


def release_range(home: Path) -> None:
    """Give back what the cloud in `home` holds."""
    if REGISTER.exists():
        with _register() as taken:
            for cidr in [cidr for cidr, owner in taken.items() if owner == str(home)]:
                del taken[cidr]


@contextlib.contextmanager
def _register() -> Iterator[dict[str, str]]:
    """The machine's register of ranges, ours alone while we look and write."""
    REGISTER.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(REGISTER, os.O_RDWR | os.O_CREAT, 0o644), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        taken: dict[str, str] = json.loads(text) if text else {}
        yield taken
        file.seek(0)
        file.truncate()
        json.dump(taken, file)
