"""Servers from request to running guest and back, with the agent played over its own API."""

import asyncio

import pytest

from maldon.ports.agent import ObservedGuest
from tests.servers_rig import Host, rig

NONE = {"servers": [], "ports": 0, "addresses": 0, "claims": 0, "guests": 0, "live": 0, "stuck": [], "wrong": []}
ONE = NONE | {"servers": [("active", "")], "ports": 1, "addresses": 1, "claims": 1, "guests": 1}


@pytest.fixture
async def made(database_url, tmp_path):
    async with rig(database_url, tmp_path) as got:
        yield got


@pytest.fixture
async def host(made):
    host = Host(made, "a")
    assert (await host.report()).status == 204
    return host


async def test_a_server_is_built_and_deleted_without_a_trace(made, host):
    server_id = await made.create()
    shown = await made.show(server_id)
    assert (shown["status"], shown["OS-EXT-STS:task_state"], shown["progress"]) == ("BUILD", "scheduling", 0)
    await made.run()
    assert (await made.show(server_id))["OS-EXT-STS:task_state"] == "spawning"
    await host.converge()
    shown = await made.show(server_id, who="admin")
    assert (shown["status"], shown["OS-EXT-STS:task_state"], shown["OS-EXT-STS:power_state"]) == ("ACTIVE", None, 1)
    assert shown["OS-EXT-SRV-ATTR:host"] == "a"
    assert shown["host_status"] == "UP"
    assert [net[0]["version"] for net in shown["addresses"].values()] == [4]
    assert shown["security_groups"] == [{"name": "default"}]
    assert await made.census() == ONE
    assert (await made("DELETE", f"/servers/{server_id}")).status == 204
    await made.run()
    assert await made.status(server_id) == "ACTIVE"
    await host.converge()
    assert await made.status(server_id) == "GONE"
    assert await made.census() == NONE


async def test_what_the_guest_is_told(made, host):
    data = "IyEvYmluL3NoCg=="
    server_id = await made.active(
        host, name="Web Server_1", metadata={"role": "web"}, user_data=data, config_drive=True
    )
    guest = host.desired[server_id]
    assert (guest.spec.vcpus, guest.spec.memory_mb, guest.spec.root_gb, guest.spec.config_drive) == (1, 128, 1, True)
    assert guest.spec.image.id == made.image
    assert len(guest.spec.nics) == 1
    told = guest.metadata
    assert (told.hostname, told.properties, told.user_data) == ("web-server-1", {"role": "web"}, data)


async def test_no_valid_host_is_an_error_that_explains_itself(made, host):
    server_id = await made.create(availability_zone="nova")
    other = await made.create()
    await host.report(memory_mb=100)
    await made.run()
    shown = await made.show(server_id)
    assert shown["status"] == "ERROR"
    assert shown["fault"]["message"] == ("No valid host was found. 1 host: 1 has too little memory (128 MB wanted).")
    assert await made.status(other) == "ERROR"
    assert await made.census() == NONE | {"servers": [("error", "")] * 2}
    await made("DELETE", f"/servers/{server_id}")
    await made.run()
    assert await made.status(server_id) == "GONE"


async def test_a_guest_that_cannot_be_is_undone(made, host):
    host.refuse = "The image is larger than the disk."
    server_id = await made.create()
    await made.run()
    await host.converge()
    await made.run()
    shown = await made.show(server_id)
    assert (shown["status"], shown["fault"]["message"]) == ("ERROR", "The image is larger than the disk.")
    await host.converge()
    assert await made.census() == NONE | {"servers": [("error", "")]}


async def test_a_silent_host_leaves_an_error_and_no_leak(made, host):
    server_id = await made.create()
    await made.run()
    made.cloud.clock.advance(601)
    await made.run()
    assert await made.status(server_id) == "ERROR"
    assert await made.census() == NONE | {"servers": [("error", "")], "guests": 1}
    await host.converge()
    assert (await made.census())["guests"] == 0


async def test_stop_start_and_reboot(made, host):
    server_id = await made.active(host)
    for action, value, task, status in (
        ("os-stop", None, "powering-off", "SHUTOFF"),
        ("os-start", None, "powering-on", "ACTIVE"),
        ("reboot", {"type": "SOFT"}, "rebooting", "ACTIVE"),
        ("reboot", {"type": "HARD"}, "rebooting_hard", "ACTIVE"),
    ):
        assert (await made.act(server_id, action, value)).status == 202
        assert (await made.show(server_id))["OS-EXT-STS:task_state"] == task
        assert (await made.act(server_id, action, value)).status == 409
        await made.run()
        await host.converge()
        assert await made.status(server_id) == status
    spec = host.desired[server_id].spec
    assert (spec.power, spec.soft_boots, spec.hard_boots) == ("running", 1, 2)  # a start is a boot
    assert (await made.act(server_id, "os-start")).status == 409
    assert await made.census() == ONE


async def test_an_action_whose_host_keeps_silent_is_undone(made, host):
    server_id = await made.active(host)
    await made.act(server_id, "os-stop")
    await made.run()
    made.cloud.clock.advance(200)
    await made.run()
    assert await made.status(server_id) == "ACTIVE"
    await host.fetch()
    assert host.desired[server_id].spec.power == "running"
    assert await made.census() == ONE


