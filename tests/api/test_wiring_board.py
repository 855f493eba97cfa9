"""What a host's wiring costs: computed for those whom a change concerns, and for nobody else."""

import pytest

from maldon.compute import service as compute
from maldon.network import service as network
from tests.servers_rig import Host, rig


@pytest.fixture
async def made(database_url, tmp_path):
    async with rig(database_url, tmp_path) as got:
        got.cloud.kit[compute.ComputeSettings] = compute.ComputeSettings(members_pause_s=0.0)
        for name in ("a", "b", "c"):
            assert (await Host(got, name).report()).status == 204
        yield got


async def test_a_change_is_computed_only_for_the_hosts_it_concerns(made):
    board, op = compute.WiringBoard(), made.cloud.op("agent")
    for host, nets in (("a", {}), ("b", {"networks": "none"})):
        body = made.body(**nets, availability_zone=f"nova:{host}")
        assert (await made("POST", "/servers", body, who="admin")).status == 202
    await made.run()
    before = {host: await board.of(op, host) for host in ("a", "b", "c")}
    body = made.body(availability_zone="nova:c")
    assert (await made("POST", "/servers", body, who="admin")).status == 202
    await made.run()
    statements = made.cloud.db.statements
    assert await board.of(op, "b") == before["b"]
    assert made.cloud.db.statements == statements, "another host's change was looked at"
    assert await board.of(op, "a") != before["a"], "its group has another member, its network another peer"
    assert made.cloud.db.statements > statements
    assert await board.of(op, "c") != before["c"]


async def test_many_hosts_are_computed_together(made):
    board, op = compute.WiringBoard(), made.cloud.op("agent")
    for host in ("a", "b", "c"):
        await board.of(op, host)
    made.cloud.wakes.wake(network.WIRING_TOPIC)
    await board.of(op, "a")
    statements = made.cloud.db.statements
    for host in ("b", "c"):
        await board.of(op, host)
    assert made.cloud.db.statements == statements
