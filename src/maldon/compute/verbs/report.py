"""What hosts report of guests, and what follows from it, in one transaction each.

An agent reports again until it is heard, so every report may come twice and late; only one that speaks of the revision
wanted now moves anything.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy import bindparam, select, update

from maldon.compute.models.server import guests, servers
from maldon.compute.plan.observed import Verdict, judge
from maldon.compute.plan.states import State, Task
from maldon.compute.verbs.deletion import conclude_deletion
from maldon.compute.verbs.guest import change_guest, forget_guest, spec_of
from maldon.compute.verbs.server import drift, end_task
from maldon.kernel.op import Op, Session
from maldon.ports.agent import ObservedGuest
from maldon.work.sagas import Fault, fail, finish

log = structlog.get_logger("compute")
_DONE = (Task.SPAWNING, Task.STARTING, Task.STOPPING, Task.REBOOTING, Task.REBOOTING_HARD)

# Statements are made once, with their values left open: making one takes longer than answering it.
_REPORTED = (
    select(guests, servers.c.state, servers.c.task, servers.c.power, servers.c.launched_at)
    .join(servers, servers.c.id == guests.c.id)
    .where(guests.c.host == bindparam("host"), guests.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(guests.c.id)
)
_SEEN = (
    update(guests)
    .where(guests.c.id == bindparam("guest"), guests.c.revision == bindparam("at_revision"))
    .values(
        seen_revision=bindparam("told_revision"),
        seen_power=bindparam("power"),
        seen_error=bindparam("error"),
        operation_id=bindparam("operation"),
        seen_at=bindparam("now", type_=guests.c.seen_at.type),
    )
)


async def record_observed(session: Session, op: Op, host: str, reports: Sequence[ObservedGuest]) -> None:
    """Write down what the host saw of its guests and move their servers."""
    by_id = {report.id: report for report in reports}
    rows = await session.all(_REPORTED, {"host": host, "ids": [*by_id]})
    for row in rows:
        await _record(session, op, row, by_id[row.id])


async def _record(session: Session, op: Op, row: Any, report: ObservedGuest) -> None:
    verdict = judge(spec_of(row), row.revision, report)
    if verdict.meaning == "removed":
        await _removed(session, op, row)
        return
    ended = row.operation_id is not None and verdict.meaning in {"failed", "arrived", "left"}
    seen = (report.revision, report.power, report.error)
    if ended or seen != (row.seen_revision, row.seen_power, row.seen_error):
        values: dict[str, Any] = dict(zip(("told_revision", "power", "error"), seen, strict=True))
        values |= {"guest": row.id, "at_revision": row.revision, "now": op.clock.now()}
        values["operation"] = None if ended else row.operation_id
        if not await session.run(_SEEN, values):  # something else is wanted by now; the agent will report on that
            return
    await _follow(session, op, row, report, verdict)


async def _follow(session: Session, op: Op, row: Any, report: ObservedGuest, verdict: Verdict) -> None:
    match verdict.meaning:
        case "failed" if row.operation_id is not None:
            await fail(session, op, row.operation_id, Fault("guest-failed", report.error or ""))
        case "failed":
            log.warning("a guest is in trouble", guest=row.id, host=row.host, why=report.error)
        case "arrived" | "left":
            if verdict.meaning == "left":
                await _stay_off(session, op, row)
            await _settle(session, op, row, report, verdict.state)
        case _ if row.task is None and report.power == "vanished" and row.power != "vanished":
            await session.run(update(servers).where(servers.c.id == row.id).values(power="vanished"))


async def _settle(session: Session, op: Op, row: Any, report: ObservedGuest, state: State | None) -> None:
    """The guest is as it was wanted, or came to rest by itself: its server says so."""
    if state is None:
        return
    values: dict[str, Any] = {"power": report.power}
    if row.operation_id is None:
        if row.task is None and (row.state, row.power) != (state, report.power):
            if row.state == state:
                await session.run(update(servers).where(servers.c.id == row.id).values(values))
            elif row.state != State.ERROR:
                await drift(session, op, row.id, state, **values)
    elif await finish(session, op, row.operation_id):
        if row.launched_at is None:
            values["launched_at"] = op.clock.now()
        await end_task(session, op, row.id, _DONE, state, fault=None, **values)


async def _stay_off(session: Session, op: Op, row: Any) -> None:
    """A guest that shut itself down stays off until its user starts it."""
    spec = spec_of(row)
    if spec is not None:
        await change_guest(session, op, row, msgspec.structs.replace(spec, power="stopped"))


async def _removed(session: Session, op: Op, row: Any) -> None:
    """The guest is gone from its host; a deletion that waited for it ends."""
    await forget_guest(session, row.id)
    if row.operation_id is None:
        return
    await finish(session, op, row.operation_id)
    await conclude_deletion(session, op, row.id)