async def test_a_guest_that_shuts_itself_down_stays_off(made, host):
    server_id = await made.active(host)
    await host.tell(ObservedGuest(server_id, host.desired[server_id].revision, "stopped"))
    assert await made.status(server_id) == "SHUTOFF"
    await host.fetch()
    assert host.desired[server_id].spec.power == "stopped"
    await host.converge()
    assert await made.status(server_id) == "SHUTOFF"


async def test_a_vanished_guest_is_wanted_as_before(made, host):
    server_id = await made.active(host)
    await host.tell(ObservedGuest(server_id, host.desired[server_id].revision, "vanished"))
    shown = await made.show(server_id)
    assert (shown["status"], shown["OS-EXT-STS:power_state"]) == ("ACTIVE", 6)
    await host.converge()
    assert (await made.show(server_id))["OS-EXT-STS:power_state"] == 1


@pytest.mark.parametrize("after", ["request", "sagas", "report"])
async def test_deletion_wins_over_a_build(made, host, after):
    server_id = await made.create()
    if after != "request":
        await made.run()
    await host.fetch()
    assert (await made("DELETE", f"/servers/{server_id}")).status == 204
    if after == "report":
        for guest in host.desired.values():
            await host.tell(ObservedGuest(guest.id, guest.revision, "running"))
    assert (await made("DELETE", f"/servers/{server_id}")).status == 204
    await made.run()
    await host.converge()
    assert await made.status(server_id) == "GONE"
    assert await made.census() == NONE


async def test_deletion_wins_over_a_reboot(made, host):
    server_id = await made.active(host)
    await made.act(server_id, "reboot", {"type": "HARD"})
    await made("DELETE", f"/servers/{server_id}")
    await made.run()
    await host.converge()
    assert await made.census() == NONE


async def test_a_server_on_a_dead_host_is_deleted_when_the_host_is_given_up(made, host):
    from maldon.compute.loops.conclude_deletions import conclude_deletions
    from maldon.placement import service as placement

    server_id = await made.active(host)
    await made("DELETE", f"/servers/{server_id}")
    await made.run()
    assert await conclude_deletions(made.cloud.op()) == 0
    async with made.cloud.db.begin() as session:
        [known] = await placement.hosts(session, made.cloud.op())
        await placement.set_host(session, made.cloud.op(), known.id, forced_down=True)
    assert await conclude_deletions(made.cloud.op()) == 1
    assert await made.status(server_id) == "GONE"
    assert await made.census() == NONE | {"guests": 1}
    await host.converge()
    assert await made.census() == NONE


async def test_a_deletion_nobody_confirms_is_said_and_concluded_later(made, host):
    server_id = await made.active(host)
    await made("DELETE", f"/servers/{server_id}")
    await made.run()
    made.cloud.clock.advance(601)
    await made.run()
    shown = await made.show(server_id)
    assert (shown["status"], shown["fault"]["message"][:8]) == ("ERROR", "The host")
    await host.converge()
    assert await made.census() == NONE


async def test_a_console_log_is_fetched_by_the_host(made, host):
    server_id = await made.active(host)
    asking = asyncio.create_task(made.act(server_id, "os-getConsoleOutput", {"length": 2}))
    while not (await host.fetch(wait_s=2)).guests:
        pass
    await host.converge()
    got = await asking
    assert (got.status, got.json) == (200, {"output": f"log of {server_id}\nlog of {server_id}"})
    assert (await made.act(server_id, "os-getConsoleOutput", {"length": -2})).status == 400


async def test_a_host_that_keeps_silent_about_a_console_log_is_a_conflict(made, host):
    server_id = await made.active(host)
    assert (await made.act(server_id, "os-getConsoleOutput")).status == 409


async def test_actions_tell_the_story(made, host):
    server_id = await made.active(host)
    await made.act(server_id, "os-stop")
    await made.run()
    await host.converge()
    await made("DELETE", f"/servers/{server_id}")
    await made.run()
    await host.converge()
    got = (await made("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    assert {one["action"] for one in got} == {"create", "stop", "delete"}
    create = next(one for one in got if one["action"] == "create")
    shown = await made("GET", f"/servers/{server_id}/os-instance-actions/{create['request_id']}")
    events = shown.json["instanceAction"]["events"]
    assert [e["event"] for e in events] == [
        "server_create_host", "server_create_ports", "server_create_intent", "server_create_finish",
    ]  # fmt: skip
    assert (
        await made("GET", f"/servers/{server_id}/os-instance-actions", OpenStack_API_Version="compute 2.20")
    ).status == 404


async def test_quota_counts_live_servers(made, host):
    for n in range(10):
        await made.create(name=f"s{n}")
    got = await made("POST", "/servers", made.body())
    assert got.status == 403
    assert got.json["forbidden"]["message"] == (
        "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"
    )
    some = (await made("GET", "/servers")).json["servers"][0]["id"]
    await made("DELETE", f"/servers/{some}")
    await made.run()
    await host.converge()
    assert (await made("POST", "/servers", made.body())).status == 202


async def test_many_at_once(made, host):
    got = await made("POST", "/servers", made.body(min_count=3, max_count=3, return_reservation_id=True))
    assert (got.status, list(got.json)) == (202, ["reservation_id"])
    await made.run()
    await host.converge()
    found = (await made("GET", "/servers/detail?sort_key=display_name&sort_dir=asc")).json["servers"]
    assert [(one["name"], one["status"]) for one in found] == [(f"s-{n}", "ACTIVE") for n in (1, 2, 3)]
    assert (await made.census())["ports"] == 3
    assert len({one["addresses"]["private"][0]["addr"] for one in found}) == 3
