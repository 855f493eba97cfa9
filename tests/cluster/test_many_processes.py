"""The same roles as many processes over PostgreSQL and RabbitMQ: two workers, and the death of one."""

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import yaml

from tests.clouds import MALDON, Api, wait_for
from tests.servers import free_port

APIS = ("identity-api", "image-api", "network-api", "placement-api", "compute-api")


@pytest.fixture
def processes(tmp_path, postgresql_url, amqp_url):
    port, home = free_port(), tmp_path / "home"
    environ = {
        **os.environ,
        "MALDON_CLOUD_PORT": str(port),
        "MALDON_CLOUD_DATABASE": postgresql_url,
        "MALDON_CLOUD_BUS": amqp_url,
        "MALDON_HOST_SIMULATED": "3",
    }
    started = {}

    def start(name, *roles):
        command = [*MALDON, "run", "--simulate", "--home", str(home), *roles]
        with (tmp_path / f"{name}.log").open("ab") as log:
            started[name] = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        return started[name]

    try:
        start("apis", *APIS)
        wait_for("the APIs answer", lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        for name, role in (
            ("worker-1", "worker"),
            ("worker-2", "worker"),
            ("node", "node-agent"),
            ("told", "notifier"),
        ):
            start(name, role)
        yield home, start, started
    finally:
        for process in started.values():
            process.send_signal(signal.SIGTERM)
        for process in started.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()


def answers(url):
    with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url, timeout=2) as answer:
        return answer.status == 200
    return False


def api(home, cloud="maldon"):
    auth = yaml.safe_load((home / "clouds.yaml").read_text())["clouds"][cloud]["auth"]
    return Api(auth["auth_url"].removesuffix("/identity/v3"), auth)


def statuses(client):
    return [server["status"] for server in client.servers()]


def test_servers_survive_the_death_of_a_worker(processes):
    home, start, started = processes
    client = api(home)
    admin = api(home, "maldon-admin")
    hypervisors = "/compute/v2.1/os-hypervisors"
    wait_for("three hosts have reported", lambda: len(admin("GET", hypervisors)[1]["hypervisors"]) == 3)
    image = client("GET", "/image/v2/images")[1]["images"][0]["id"]
    network = client("GET", "/network/v2.0/networks?name=private")[1]["networks"][0]["id"]
    wanted = {"imageRef": image, "flavorRef": "42", "networks": [{"uuid": network}]}
    begun = time.monotonic()
    client("POST", "/compute/v2.1/servers", {"server": {"name": "first", **wanted}})
    wait_for("the first server is ACTIVE", lambda: statuses(client) == ["ACTIVE"])
    assert time.monotonic() - begun < 30
    for n in range(6):
        client("POST", "/compute/v2.1/servers", {"server": {"name": f"s{n}", **wanted}})
        if n == 2:
            started["worker-1"].kill()
    wait_for("all are ACTIVE", lambda: statuses(client) == ["ACTIVE"] * 7, 120)
    start("worker-3", "worker")
    for server in client.servers():
        client("DELETE", f"/compute/v2.1/servers/{server['id']}")
    wait_for("all are gone", lambda: statuses(client) == [], 120)
