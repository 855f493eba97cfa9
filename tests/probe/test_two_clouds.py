"""Two real clouds on one host, side by side; a purge takes away all of one and nothing of the other."""

import json
from pathlib import Path

import pytest

from maldon.runtime.external import REGISTER, choose_range, release_range
from tests.clouds import RunningCloud, running_cloud, wait_for
from tests.guests import BOOT_S, guests_running, namespaces, node, processes, server_body, taps

pytestmark = [pytest.mark.root, pytest.mark.guest, pytest.mark.timeout(400), pytest.mark.xdist_group("guests")]


def with_a_server(cloud: RunningCloud) -> str:
    api = cloud.api()
    server = api.create_server(server_body(api, "lone"))
    api.wait_for_server(server, "ACTIVE", BOOT_S)
    return server


def gateway(cloud: RunningCloud) -> str:
    """The outer address of the cloud's router."""
    [router] = cloud.api("maldon-admin")("GET", "/network/v2.0/routers")[1]["routers"]
    return str(router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"])


def pings(cloud: RunningCloud, address: str) -> bool:
    return cloud.in_client("ping", "-c", "1", "-W", "2", address).returncode == 0


def of_this_cloud(cloud: RunningCloud) -> list[str]:
    """Whatever the machine still has of a cloud: processes, namespaces, the host's end of the wire, files."""
    names = node(cloud)
    links = json.loads(cloud.in_client("ip", "-json", "link").stdout)
    files = [*Path("/run").rglob(f"*{names.node}*"), *Path("/tmp").glob(f"*{names.node}*")]
    register = REGISTER.read_text() if REGISTER.exists() else ""
    return [
        *processes(cloud).values(),
        *namespaces(cloud),
        *(link["ifname"] for link in links if link["ifname"] == names.host_link),
        *map(str, files),
        *(["an external range"] if str(cloud.home) in register else []),
        *([str(cloud.home)] if cloud.home.exists() else []),
    ]


def test_two_clouds_do_not_see_each_other():
    other_range = '[host]\nexternal_cidr = "172.24.5.0/24"\n'
    with running_cloud(simulate=False) as one:
        with running_cloud(simulate=False, settings=other_range, beside=one) as two:
            first, second = with_a_server(one), with_a_server(two)
            assert (guests_running(one), guests_running(two)) == ([first], [second])
            for cloud, begins in ((one, "172.24.4."), (two, "172.24.5.")):
                assert gateway(cloud).startswith(begins)
                wait_for("the router", lambda cloud=cloud: pings(cloud, gateway(cloud)), 30)
                assert cloud.doctor() == ""
            assert "purged" in two.maldon("down", "--purge").stdout
            assert of_this_cloud(two) == []
        assert guests_running(one) == [first]
        assert len(taps(one)) == 1
        assert pings(one, gateway(one))
        assert one.doctor() == ""
        one.kill()
        one.maldon("down", "--purge")
        assert of_this_cloud(one) == []


def test_clouds_that_share_the_host_take_different_ranges(tmp_path):
    homes = [tmp_path / "one", tmp_path / "two"]
    try:
        for home in homes:
            home.mkdir()
            (home / "state.json").write_text("{}")
        ranges = [choose_range(home, shared=True) for home in homes]
        assert len(set(ranges)) == 2
        assert [choose_range(home, shared=True) for home in homes] == ranges
        release_range(homes[0])
        assert ranges[0] not in json.loads(REGISTER.read_text())
        assert json.loads(REGISTER.read_text())[ranges[1]] == str(homes[1])
    finally:
        for home in homes:
            release_range(home)
