"""How many statements the hot endpoints and a server's creation take: a number that grows is seen here first."""

import pytest

from maldon.compute import service as compute
from maldon.ports.agent import ObservedWire
from tests.servers_rig import Host, rig


@pytest.fixture
async def made(tmp_path):
    async with rig(str(tmp_path / "cloud.db"), tmp_path) as got:
        slow = compute.ComputeSettings(members_pause_s=60.0)  # a busy machine looks no more often than an idle one
        got.cloud.kit[compute.ComputeSettings] = slow
        yield got


@pytest.fixture
async def host(made):
    host = Host(made, "a")
    await host.report()
    return host


class Count:
    """The statements since the last look."""

    def __init__(self, made):
        self._db, self._before = made.cloud.db, made.cloud.db.statements

    def __call__(self):
        now = self._db.statements
        self._before, before = now, self._before
        return now - before


async def test_a_server_is_created_in_few_statements(made, host):
    await made.active(host)  # the first on a host makes its DHCP port
    await made.active(host)  # what is kept from then on is known by now
    await host.call("GET", "/wiring?wait=0")
    for _ in range(2):
        count, took = Count(made), {}
        server_id = await made.create()
        took["request"] = count()
        await made.cloud.run_sagas()
        took["worker"] = count()
        news = await host.fetch()
        took["poll for guests"] = count()
        assert (await host.call("GET", "/wiring?wait=0")).status == 200
        took["poll for wiring"] = count()
        (nic,) = news.guests[0].spec.nics
        assert (await host.call("POST", "/wiring", [ObservedWire("port", nic.port_id, up=True)])).status == 204
        took["report of wires"] = count()
        await host.converge()
        took["report of guests"] = count() - 1  # it fetched first
        assert (await made.show(server_id))["status"] == "ACTIVE"
        took["show"] = count()
        assert took == {
            "request": 11,
            "worker": 21,
            "poll for guests": 1,
            "poll for wiring": 8,
            "report of wires": 1,
            "report of guests": 5,
            "show": 4,
        }


async def test_the_hot_endpoints_take_few_statements(made, host):
    server_id = await made.active(host)
    took = {}
    for path in (
        f"/compute/v2.1/servers/{server_id}",
        "/compute/v2.1/servers/detail",
        "/network/v2.0/networks",
        "/network/v2.0/ports",
    ):
        count = Count(made)
        assert (await made.cloud("GET", path)).status == 200
        took[f"GET {path}".replace(server_id, "{id}")] = count()
    count = Count(made)
    port = {"port": {"network_id": made.network}}
    assert (await made.cloud("POST", "/network/v2.0/ports", port)).status == 201
    took["POST /network/v2.0/ports"] = count()
    assert took == {
        "GET /compute/v2.1/servers/{id}": 2,
        "GET /compute/v2.1/servers/detail": 2,
        "GET /network/v2.0/networks": 2,
        "GET /network/v2.0/ports": 3,
        "POST /network/v2.0/ports": 8,
    }
