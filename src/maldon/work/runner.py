"""The worker: advances operations under a lease.

`once` takes what is due and drives each operation as far as it goes. A lease is a compare-and-set on the operation's
fence; every later write of the same worker demands that fence, so a worker that lost its lease commits nothing. Steps
that touch nothing outside share a transaction, `stride` of them at most; when one of them does not come through, none
has happened, and they are run one by one so that the journal tells which. Trouble
that may pass (Stale, an unreachable database) is tried again after a growing pause; a refusal undoes at once; a bug
undoes after three tries. An undo is tried until it succeeds.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog
from sqlalchemy import and_, bindparam, case, func, or_, select, update

from maldon.kernel.clock import SECOND
from maldon.kernel.errors import CloudError, Stale, Unavailable
from maldon.kernel.ids import new_id
from maldon.kernel.op import Actor, Database, Op, Session
from maldon.work.models import operations
from maldon.work.sagas import LIVE, NEVER, Fault, Saga, Step, Work, note, note_done

log = structlog.get_logger()

Checkpoint = Callable[[str, str, str], None]
LEASE_S = 30
TRIES = 3
AT_ONCE = 50
STRIDE = 8

# Statements are made once, with their values left open: making one takes longer than answering it.
_TIME = operations.c.due_at.type
_NOW, _OWNER = bindparam("now", type_=_TIME), bindparam("owner", type_=operations.c.lease_owner.type)
_HELD = and_(operations.c.id == bindparam("operation"), operations.c.fence == bindparam("held"))
_DUE = (
    select(operations)
    .where(
        operations.c.state.in_(LIVE),
        operations.c.due_at <= _NOW,
        operations.c.kind.in_(bindparam("kinds", expanding=True)),
        or_(operations.c.lease_until <= _NOW, operations.c.lease_owner == _OWNER),
    )
    .order_by(operations.c.due_at)
    .limit(AT_ONCE)
)
_FREE_AT = case(
    (
        and_(operations.c.lease_until > operations.c.due_at, operations.c.lease_owner != _OWNER),
        operations.c.lease_until,
    ),
    else_=operations.c.due_at,
)
_NEXT = select(func.min(_FREE_AT)).where(
    operations.c.state.in_(LIVE), operations.c.due_at < bindparam("then", type_=_TIME)
)
_LEASE = (
    update(operations)
    .where(_HELD)
    .values(lease_owner=_OWNER, lease_until=bindparam("until", type_=_TIME), fence=operations.c.fence + 1)
)
_RECORD = (
    update(operations)
    .where(_HELD)
    .values(
        attempts=0,
        state=bindparam("to"),
        step=bindparam("at_step"),
        done=bindparam("results"),
        fault=bindparam("why"),
        due_at=bindparam("due", type_=_TIME),
        lease_until=bindparam("until", type_=_TIME),
        updated_at=_NOW,
    )
)


async def release_leases(db: Database) -> None:
    """Void all leases, for who knows that their holders are dead; one that lives after all commits nothing more."""
    async with db.begin() as session:
        await session.run(
            update(operations)
            .where(operations.c.state.in_(LIVE), operations.c.lease_until > 0)
            .values(lease_until=0, fence=operations.c.fence + 1)
        )


def _pass_by(_kind: str, _step: str, _when: str) -> None:
    """The checkpoint of production: nothing happens. Tests die here."""


@dataclass(slots=True)
class _Held:
    """An operation under our lease, as we know it. `op` asks as whoever started it."""

    id: str
    kind: str
    subject: str
    op: Op
    params: dict[str, Any]
    done: dict[str, Any]
    state: str
    step: int
    attempts: int
    fence: int
    due_at: int
    deadline_at: int
    fault: Fault | None

    def work(self) -> Work:
        return Work(self.op, self.id, self.subject, self.params, self.done, self.fault)


class Runner:
    """Advances operations of the given sagas. `op` is the worker's own; steps run as the operation's asker."""

    def __init__(
        self, op: Op, sagas: Iterable[Saga], checkpoint: Checkpoint = _pass_by, *, stride: int = STRIDE
    ) -> None:
        self._op, self._stride = op, stride
        self._sagas = {saga.kind: saga for saga in sagas}
        self._checkpoint = checkpoint
        self.owner = new_id()

    async def once(self) -> int:
        """Advance everything that is due now; how many operations were advanced."""
        due = await self._due()
        held = await self._lease(due) if due else []
        async with asyncio.TaskGroup() as group:
            for one in held:
                group.create_task(self._advance(one), name=f"advance {one.kind} {one.subject}")
        return len(held)

    async def next_due_s(self) -> float:
        """Seconds until the next known operation is due and nobody else's; at most a minute."""
        now = self._op.clock.now()
        async with self._op.db.read() as session:
            due = await session.scalar(_NEXT, {"owner": self.owner, "then": now + 60 * SECOND})
        return 60.0 if due is None else min(60.0, max(0.0, (due - now) / SECOND))

    async def _due(self) -> list[Any]:
        now = self._op.clock.now()
        async with self._op.db.read() as session:
            return await session.all(_DUE, {"now": now, "kinds": [*self._sagas], "owner": self.owner})

    async def _lease(self, due: Iterable[Any]) -> list[_Held]:
        """Those of the operations that nobody else has taken."""
        now = self._op.clock.now()
        mine = {"owner": self.owner, "until": now + LEASE_S * SECOND}
        async with self._op.db.begin() as session:
            taken = [row for row in due if await session.run(_LEASE, mine | {"operation": row.id, "held": row.fence})]
        return [self._held(row, now) for row in taken]

    def _held(self, row: Any, now: int) -> _Held:
        actor = Actor(user_id=row.user_id or "", project_id=row.project_id)
        held = _Held(
            id=row.id,
            kind=row.kind,
            subject=row.subject,
            op=msgspec.structs.replace(self._op, actor=actor, request_id=row.request_id, asked=set()),
            params=row.params,
            done=row.done,
            state=row.state,
            step=row.step,
            attempts=row.attempts,
            fence=row.fence + 1,
            due_at=row.due_at,
            deadline_at=row.deadline_at,
            fault=Fault(**row.fault) if row.fault else None,
        )
        if row.state != "undoing" and row.deadline_at <= now:
            held.state = "undoing"
            held.fault = Fault("deadline", "It did not come about in time and was undone; please try again.")
        return held

    async def _advance(self, held: _Held) -> None:
        saga = self._sagas[held.kind]
        if held.attempts == 0:
            await self._do_together(saga, held)
        while held.state == "running" and held.step < len(saga.steps):
            if not await self._do(saga, held):
                break
        while held.state == "undoing":
            if not await self._undo(saga, held):
                break

    async def _do_together(self, saga: Saga, held: _Held) -> None:
        """Run the next steps in one transaction. When one does not come through, nothing has happened."""
        steps = saga.steps[held.step : held.step + self._stride]
        steps = steps[: next((n for n, step in enumerate(steps) if step.outside), None)]
        if held.state != "running" or len(steps) < 2:
            return
        for step in steps:
            self._checkpoint(held.kind, step.name, "before")
        ended, done, state = held.step + len(steps), held.done, "running"
        try:
            async with self._op.db.begin() as session:
                for step in steps:
                    result = await step.do(session, replace(held.work(), done=done))
                    done = {**done, step.name: result or {}}
                    state = _position(saga, result, last=ended == len(saga.steps))
                await self._record(session, held, state=state, step=ended, done=done)
                await note_done(session, held.op, held.id, held.kind, held.subject, [step.name for step in steps])
        except Exception as error:  # noqa: BLE001 - whatever it is, the step that raises it alone is treated for it
            log.debug("steps will be run one by one", saga=held.kind, subject=held.subject, why=str(error))
            return
        held.step, held.done, held.state = ended, done, state
        for step in steps:
            self._checkpoint(held.kind, step.name, "after")

    async def _do(self, saga: Saga, held: _Held) -> bool:
        """Run the next step; whether to go on."""
        step = saga.steps[held.step]
        self._checkpoint(held.kind, step.name, "before")
        last = held.step + 1 == len(saga.steps)
        try:
            async with self._op.db.begin() as session:
                result = await step.do(session, held.work())
                state = _position(saga, result, last=last)
                done = {**held.done, step.name: result or {}}
                await self._record(session, held, state=state, step=held.step + 1, done=done)
                await note(session, held.op, held.id, held.kind, held.subject, step.name, "done")
        except (Stale, Unavailable) as error:
            await self._later(held, error)
            return False
        except CloudError as error:
            held.fault, held.state = Fault(error.code, error.public, error.internal), "undoing"
            log.info("step refused", saga=held.kind, step=step.name, subject=held.subject, why=error.public)
            return False
        except Exception as error:
            log.exception("step failed", saga=held.kind, step=step.name, subject=held.subject)
            if held.attempts + 1 < TRIES:
                await self._later(held, error)
            else:
                held.fault, held.state = Fault("internal", "An internal error; the operator's log has it."), "undoing"
            return False
        held.step, held.done, held.state, held.attempts = held.step + 1, done, state, 0
        self._checkpoint(held.kind, step.name, "after")
        return True

    async def _undo(self, saga: Saga, held: _Held) -> bool:
        """Undo the last finished step; whether to go on."""
        step = saga.steps[held.step - 1] if held.step else Step("give-up", _nothing)
        self._checkpoint(held.kind, step.name, "before-undo")
        ended = held.step <= 1
        try:
            async with self._op.db.begin() as session:
                if step.undo is not None:
                    await step.undo(session, held.work())
                if ended and saga.give_up is not None:
                    await saga.give_up(session, held.work())
                state = "undone" if ended else "undoing"
                await self._record(session, held, state=state, step=max(0, held.step - 1), done=held.done)
                await note(session, held.op, held.id, held.kind, held.subject, step.name, "undone", _fault(held.fault))
        except Exception as error:
            if not isinstance(error, (Stale, Unavailable)):
                log.exception("undo failed, will try again", saga=held.kind, step=step.name, subject=held.subject)
            await self._later(held, error)
            return False
        held.step, held.attempts = max(0, held.step - 1), 0
        held.state = "undone" if ended else "undoing"
        self._checkpoint(held.kind, step.name, "after-undo")
        return not ended

    async def _record(self, session: Session, held: _Held, *, state: str, step: int, done: dict[str, Any]) -> None:
        """The operation's new position, under our fence."""
        now = self._op.clock.now()
        due, until = held.due_at, now + LEASE_S * SECOND
        if state == "awaiting":
            due, until = held.deadline_at, 0
        elif state in {"done", "undone"}:
            due = NEVER
        where = {"operation": held.id, "held": held.fence}
        values = {"to": state, "at_step": step, "results": done, "due": due, "until": until, "now": now}
        values["why"] = _fault(held.fault) if held.state == "undoing" else None
        if not await session.run(_RECORD, where | values):
            raise Stale("Another worker has taken the operation over.", internal=held.id)

    async def _later(self, held: _Held, error: Exception) -> None:
        """Give the lease back and come again after a pause that grows to a minute."""
        held.attempts += 1
        pause = min(60.0, 0.05 * 2 ** min(held.attempts, 12))
        log.info("will try again", saga=held.kind, subject=held.subject, in_s=pause, why=str(error))
        async with self._op.db.begin() as session:
            await session.run(
                update(operations)
                .where(operations.c.id == held.id, operations.c.fence == held.fence)
                .values(
                    attempts=held.attempts,
                    state=held.state,
                    fault=_fault(held.fault),
                    due_at=self._op.clock.now() + int(pause * SECOND),
                    lease_until=0,
                )
            )


def _position(saga: Saga, result: dict[str, Any] | None, *, last: bool) -> str:
    """The operation's state after a step; a last step that returns {"over": True} leaves nothing to await."""
    if not last:
        return "running"
    return "awaiting" if saga.awaits and not (result or {}).get("over") else "done"


async def _nothing(_session: Session, _work: Work) -> None:
    return None


def _fault(fault: Fault | None) -> dict[str, str] | None:
    return None if fault is None else {"code": fault.code, "message": fault.message, "details": fault.details}
