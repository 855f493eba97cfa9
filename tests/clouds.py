"""Clouds of the tests: real processes started by `maldon up --detach`, each with a home and a port of its own.

A simulated cloud needs nothing. A real one plays the host from a network namespace of its own that has no default
route, so that no packet to a floating IP can leave the machine.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
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
    user: tuple[str, ...] = ()

    def environ(self) -> dict[str, str]:
        """The caller's environment without what would change the outcome or, as a cloud starts often, the pace."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "MALDON_"))}
        clean.pop("PYTHONDONTWRITEBYTECODE", None)
        if self.client_namespace:
            clean["MALDON_HOST_EXTERNAL_NAMESPACE"] = self.client_namespace
        return {**clean, "MALDON_HOST_NAME": "node-a"}

    def maldon(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `maldon` command on this home."""
        return subprocess.run(
            [*self.user, *MALDON, *words, "--home", str(self.home)],
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

    def api(self, cloud: str = "maldon") -> "Api":
        """The cloud's APIs as one of its users, without a client library."""
        return Api(f"http://127.0.0.1:{self.port}", self.clouds[cloud]["auth"])

    def in_client(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command where the host's end of the external network is."""
        return subprocess.run(
            ["ip", "netns", "exec", self.client_namespace, *command],
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip


class Api:
    """JSON over HTTP with a token; what goes wrong on the way there is an OSError."""

    def __init__(self, url: str, auth: dict[str, str]) -> None:
        self._url, self._token = url, ""
        user = {"name": auth["username"], "password": auth["password"], "domain": {"id": "default"}}
        scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
        self._login = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the body's JSON of one request; `path` begins with the service, as in "/compute/v2.1/…"."""
        if not self._token:
            self._token = self._ask("POST", "/identity/v3/auth/tokens", {"auth": self._login})[2]["X-Subject-Token"]
        return self._ask(method, path, body)[:2]

    def _ask(self, method: str, path: str, body: Any) -> tuple[int, Any, Any]:
        headers = {"Content-Type": "application/json", "X-Auth-Token": self._token}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None, answer.headers
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
            return error.code, json.loads(text) if text else None, error.headers
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error

    @property
    def token(self) -> str:
        """A token of this user's."""
        self("GET", "/identity/v3")
        return self._token

    def endpoint(self, kind: str) -> str:
        """Where the catalog says a service is."""
        catalog = self("GET", "/identity/v3/auth/catalog")[1]["catalog"]
        return str(next(service for service in catalog if service["type"] == kind)["endpoints"][0]["url"])

    def create_server(self, server: dict[str, Any]) -> str:
        """The id of a server that has been accepted."""
        status, body = self("POST", "/compute/v2.1/servers", {"server": server})
        assert status == 202, body
        return str(body["server"]["id"])

    def server(self, server_id: str) -> dict[str, Any]:
        status, body = self("GET", f"/compute/v2.1/servers/{server_id}")
        assert status == 200, body
        return dict(body["server"])

    def wait_for_server(self, server_id: str, status: str, seconds: float = 120) -> None:
        """Return once the server has the status; ERROR ends the wait."""

        def arrived() -> bool:
            server = self.server(server_id)
            assert status == "ERROR" or server["status"] != "ERROR", server
            return bool(server["status"] == status and server["OS-EXT-STS:task_state"] is None)

        wait_for(f"{status} of {server_id}", arrived, seconds)

    def servers(self) -> list[dict[str, Any]]:
        status, body = self("GET", "/compute/v2.1/servers/detail")
        assert status == 200, body
        return list(body["servers"])


@contextlib.contextmanager
def running_cloud(
    *,
    simulate: bool,
    hosts: int = 1,
    settings: str = "",
    prepare: Callable[[RunningCloud], None] = lambda _: None,
    user: tuple[str, ...] = (),
    beside: RunningCloud | None = None,
) -> Iterator[RunningCloud]:
    """A cloud that is purged at the end, whatever happens. `prepare` has its home and port before it starts.

    `user` is put before its commands (`setpriv …`). A real cloud has a client namespace of its own, or shares that of
    the one it is `beside`.
    """
    folder = Path(tempfile.mkdtemp(prefix="maldon-test-"))
    namespace = "" if simulate or beside else f"mt-{folder.name[-8:]}".replace("_", "x")
    where = beside.client_namespace if beside else namespace
    cloud, trouble = RunningCloud(folder / "home", free_port(), simulate, where, hosts, user), ""
    try:
        if namespace:
            subprocess.run(["ip", "netns", "add", namespace], check=True)
            subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
        cloud.home.mkdir()
        if settings:
            (cloud.home / "maldon.toml").write_text(settings)
        prepare(cloud)
        cloud.start()
        yield cloud
    finally:
        with contextlib.suppress(OSError, ValueError):
            keep = os.environ.get("MALDON_TEST_LOGS")
            if keep:
                shutil.copy(cloud.home / "maldon.log", Path(keep) / f"{folder.name}.log")
        if cloud.home.exists():
            purged = cloud.maldon("down", "--purge", check=False)
            trouble = purged.stderr if purged.returncode else ""
        if namespace:
            subprocess.run(["ip", "netns", "del", namespace], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    assert not trouble, trouble


def wait_for(what: str, condition: Any, seconds: float = 60) -> Any:
    """The first true value of `condition()`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"in {seconds} s did not come about: {what}"
        time.sleep(0.2)
