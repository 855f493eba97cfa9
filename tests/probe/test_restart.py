"""Kill and restart: guests run on, sessions survive and no packet is lost, whoever stops the cloud and however."""

import contextlib
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clouds import MALDON, RunningCloud, running_cloud, wait_for
from tests.guests import BOOT_S, Guest, guests_running, namespaces, new_key, open_default_group, processes, server_body

pytestmark = [
    pytest.mark.root, pytest.mark.guest, pytest.mark.timeout(400), pytest.mark.xdist_group("guests")
]  # fmt: skip
COUNTER = "i=0; while :; do echo $i; i=$((i + 1)); usleep 100000; done"


@pytest.fixture
def cloud():
    with running_cloud(simulate=False) as running:
        yield running


@pytest.fixture
def guest(cloud, tmp_path) -> Guest:
    """A server with a floating IP; it answers ssh."""
    api, key = cloud.api(), new_key(tmp_path)
    open_default_group(api)
    server = api.create_server(server_body(api, "steady", key))
    api.wait_for_server(server, "ACTIVE", BOOT_S)
    [port] = api("GET", f"/network/v2.0/ports?device_id={server}")[1]["ports"]
    [public] = api("GET", "/network/v2.0/networks?name=public")[1]["networks"]
    wanted = {"floating_network_id": public["id"], "port_id": port["id"]}
    status, made = api("POST", "/network/v2.0/floatingips", {"floatingip": wanted})
    assert status == 201, made
    guest = Guest(cloud, key, made["floatingip"]["floating_ip_address"])
    guest.wait_for_ssh()
    return guest


@contextlib.contextmanager
def in_the_background(cloud: RunningCloud, output: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program where the host is, its output in a file."""
    with output.open("wb") as out:
        process = subprocess.Popen(
            ["ip", "netns", "exec", cloud.client_namespace, *command], stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def last_number(output: Path) -> int:
    """The last whole line of a counter's output."""
    lines = output.read_text().splitlines()[:-1]
    return int(lines[-1]) if lines else -1


def test_guests_and_their_sessions_outlive_the_cloud(cloud, guest, tmp_path):
    [server] = guests_running(cloud)
    before = guest.boot_id(), processes(cloud, "qemu").keys(), processes(cloud, "dnsmasq").keys(), namespaces(cloud)
    counted, pinged = tmp_path / "counted", tmp_path / "pinged"
    with (
        in_the_background(cloud, counted, *guest.command(COUNTER)) as session,
        in_the_background(cloud, pinged, "ping", "-n", "-i", "0.01", guest.address) as pinging,
    ):
        wait_for("the counter", lambda: last_number(counted) > 0)
        for end in (cloud.kill, cloud.stop, cloud.kill):
            end()
            stopped_at = last_number(counted)
            wait_for("the counter to go on without a cloud", lambda at=stopped_at: last_number(counted) > at + 2)
            cloud.start()
            wait_for("the metadata service", lambda: metadata_name(guest) == "steady")
        assert cloud.api().server(server)["status"] == "ACTIVE"
        pinging.send_signal(signal.SIGINT)
        pinging.wait(10)
        assert session.poll() is None
    assert [int(line) for line in counted.read_text().splitlines()[:-1]] == list(range(last_number(counted) + 1))
    numbers = [int(n) for n in re.findall(r"icmp_seq=(\d+) ttl", pinged.read_text())]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 500
    assert before == (
        guest.boot_id(), processes(cloud, "qemu").keys(), processes(cloud, "dnsmasq").keys(), namespaces(cloud)
    )  # fmt: skip
    assert cloud.doctor() == ""
    in_the_foreground(cloud, server)
    purged_when_it_does_not_run(cloud)


def metadata_name(guest: Guest) -> str:
    """The server's name as the metadata service says it; empty while that is away."""
    text = guest.ssh("curl -s http://169.254.169.254/openstack/latest/meta_data.json || true")
    return json.loads(text)["name"] if text else ""


def in_the_foreground(cloud: RunningCloud, server: str) -> None:
    """`maldon up` at a terminal: the report of the start, then the log until Ctrl-C, which leaves the guests."""
    cloud.stop()
    command = [*MALDON, "up", "--home", str(cloud.home), "--port", str(cloud.port)]
    with subprocess.Popen(
        command, env=cloud.environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as up:
        assert up.stdout
        said: list[str] = []
        reading = threading.Thread(target=lambda: said.extend(up.stdout), name="reading")
        reading.start()
        try:
            wait_for("the end of the report", lambda: any("maldon down" in line for line in said))
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(30)
            reading.join(30)
    report = "".join(said)
    assert up.returncode == 0, report
    for words in ("database", "accounts and catalog", "APIs at http://127.0.0.1", "ready after", "OS_CLOUD=maldon"):
        assert words in report
    assert "stopped; guests run on" in report
    assert guests_running(cloud) == [server]


def purged_when_it_does_not_run(cloud: RunningCloud) -> None:
    """Nothing of the cloud is left, guests included, though no process of it was there to ask."""
    assert "purged" in cloud.maldon("down", "--purge").stdout
    assert (processes(cloud), namespaces(cloud)) == ({}, set())
    assert not cloud.home.exists()
    links = cloud.in_client("ip", "-o", "link").stdout
    assert [line.split(": ")[1] for line in links.splitlines()] == ["lo"]
