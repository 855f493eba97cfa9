"""Every saga of servers, dead before and after every step, refused at every step, and undone through both.

Afterwards there is exactly one server with one port and one claim, or none of them, and nothing is left half done.
"""

from dataclasses import replace

import pytest

from maldon.compute import service as compute
from maldon.kernel.errors import Conflict
from maldon.work.runner import STRIDE, Runner
from maldon.work.sagas import Step
from tests.servers_rig import Host, rig

NONE = {"servers": [], "ports": 0, "addresses": 0, "claims": 0, "guests": 0, "live": 0, "stuck": [], "wrong": []}
ONE = NONE | {"servers": [("active", "")], "ports": 1, "addresses": 1, "claims": 1, "guests": 1}
OFF = ONE | {"servers": [("stopped", "")]}
FAILED = NONE | {"servers": [("error", "")]}

BY_KIND = {saga.kind: saga for saga in compute.SAGAS}
STEPS = [(saga.kind, step.name) for saga in compute.SAGAS for step in saga.steps]
CREATE_STEPS = [step.name for step in BY_KIND["server.create"].steps]
# what is there before, the request, and what is there after it came about or was undone
STORIES = {
    "server.create": (NONE, None, ONE, FAILED),
    "server.delete": (ONE, None, NONE, ONE),
    "server.start": (OFF, ("os-start", None), ONE, OFF),
    "server.stop": (ONE, ("os-stop", None), OFF, ONE),
    "server.reboot": (ONE, ("reboot", {"type": "HARD"}), ONE, ONE),
}


class Died(Exception):
    """The process died here."""


@pytest.fixture(params=["sqlite", "postgresql"])
async def made(request, tmp_path):
    url = str(tmp_path / "db") if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    async with rig(url, tmp_path) as got:
        yield got


@pytest.fixture
async def host(made):
    host = Host(made, "a")
    await host.report()
    return host


async def begin(made, host, kind):
    """The world before, and the request that starts a saga of this kind; the server's id."""
    before, action, _, _ = STORIES[kind]
    if before == NONE:
        return await made.create()
    server_id = await made.active(host)
    if before == OFF:
        await made.act(server_id, "os-stop")
        await made.run()
        await host.converge()
    assert await made.census() == before
    if action is None:
        assert (await made("DELETE", f"/servers/{server_id}")).status == 204
    else:
        assert (await made.act(server_id, *action)).status == 202
    return server_id


async def die(made, kind, step, when, sagas=compute.SAGAS, stride=STRIDE):
    """A worker that dies there; its lease runs out."""

    def checkpoint(*here):
        if here == (kind, step, when):
            raise Died

    runner = Runner(made.cloud.op(), sagas, checkpoint, stride=stride)
    with pytest.raises(ExceptionGroup) as death:
        await exhaust(runner)
    assert death.group_contains(Died)
    made.cloud.clock.advance(31)
    await Host(made, "a").report()


async def exhaust(runner):
    while await runner.once():
        pass


async def settle(made, host):
    for _ in range(3):
        await made.run()
        await host.converge()
    await host.report()


@pytest.mark.parametrize("stride", [1, STRIDE])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "step"), STEPS)
async def test_what_a_dead_worker_left_another_brings_about(made, host, kind, step, when, stride):
    await begin(made, host, kind)
    await die(made, kind, step, when, stride=stride)
    await settle(made, host)
    assert await made.census() == STORIES[kind][2]
    assert len(host.there) == STORIES[kind][2]["guests"]


def refusing(kind, name):
    """The sagas with one step that does its work and is refused then."""

    def broken(step):
        async def refuse(session, work):
            await step.do(session, work)
            raise Conflict("Not today.")

        return Step(step.name, refuse, step.undo) if step.name == name else step

    saga = BY_KIND[kind]
    return tuple(replace(s, steps=tuple(map(broken, s.steps))) if s is saga else s for s in compute.SAGAS)


@pytest.mark.parametrize(("kind", "step"), STEPS)
async def test_what_a_step_refuses_is_undone(made, host, kind, step):
    server_id = await begin(made, host, kind)
    made.cloud.sagas = refusing(kind, step)
    await settle(made, host)
    after = STORIES[kind][3]
    assert await made.census() == (after | {"servers": [("error", "")]} if kind == "server.delete" else after)
    if kind == "server.create":
        assert (await made.show(server_id))["fault"]["message"] == "Not today."


@pytest.mark.parametrize("when", ["before-undo", "after-undo"])
@pytest.mark.parametrize("step", CREATE_STEPS)
async def test_an_undo_that_died_is_finished(made, host, step, when):
    """The host refuses the guest, so that all steps are undone, and the worker dies at one of them."""
    host.refuse = "No such machine type."
    await begin(made, host, "server.create")
    await made.run()
    await host.converge()
    await die(made, "server.create", step, when)
    await settle(made, host)
    assert await made.census() == FAILED


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", CREATE_STEPS)
async def test_a_deletion_wins_wherever_the_build_died(made, host, step, when):
    server_id = await begin(made, host, "server.create")
    await die(made, "server.create", step, when)
    assert (await made("DELETE", f"/servers/{server_id}")).status == 204
    await settle(made, host)
    assert await made.census() == NONE
    assert host.there == {}


@pytest.mark.parametrize("kind", [kind for kind in STORIES if kind != "server.delete"])
async def test_what_its_host_never_answers_is_undone(made, host, kind):
    await begin(made, host, kind)
    await made.run()
    made.cloud.clock.advance(601)
    await settle(made, host)
    assert await made.census() == STORIES[kind][3]


async def test_two_workers_after_one_lease(made, host):
    """The slower of two workers commits nothing: its fence is old."""
    await begin(made, host, "server.create")
    slow = Runner(made.cloud.op(), compute.SAGAS)
    [row] = await slow._due()
    [held] = await slow._lease([row])
    made.cloud.clock.advance(31)
    await host.report()
    await made.run()
    await slow._advance(held)
    await settle(made, host)
    assert await made.census() == ONE
