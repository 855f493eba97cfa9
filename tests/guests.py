"""What the tests do with guests of a real cloud: log in, reach ports, and look for what was left behind."""

import contextlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from maldon.drivers.switch.names import NodeNames
from maldon.runtime.home import Home
from maldon.runtime.roles import node_name
from tests.clouds import Api, RunningCloud, wait_for

BOOT_S = 120  # a guest boots in 9 s on an idle machine
SSH = [
    *("ssh", "-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"),
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
]


def new_key(folder: Path) -> Path:
    """A private key; its public half lies beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    return folder / "key"


@dataclass(frozen=True)
class Guest:
    """A guest that is reached at `address` from where the host is."""

    cloud: RunningCloud
    key: Path
    address: str

    def command(self, words: str, user: str = "root") -> list[str]:
        """The command line, for the host's namespace, that runs `words` in the guest."""
        return [*SSH, "-i", str(self.key), f"{user}@{self.address}", words]

    def ssh(self, words: str, user: str = "root") -> str:
        """What a command in the guest says; it must succeed."""
        done = self.cloud.in_client(*self.command(words, user), timeout=90)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def answers(self) -> bool:
        return self.cloud.in_client(*self.command("true")).returncode == 0

    def wait_for_ssh(self) -> None:
        wait_for(f"ssh at {self.address}", self.answers, BOOT_S)

    def boot_id(self) -> str:
        return self.ssh("cat /proc/sys/kernel/random/boot_id")

    def reaches(self, port: int) -> bool:
        """Whether a TCP connection from the host comes about within two seconds."""
        connect = f"exec 3<>/dev/tcp/{self.address}/{port}"
        return self.cloud.in_client("timeout", "2", "bash", "-c", connect).returncode == 0


def node(cloud: RunningCloud) -> NodeNames:
    return NodeNames(node_name(Home(cloud.home)))


def taps(cloud: RunningCloud) -> set[str]:
    """The taps in the node's namespace; none when it is gone."""
    done = subprocess.run(
        ["ip", "-n", node(cloud).namespace, "-json", "link"], capture_output=True, text=True, check=False
    )
    links = json.loads(done.stdout) if done.returncode == 0 and done.stdout else []
    return {link["ifname"] for link in links if link["ifname"].startswith("tap")}


def namespaces(cloud: RunningCloud) -> set[str]:
    """The network namespaces of this cloud's node."""
    listed = json.loads(subprocess.run(["ip", "-json", "netns"], capture_output=True, check=True).stdout or "[]")
    return {one["name"] for one in listed if node(cloud).owns(one["name"])}


def processes(cloud: RunningCloud, name: str = "") -> dict[int, str]:
    """Living processes (of programs whose name begins so) that have the cloud's home in their command line."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if str(cloud.home) in line and process.name().startswith(name):
                found[process.pid] = line
    return found


def guests_running(cloud: RunningCloud) -> list[str]:
    """The ids of the guests that have a QEMU, once for each process."""
    lines = processes(cloud, "qemu-system").values()
    return sorted(line.split(" -uuid ")[1].split()[0] for line in lines)


def open_default_group(api: Api) -> None:
    """Let the world ping the project's servers and knock at their ssh."""
    [group] = api("GET", "/network/v2.0/security-groups?name=default")[1]["security_groups"]
    for rule in ({"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}):
        whole = {**rule, "security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4"}
        status, body = api("POST", "/network/v2.0/security-group-rules", {"security_group_rule": whole})
        assert status == 201, body


def server_body(api: Api, name: str, key: Path | None = None) -> dict[str, Any]:
    """What is asked for by who wants a m1.nano with the guest image on `private`."""
    [image] = api("GET", "/image/v2/images?name=maldon-guest")[1]["images"]
    [net] = api("GET", "/network/v2.0/networks?name=private")[1]["networks"]
    flavors = {flavor["name"]: flavor["id"] for flavor in api("GET", "/compute/v2.1/flavors")[1]["flavors"]}
    body = {"name": name, "imageRef": image["id"], "flavorRef": flavors["m1.nano"], "networks": [{"uuid": net["id"]}]}
    if key is None:
        return body
    keypair = {"name": name, "public_key": key.with_suffix(".pub").read_text()}
    status, answer = api("POST", "/compute/v2.1/os-keypairs", {"keypair": keypair})
    assert status in {200, 201}, answer
    return {**body, "key_name": name}
