"""What node agents ask and report: src/maldon/ports/agent.py is the contract.

A host belongs to the user who reported it first. A held-back answer sleeps on the host's topic with no transaction
open, and looks again when woken or when its time is up, so a lost wake only costs time.
"""

import asyncio
import re
from typing import Annotated

from msgspec import Meta

from maldon.compute.settings import ComputeSettings
from maldon.compute.verbs.guest import desired_guests, host_topic
from maldon.compute.verbs.job import answer_job
from maldon.compute.verbs.report import record_observed
from maldon.compute.verbs.wiring_board import WiringBoard
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.network import service as network
from maldon.placement import service as placement
from maldon.ports.agent import HostReport, JobResult, ObservedGuest, ObservedWire
from maldon.web.request import Reply, Request, empty, json, whole
from maldon.work.wakes import Wakes, sleep, sleep_until

RULE = "agent:report"
HOST_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}")
LONGEST_S = 30
LOOK_AGAIN_S = 5.0
BODY_LIMIT = 8 << 20
Guests = Annotated[list[ObservedGuest], Meta(max_length=10_000)]
Wires = Annotated[list[ObservedWire], Meta(max_length=100_000)]


def _host(request: Request) -> str:
    return request.path["host"]


async def report(request: Request, op: Op) -> Reply:
    told = await request.load(HostReport)
    op.may(RULE)
    if not HOST_NAME.fullmatch(_host(request)):
        raise BadRequest("A host's name is of letters, digits, dots, dashes and underscores, a letter or digit first.")
    async with op.db.begin() as session:
        if await placement.report_host(session, op, _host(request), told):
            session.after_commit(lambda: op.wake(network.WIRING_TOPIC))
    return empty()


async def _check_owner(request: Request, op: Op) -> None:
    op.may(RULE)
    async with op.db.read() as session:
        await placement.owned_host(session, op, _host(request))


def _wait(request: Request) -> float:
    return float(min(whole(request.param("wait", "0") or "0", "wait"), LONGEST_S))


async def guests(request: Request, op: Op) -> Reply:
    """What changed after a revision, held back while nothing has."""
    since = whole(request.param("since", "0") or "0", "since", 0, 2**62)
    await _check_owner(request, op)
    clock, deadline = asyncio.get_running_loop().time, asyncio.get_running_loop().time() + _wait(request)
    with op.use(Wakes).listening(host_topic(_host(request))) as event:
        while True:
            event.clear()
            async with op.db.read() as session:
                desired = await desired_guests(session, _host(request), since)
            left = deadline - clock()
            if desired.guests or left <= 0:
                return json(desired)
            await sleep(event, min(left, LOOK_AGAIN_S))


async def observed_guests(request: Request, op: Op) -> Reply:
    reports = await request.load(Guests, BODY_LIMIT)
    await _check_owner(request, op)
    async with op.db.begin() as session:
        await record_observed(session, op, _host(request), reports)
    return empty()


async def wiring(request: Request, op: Op) -> Reply:
    """Everything the node must carry; 304 while it is what the agent has."""
    await _check_owner(request, op)
    host, known = _host(request), request.header("If-None-Match").strip('W/"')
    clock, settings, wakes = asyncio.get_running_loop().time, op.use(ComputeSettings), op.use(Wakes)
    deadline = clock() + _wait(request)
    topic, heard = network.wiring_topic(host), wakes.heard
    with wakes.listening(network.WIRING_TOPIC, topic) as soon:
        while True:
            soon.clear()
            mine = heard.of(topic)
            body, etag = await op.use(WiringBoard).of(op, host)
            if etag != known:
                return Reply(200, body, (("ETag", f'"{etag}"'),))
            look_again = min(clock() + settings.members_pause_s, deadline)
            await sleep_until(soon, max(0.0, look_again - clock()))
            if clock() >= deadline:
                return empty(304, (("ETag", f'"{etag}"'),))
            if soon.is_set() and heard.of(topic) == mine:  # many hosts look; a guest waits for what is this host's
                await asyncio.sleep(settings.wiring_pause_s)


async def observed_wires(request: Request, op: Op) -> Reply:
    wires = await request.load(Wires, BODY_LIMIT)
    await _check_owner(request, op)
    async with op.db.begin() as session:
        await network.record_wires(session, op, _host(request), wires)
    return empty()


async def job(request: Request, op: Op) -> Reply:
    result = await request.load(JobResult, BODY_LIMIT)
    await _check_owner(request, op)
    async with op.db.begin() as session:
        await answer_job(session, op, _host(request), request.path["job"], result)
    return empty()
