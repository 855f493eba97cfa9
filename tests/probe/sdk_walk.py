"""The walk of a new user with openstacksdk; run by the clients' own Python, see test_sdk_walk.py.

python sdk_walk.py NAMESPACE KEY     the whole walk: guests answer ssh from that network namespace
python sdk_walk.py                   on a simulated cloud, everything that needs no guest
"""

import io
import subprocess
import sys
import time
from pathlib import Path

import openstack

SSH = [
    *("ssh", "-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"),
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
]
PATIENCE_S = 120


def walk(cloud, namespace="", key=""):
    """Two servers on `private`, from the token to the last port gone."""
    assert cloud.auth_token
    assert {s["type"] for s in cloud.service_catalog} >= {"identity", "image", "network", "compute"}
    image, flavor = cloud.get_image("maldon-guest"), cloud.get_flavor("m1.nano")
    private = cloud.network.find_network("private")
    public_key = Path(f"{key}.pub").read_text() if key else None
    cloud.create_keypair("sdk", public_key)
    group = cloud.network.create_security_group(name="reachable")
    for rule in ({"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}):
        cloud.network.create_security_group_rule(security_group_id=group.id, direction="ingress", **rule)

    wanted = {"image_id": image.id, "flavor_id": flavor.id, "networks": [{"uuid": private.id}], "key_name": "sdk"}
    groups = [{"name": "reachable"}]
    servers = [
        cloud.compute.create_server(name=name, security_groups=groups, metadata={"role": name}, **wanted)
        for name in ("one", "two")
    ]
    one, two = (cloud.compute.wait_for_server(server, interval=0.5, wait=PATIENCE_S) for server in servers)
    assert [s.name for s in cloud.compute.servers(status="ACTIVE", sort_key="display_name", sort_dir="asc")] == [
        "one",
        "two",
    ]
    port = next(cloud.network.ports(device_id=one.id))
    floating = cloud.network.create_ip(floating_network_id=cloud.network.find_network("public").id, port_id=port.id)
    address, its_address = floating.floating_ip_address, two.addresses["private"][0]["addr"]
    addresses = {a["addr"]: a["OS-EXT-IPS:type"] for a in cloud.compute.get_server(one.id).addresses["private"]}
    assert addresses == {port.fixed_ips[0]["ip_address"]: "fixed", address: "floating"}
    if namespace:
        talk(namespace, key, address, its_address)
        plug_and_unplug(cloud, one, lambda words: ssh(namespace, key, address, words).stdout)
    assert "login:" in until("a console log", lambda: logged_in(cloud, one))

    cloud.compute.reboot_server(one, "HARD")
    wait(cloud, one, "ACTIVE")
    cloud.compute.stop_server(one)
    wait(cloud, one, "SHUTOFF")
    cloud.compute.start_server(one)
    wait(cloud, one, "ACTIVE")
    if namespace:
        until("ssh after the restart", lambda: ssh(namespace, key, address, "true").returncode == 0)
    assert {action.action for action in cloud.compute.server_actions(one)} >= {"create", "reboot", "stop", "start"}

    for server in (one, two):
        cloud.compute.delete_server(server)
    for server in (one, two):
        cloud.compute.wait_for_delete(server, interval=0.5, wait=PATIENCE_S)
    assert list(cloud.network.ports(device_owner="compute:nova")) == []
    assert cloud.network.get_ip(floating).port_id is None
    cloud.network.delete_ip(floating)
    cloud.network.delete_security_group(group)
    cloud.delete_keypair("sdk")
    assert list(cloud.compute.servers()) == []


def talk(namespace, key, address, its_address):
    """What only real guests can do."""
    until("ssh", lambda: ssh(namespace, key, address, "true").returncode == 0)
    for user in ("root", "maldon"):
        assert ssh(namespace, key, address, "id -un", user).stdout.strip() == user
    told = ssh(namespace, key, address, "curl -s http://169.254.169.254/openstack/latest/meta_data.json").stdout
    assert '"role"' in told, told
    until("the neighbour", lambda: ssh(namespace, key, address, f"ping -c 1 -W 2 {its_address}").returncode == 0)


def plug_and_unplug(cloud, server, run):
    """A card comes and goes while the guest runs."""
    boot = run("cat /proc/sys/kernel/random/boot_id")
    net = cloud.network.create_network(name="backstage")
    cloud.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.8.0.0/24", gateway_ip=None)
    card = cloud.compute.create_server_interface(server, net_id=net.id)
    address = card.fixed_ips[0]["ip_address"]
    until("the new card's address", lambda: address in run("ip -o -4 addr show dev eth1 2>/dev/null"))
    cloud.compute.delete_server_interface(card.port_id, server=server)
    until("the card to go", lambda: "eth1" not in run("ls /sys/class/net") and "eth0" in run("ls /sys/class/net"))
    until("the network to be free", lambda: list(cloud.network.ports(network_id=net.id, device_id=server.id)) == [])
    cloud.network.delete_network(net)
    assert run("cat /proc/sys/kernel/random/boot_id") == boot


def ssh(namespace, key, address, words, user="root"):
    return subprocess.run(
        ["ip", "netns", "exec", namespace, *SSH, "-i", key, f"{user}@{address}", words],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


def logged_in(cloud, server):
    text = cloud.compute.get_server_console_output(server)["output"]
    return text if "login:" in text else ""


def wait(cloud, server, status):
    """The SDK's own wait looks first at what it was given, which is old by now."""
    until(status, lambda: cloud.compute.get_server(server.id).status == status)


def until(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in {PATIENCE_S} s did not come about: {what}"
        time.sleep(0.3)
    return value


def bytes_and_tenants(cloud, operator):
    """Images, networks of one's own, interfaces, projects: what needs no guest."""
    made = cloud.image.create_image(name="mine", disk_format="raw", container_format="bare", data=io.BytesIO(b"x" * 9))
    assert cloud.image.download_image(made).content == b"x" * 9
    cloud.image.delete_image(made)

    net = cloud.network.create_network(name="lan")
    subnet = cloud.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.9.0.0/24")
    router = cloud.network.create_router(name="way")
    cloud.network.add_interface_to_router(router, subnet_id=subnet.id)
    server = cloud.create_server(
        "wired", image="maldon-guest", flavor="m1.nano", network="lan", auto_ip=False, wait=True, timeout=60
    )
    card = cloud.compute.create_server_interface(server, net_id=cloud.network.find_network("private").id)
    assert len(list(cloud.compute.server_interfaces(server))) == 2
    cloud.compute.delete_server_interface(card.port_id, server=server)
    until("the card to go", lambda: len(list(cloud.compute.server_interfaces(server))) == 1)
    assert cloud.delete_server(server.id, wait=True, timeout=60)
    cloud.network.remove_interface_from_router(router, subnet_id=subnet.id)
    cloud.network.delete_router(router)
    cloud.network.delete_network(net)

    project = operator.identity.create_project(name="guild")
    user = operator.identity.create_user(name="smith", password="iron", default_project_id=project.id)
    member = operator.identity.find_role("member")
    operator.identity.assign_project_role_to_user(project, user, member)
    auth = {"username": "smith", "password": "iron", "project_id": project.id}
    smith = operator.connect_as(**auth)
    assert smith.current_project_id == project.id
    assert list(smith.compute.servers()) == []
    operator.identity.delete_user(user)
    operator.identity.delete_project(project)
    assert {host.hypervisor_type for host in operator.compute.hypervisors(details=True)} == {"fake"}


if __name__ == "__main__":
    user = openstack.connect(cloud="maldon")
    walk(user, *sys.argv[1:])
    if not sys.argv[1:]:
        bytes_and_tenants(user, openstack.connect(cloud="maldon-admin"))
    print("walked")
