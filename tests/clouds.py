"""Clouds of the tests: real processes started by `maldon up --detach`, each with a home and a port of its own.

A simulated cloud needs nothing. A real one plays the host from a network namespace of its own that has no default
route, so that no packet to a floating IP can leave the machine.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.servers import free_port

ROOT = Path(__file__).parents[1]
MALDON = [sys.executable, "-m", "maldon.runtime"]
CLIENTS = ROOT / ".venv-clients" / "bin"


@dataclass
class RunningCloud:
    """A cloud that runs. `client_namespace` names the namespace that plays the host of a real one."""

    home: Path
    port: int
    simulate: bool
    client_namespace: str = ""
    hosts: int = 1

    def environ(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "MALDON_"))}
        if self.client_namespace:
            clean["MALDON_HOST_EXTERNAL_NAMESPACE"] = self.client_namespace
        return {**clean, "MALDON_HOST_NAME": "node-a"}

    def maldon(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `maldon` command on this home."""
        return subprocess.run(
            [*MALDON, *words, "--home", str(self.home)],
            env=self.environ(), check=check, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def start(self) -> None:
        options = ["--simulate", "--hosts", str(self.hosts)] if self.simulate else []
        try:
            self.maldon("up", "--detach", "--port", str(self.port), *options)
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"the cloud did not start: {error.stderr}") from error

    @property
    def pid(self) -> int:
        return int(json.loads((self.home / "run.json").read_text())["pid"])

    def kill(self) -> None:
        """Kill -9, as fate does it; returns once the process is gone."""
        pid = self.pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and "(zombie)" not in Path(f"/proc/{pid}/status").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def stop(self) -> None:
        self.maldon("down")

    def doctor(self) -> str:
        """What `maldon doctor` finds; empty when all agrees."""
        done = self.maldon("doctor", check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    @property
    def clouds(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.home / "clouds.yaml").read_text())["clouds"])

    def openstack(self, *words: str, cloud: str = "maldon", check: bool = True) -> Any:
        """Run the stock `openstack` command; its JSON answer where it gives one."""
        environ = {**self.environ(), "OS_CLIENT_CONFIG_FILE": str(self.home / "clouds.yaml"), "OS_CLOUD": cloud}
        done = subprocess.run(
            [CLIENTS / "openstack", *words], env=environ, capture_output=True, text=True, timeout=300, check=False
        )
        assert not check or done.returncode == 0, f"openstack {' '.join(words)}: {done.stdout}{done.stderr}"
        text = done.stdout.strip()
        return json.loads(text) if text[:1] in {"{", "["} else text

    def in_client(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command where the host's end of the external network is."""
        return subprocess.run(
            ["ip", "netns", "exec", self.client_namespace, *command],
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip


@contextlib.contextmanager
def running_cloud(*, simulate: bool, hosts: int = 1, settings: str = "") -> Iterator[RunningCloud]:
    """A cloud that is purged at the end, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="maldon-test-"))
    namespace = "" if simulate else f"mt-{folder.name[-8:]}".replace("_", "x")
    cloud = RunningCloud(folder / "home", free_port(), simulate, namespace, hosts)
    try:
        if namespace:
            subprocess.run(["ip", "netns", "add", namespace], check=True)
            subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
        cloud.home.mkdir()
        if settings:
            (cloud.home / "maldon.toml").write_text(settings)
        cloud.start()
        yield cloud
    finally:
        with contextlib.suppress(OSError, ValueError):
            keep = os.environ.get("MALDON_TEST_LOGS")
            if keep:
                shutil.copy(cloud.home / "maldon.log", Path(keep) / f"{folder.name}.log")
        cloud.maldon("down", "--purge", check=False)
        if namespace:
            subprocess.run(["ip", "netns", "del", namespace], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(what: str, condition: Any, seconds: float = 60) -> Any:
    """The first true value of `condition()`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"in {seconds} s did not come about: {what}"
        time.sleep(0.2)
