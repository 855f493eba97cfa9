"""The node agent itself against the control plane in its own process, with drivers that only keep books."""

import asyncio
import contextlib
import time

import msgspec
import pytest

from maldon.agents.node.agent import NodeAgent, NodeSettings
from maldon.agents.node.control import ControlPlane, Refused
from maldon.drivers.hypervisor.fake import FakeHypervisor
from maldon.drivers.switch.fake import FakeSwitch
from tests.servers_rig import rig

SETTINGS = NodeSettings(report_s=0.2, watch_s=0.05, poll_s=1, wire_s=5.0)


class Line(ControlPlane):
    """The way to the control plane without a network; `cut` is a control plane that is away, `missed` when it is."""

    def __init__(self, cloud):
        super().__init__("", "", "")
        self._cloud, self.cut, self.missed = cloud.as_("agent"), False, asyncio.Event()

    async def _call(self, method, host, path, body=None, etag="", patience_s=30.0):
        if self.cut:
            self.missed.set()
            raise OSError("the control plane is not reachable")
        headers = {"If_None_Match": etag} if etag else {}
        url = f"/compute/agent/v1/hosts/{host}{path}"
        async with asyncio.timeout(patience_s):
            got = await self._cloud(method, url, msgspec.to_builtins(body), **headers)
        if got.status >= 400:
            raise Refused(got.status, got.body.decode())
        return got.status, got.body, got.headers.get("etag", "")


class Node:
    """A host whose agent can be killed and started; its guests and wires outlive it."""

    def __init__(self, made, home):
        self.made, self.home, self.line = made, home, Line(made.cloud)
        self.hypervisor = FakeHypervisor(home / "guests", list)
        self.switch = FakeSwitch(home / "switch", "a")
        self._work = None

    async def start(self):
        await self.switch.start(None)
        agent = NodeAgent("a", self.line, self.hypervisor, self.switch, self.home, SETTINGS)
        self._work = asyncio.create_task(agent.run())

    async def kill(self):
        self._work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._work

    async def until(self, server_id, status, within_s=30.0):
        """Let operations advance until a server has a status."""
        deadline = time.monotonic() + within_s
        while (now := await self.made.status(server_id)) != status:
            assert time.monotonic() < deadline, f"{now}, not {status}"
            assert not self._work.done(), "the agent ended"
            self.made.cloud.clock.advance(0.02)  # what was stale is tried again
            await self.made.cloud.run_sagas()
            await asyncio.sleep(0.02)


@pytest.fixture
async def node(database_url, tmp_path):
    async with rig(database_url, tmp_path) as made:
        node = Node(made, tmp_path / "node")
        await node.start()
        try:
            yield node
        finally:
            await node.kill()


async def test_a_server_lives_and_dies_on_a_node(node):
    server_id = await node.made.create()
    await node.until(server_id, "ACTIVE")
    seen = (await node.hypervisor.observe())[server_id]
    (port,) = seen.tap_ports
    wires = await node.switch.observe()
    assert wires["port", port] != ""
    assert all(wires.values())
    for action, status in (("os-stop", "SHUTOFF"), ("os-start", "ACTIVE")):
        await node.made.act(server_id, action)
        await node.until(server_id, status)
    assert (await node.hypervisor.observe())[server_id].power == "running"
    assert (await node.made("DELETE", f"/servers/{server_id}")).status == 204
    await node.until(server_id, "GONE")
    assert await node.hypervisor.observe() == {}
    deadline = time.monotonic() + 10
    while await node.switch.observe():
        assert time.monotonic() < deadline, "wires are left"
        await asyncio.sleep(0.02)
    census = await node.made.census()
    assert (census["ports"], census["claims"], census["guests"], census["stuck"]) == (0, 0, 0, [])


async def test_what_happens_to_a_guest_is_noticed(node):
    server_id = await node.made.create()
    await node.until(server_id, "ACTIVE")
    node.hypervisor.kill(server_id)
    deadline = time.monotonic() + 10
    while (await node.hypervisor.observe())[server_id].power != "running":
        assert time.monotonic() < deadline, "a vanished guest is not started again"
        await asyncio.sleep(0.02)
    assert await node.made.status(server_id) == "ACTIVE"
    node.hypervisor.shut_down(server_id)
    await node.until(server_id, "SHUTOFF")
    assert (await node.hypervisor.observe())[server_id].power == "stopped"


async def test_an_agent_that_was_away_does_what_it_missed(node):
    kept, gone = await node.made.create(), await node.made.create()
    for server_id in (kept, gone):
        await node.until(server_id, "ACTIVE")
    before = (await node.hypervisor.observe())[kept]
    await node.kill()
    assert (await node.made("DELETE", f"/servers/{gone}")).status == 204
    late = await node.made.create()
    await node.made.cloud.run_sagas()
    await node.start()
    await node.until(gone, "GONE")
    await node.until(late, "ACTIVE")
    seen = await node.hypervisor.observe()
    assert (seen.keys(), seen[kept]) == ({kept, late}, before)


async def test_guests_and_wires_stay_while_the_control_plane_is_away(node):
    server_id = await node.made.create()
    await node.until(server_id, "ACTIVE")
    before = await node.hypervisor.observe(), dict(await node.switch.observe())
    await node.kill()
    node.line.cut = True
    await node.start()
    await asyncio.wait_for(node.line.missed.wait(), 10)
    assert (await node.hypervisor.observe(), dict(await node.switch.observe())) == before
    node.line.cut = False
    await node.made.act(server_id, "os-stop")
    await node.until(server_id, "SHUTOFF")
