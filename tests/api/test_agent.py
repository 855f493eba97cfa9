"""The agents' API: who may speak for a host, what a long poll waits for, what a report moves."""

import asyncio

import msgspec
import pytest

from maldon.kernel.op import Actor
from maldon.ports.agent import ObservedGuest, ObservedWire
from maldon.ports.switch import Wiring
from tests.harness import TOKENS
from tests.servers_rig import Host, rig


@pytest.fixture
async def made(database_url, tmp_path):
    async with rig(database_url, tmp_path) as got:
        yield got


@pytest.fixture
async def host(made):
    host = Host(made, "a")
    await host.report()
    return host


async def test_a_host_belongs_to_its_first_agent(made, host, monkeypatch):
    monkeypatch.setitem(TOKENS, "intruder", Actor("u-intruder", "intruder", roles=("agent",)))
    intruder = Host(made, "a", who="intruder")
    assert (await intruder.report()).status == 403
    for method, path, body in (
        ("GET", "/guests?since=0", None),
        ("POST", "/guests", []),
        ("GET", "/wiring", None),
        ("POST", "/wiring", []),
        ("POST", "/jobs/x", {}),
    ):
        assert (await intruder.call(method, path, body)).status == 403
    assert (await Host(made, "unheard-of").call("GET", "/guests")).status == 404


async def test_a_long_poll_ends_when_there_is_news(made, host):
    server_id = await made.create()
    waiting = asyncio.create_task(host.fetch(wait_s=20))
    await asyncio.sleep(0)
    await made.run()
    news = await asyncio.wait_for(waiting, 10)
    assert [guest.id for guest in news.guests] == [server_id]
    assert news.revision == news.guests[0].revision
    assert (await host.fetch()).guests == ()


async def test_nothing_is_missed_since_a_revision(made, host):
    ids = []
    for _ in range(3):
        ids.append(await made.create())
        await made.run()
    host.revision = 0
    everything = await host.fetch()
    assert [guest.id for guest in everything.guests] == ids
    assert [guest.revision for guest in everything.guests] == [1, 2, 3]
    host.revision = 1
    assert [guest.id for guest in (await host.fetch()).guests] == ids[1:]


async def test_one_host_sees_nothing_of_another(made, host):
    other = Host(made, "b")
    await other.report()
    body = made.body(networks="none", availability_zone="nova:b")
    server_id = (await made("POST", "/servers", body, who="admin")).json["server"]["id"]
    await made.run()
    assert (await host.fetch()).guests == ()
    await host.tell(ObservedGuest(server_id, 1, "running"))
    assert (await made.show(server_id, who="admin"))["status"] == "BUILD"
    await other.converge()
    assert (await made.show(server_id, who="admin"))["status"] == "ACTIVE"


async def test_an_old_report_moves_nothing(made, host):
    server_id = await made.active(host)
    old = host.there[server_id]
    await made.act(server_id, "os-stop")
    await made.run()
    await host.tell(old)
    assert (await made.show(server_id))["OS-EXT-STS:task_state"] == "powering-off"
    await host.converge()
    await host.tell(old)
    assert await made.status(server_id) == "SHUTOFF"


async def test_wiring_is_told_when_it_changes(made, host):
    first = await host.call("GET", "/wiring?wait=0")
    assert msgspec.convert(first.json, Wiring) == Wiring()
    etag = first.headers["etag"]
    assert (await host.call("GET", "/wiring?wait=0", If_None_Match=etag)).status == 304
    waiting = asyncio.create_task(host.call("GET", "/wiring?wait=20", If_None_Match=etag))
    await asyncio.sleep(0)
    server_id = await made.create()
    await made.run()
    got = await asyncio.wait_for(waiting, 10)
    wiring = msgspec.convert(got.json, Wiring)
    [port] = wiring.ports
    assert port.addresses == ((await made.show(server_id))["addresses"]["private"][0]["addr"],)
    assert (await host.call("POST", "/wiring", [ObservedWire("port", port.id, up=True)])).status == 204
    [interface] = (await made("GET", f"/servers/{server_id}/os-interface")).json["interfaceAttachments"]
    assert interface["port_state"] == "ACTIVE"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {}),
        ("POST", "", {"capacity": {"vcpus": "x"}}),
        ("POST", "/guests", {}),
        ("POST", "/guests", [{"id": 1}]),
        ("POST", "/guests", [{"id": "x", "revision": 1, "power": "asleep"}]),
        ("POST", "/wiring", [{"kind": "moon", "id": "x", "up": True}]),
        ("POST", "/jobs/x", {"output": 1}),
        ("GET", "/guests?since=x", None),
        ("GET", "/guests?wait=-1", None),
        ("GET", "/wiring?wait=x", None),
    ],
)
async def test_bad_reports_are_refused(made, host, method, path, body):
    assert (await host.call(method, path, body)).status == 400
