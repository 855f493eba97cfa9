"""The walk of a new user: the stock `openstack` command, a real guest, ssh on a floating IP; then nothing is left."""

import json
from pathlib import Path

import pytest

from tests.clouds import Api, RunningCloud, running_cloud, wait_for
from tests.guests import BOOT_S, Guest, guests_running, namespaces, new_key, node, processes, taps

pytestmark = [
    pytest.mark.root, pytest.mark.guest, pytest.mark.clients, pytest.mark.timeout(400), pytest.mark.xdist_group("walk")
]  # fmt: skip
SCRIPT = "#!/bin/sh\necho user-data speaks\necho once >>/root/runs\n"


@pytest.fixture(scope="module")
def cloud():
    with running_cloud(simulate=False) as running:
        yield running


def show(cloud: RunningCloud, *words: str):
    return cloud.openstack(*words, "-f", "json")


def test_a_new_user_walks(cloud, tmp_path):
    api, key = cloud.api(), new_key(tmp_path)
    (tmp_path / "script").write_text(SCRIPT)
    look_around(cloud, key)

    made = {"--flavor": "m1.nano", "--image": "maldon-guest", "--network": "private", "--key-name": "mine"}
    create = ["server", "create", *(word for pair in made.items() for word in pair), "--wait"]
    create += ["--user-data", str(tmp_path / "script")]
    one = show(cloud, *create, "first")
    assert one["status"] == "ACTIVE"
    two = show(cloud, *create, "--config-drive", "true", "second")
    first = Guest(cloud, key, show(cloud, "floating", "ip", "create", "public")["floating_ip_address"])
    cloud.openstack("server", "add", "floating", "ip", "first", first.address)
    first.wait_for_ssh()

    what_it_was_told(first, one)
    log = cloud.openstack("console", "log", "show", "first")
    assert "user-data speaks" in log
    assert "login:" in log
    wait_for("the second guest", lambda: "maldon: READY" in console(api, two["id"]), BOOT_S)
    assert "says the config drive" in console(api, two["id"])
    assert "user-data speaks" in console(api, two["id"])
    assert " 0% packet loss" in first.ssh(f"ping -c 3 {two['addresses']['private'][0]}")

    a_rule_opens_a_port(cloud, first)
    power(cloud, api, first, one["id"])
    assert guests_running(cloud) == sorted([one["id"], two["id"]])
    assert len(taps(cloud)) == 2
    assert cloud.doctor() == ""
    all_goes(cloud, api, first.address)


def look_around(cloud: RunningCloud, key: Path) -> None:
    """What one does before the first server."""
    assert show(cloud, "token", "issue")["project_id"]
    assert {row["Name"] for row in show(cloud, "catalog", "list")} >= {"keystone", "glance", "neutron", "nova"}
    assert [(row["Name"], row["Status"]) for row in show(cloud, "image", "list")] == [("maldon-guest", "active")]
    show(cloud, "keypair", "create", "--public-key", f"{key}.pub", "mine")
    for rule in (["--protocol", "icmp"], ["--protocol", "tcp", "--dst-port", "22"]):
        show(cloud, "security", "group", "rule", "create", "default", *rule)


def what_it_was_told(guest: Guest, server: dict) -> None:
    """Name, address, keys and script reached the guest."""
    address = server["addresses"]["private"][0]
    assert guest.ssh("id -un") == "root"
    assert guest.ssh("id -un; hostname", "maldon").split() == ["maldon", "first"]
    assert address in guest.ssh("ip -o -4 addr show dev eth0")
    told = json.loads(guest.ssh("curl -s http://169.254.169.254/openstack/latest/meta_data.json"))
    assert (told["uuid"], told["name"], told["hostname"]) == (server["id"], "first", "first")
    assert guest.ssh("curl -s http://169.254.169.254/latest/meta-data/local-ipv4") == address
    wait_for("the user's script", lambda: guest.ssh("cat /root/runs || true") == "once", BOOT_S)


def console(api: Api, server: str) -> str:
    status, body = api("POST", f"/compute/v2.1/servers/{server}/action", {"os-getConsoleOutput": {}})
    assert status == 200, body
    return str(body["output"])


def a_rule_opens_a_port(cloud: RunningCloud, guest: Guest) -> None:
    guest.ssh("httpd -p 8080 -h /tmp")
    assert "404" in guest.ssh("curl -s http://127.0.0.1:8080/nothing")
    assert not guest.reaches(8080)
    show(cloud, "security", "group", "rule", "create", "default", "--protocol", "tcp", "--dst-port", "8080")
    wait_for("the port to open", lambda: guest.reaches(8080), 20)


def power(cloud: RunningCloud, api: Api, guest: Guest, server: str) -> None:
    """Soft and hard reboot, stop and start: each boots the same disk anew; the user's script ran once for all."""
    boots = [guest.boot_id()]
    for words in (["reboot"], ["reboot", "--hard"], ["stop"]):
        cloud.openstack("server", *words, server)
        if words == ["stop"]:
            api.wait_for_server(server, "SHUTOFF", BOOT_S)
            assert server not in guests_running(cloud)
            cloud.openstack("server", "start", server)
        api.wait_for_server(server, "ACTIVE", BOOT_S)
        guest.wait_for_ssh()
        boots.append(guest.boot_id())
    assert len(set(boots)) == 4
    assert guest.ssh("cat /root/runs") == "once"


def all_goes(cloud: RunningCloud, api: Api, floating: str) -> None:
    """Servers and floating IP are deleted; what is left is what was there before."""
    cloud.openstack("server", "delete", "--wait", "first", "second")
    assert api.servers() == []
    assert [p for p in api("GET", "/network/v2.0/ports")[1]["ports"] if p["device_owner"].startswith("compute:")] == []
    [kept] = api("GET", "/network/v2.0/floatingips")[1]["floatingips"]
    assert (kept["floating_ip_address"], kept["port_id"]) == (floating, None)
    cloud.openstack("floating", "ip", "delete", floating)
    wait_for("the doctor to be content", lambda: cloud.doctor() == "", 30)
    [router] = api("GET", "/network/v2.0/routers")[1]["routers"]
    names = node(cloud)
    assert taps(cloud) == set()
    assert namespaces(cloud) == {names.namespace, names.router(router["id"])}
    assert [*processes(cloud)] == [cloud.pid]
    assert [*cloud.home.glob("nodes/*/guests/*-*")] == []
    assert [*cloud.home.glob("nodes/*/config-drives/*")] == []
