"""The nodes of the cluster: each a home with two disks, and the process that serves it."""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from maldon.objectstore.ring.builder import Plan, rebalance
from maldon.objectstore.ring.device import RingDevice
from maldon.objectstore.ring.file import write
from maldon.objectstore.service import ObjectSettings, open_cluster
from tests.cluster.faults.net import Port

DISKS = ("disk-1", "disk-2")
PROXY, STORAGE, SHARED = 8080, 6200, 9910
POWER = 5
SETTINGS = """[cloud]
listen = "0.0.0.0"
port = {shared}

[object]
address = "{address}:{storage}"
devices = {disks}
port = {proxy}
workers = {workers}
without = ["name_check", "identity"]
policies = {policies}
connect_timeout_s = 1.0
node_timeout_s = 4.0
error_rest_s = 3.0
replicate_s = 1.0
replicate_books_s = 1.0
audit_s = 1.0
audit_books_s = 2.0
pay_debts_s = 1.0

[object-tempauth]
users = ["test:tester:testing:.admin"]

[object-disk]
reserve_percent = 0
segment_bytes = 4194304
"""


@dataclass
class Member:
    """One node. `away` is what clients know of it: they do not ask it then; `asked` is what they wait for from it."""

    number: int
    home: Path
    port: Port
    away: bool = False
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    asked: int = 0

    @property
    def address(self) -> str:
        return f"{self.port.address}:{STORAGE}"

    @property
    def proxy(self) -> str:
        return f"http://{self.port.address}:{PROXY}"

    def disk(self, name: str) -> Path:
        return self.home / "objects" / name

    def launch(self) -> None:
        """Start its process; it answers some time later."""
        roles = ["object-proxy", "object-storage"]
        self.starts += 1
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MALDON_")}
        clean.pop("PYTHONDONTWRITEBYTECODE", None)  # a node starts often
        with (self.home / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.port.inside(sys.executable, "-m", "maldon.runtime", "run", "--home", str(self.home), *roles),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean, start_new_session=True,
            )  # fmt: skip

    async def answers(self, session: aiohttp.ClientSession) -> bool:
        """Whether all of its roles run."""
        assert self.process is None or self.process.poll() is None, self.tail()
        try:
            async with session.get(
                f"http://{self.port.address}:{SHARED}/readyz", timeout=aiohttp.ClientTimeout(5)
            ) as got:
                return got.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """Kill -9, all of its processes; returns once they are gone."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(30)
        self.process = None

    def tail(self) -> str:
        """The end of its log."""
        return (self.home / "node.log").read_text(errors="replace")[-3000:]


def write_rings(homes: Sequence[Path], addresses: Sequence[str], rings: dict[str, int], seed: int) -> None:
    """The same rings for all; every node is a zone of its own, with two disks."""
    devices = tuple(
        RingDevice(2 * n + k, 1, n, address, disk, 1.0)
        for n, address in enumerate(addresses)
        for k, disk in enumerate(DISKS)
    )
    for name, replicas in rings.items():
        plan = rebalance(Plan(POWER, replicas, devices=devices), 1, random.Random(seed)).plan
        for home in homes:
            write(home / "rings" / f"{name}.ring", plan)


def make_members(folder: Path, count: int, rings: dict[str, int], policies: Sequence[str], seed: int) -> list[Member]:
    """Their homes, with the same rings and secrets; nothing runs yet."""
    members = [Member(n, folder / f"n{n}", Port(n)) for n in range(1, count + 1)]
    for member in members:
        (member.home / "objects").mkdir(parents=True)
        text = SETTINGS.format(
            shared=SHARED, address=member.port.address, storage=STORAGE, disks=json.dumps(DISKS), proxy=PROXY,
            policies=json.dumps(policies), workers=1,
        )  # fmt: skip
        (member.home / "maldon.toml").write_text(text)
        if member.number > 1:
            shutil.copy(members[0].home / "objects" / "cluster.json", member.home / "objects")
        else:
            open_cluster(member.home, ObjectSettings())
    write_rings([member.home for member in members], [member.address for member in members], rings, seed)
    return members


async def until(what: str, condition: object, seconds: float = 120.0, pause_s: float = 0.1) -> None:
    """Return once the condition, a coroutine function, gives no reason why not."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        why_not = await condition()  # type: ignore[operator]
        if not why_not:
            return
        assert asyncio.get_running_loop().time() < deadline, f"in {seconds} s did not come about: {what}: {why_not}"
        await asyncio.sleep(pause_s)
