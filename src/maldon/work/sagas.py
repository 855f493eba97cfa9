"""Long work as a list of named do/undo steps with a journal line per finished step.

A request starts an operation in the transaction that writes what it wants. A worker (`runner.py`) advances it step by
step: a step's effects, its journal line and the operation's new position commit together. When a step refuses, the
finished ones are undone in reverse. No step waits: an operation whose saga `awaits` is parked after its last step, and
whoever learns the outcome (an agent's report) calls `finish` or `fail` in the same transaction that records it. A
parked operation whose deadline passes is undone. So every operation ends as `done` or `undone`, whatever dies when.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, false, insert, literal, select, update

from maldon.kernel.clock import SECOND
from maldon.kernel.ids import new_id
from maldon.kernel.op import Op, Session
from maldon.work.models import journal, operations

TOPIC = "work"
LIVE = ("running", "awaiting", "undoing")
NEVER = 2**62


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something failed: a stable code, a sentence for the user, and details (which constraint failed how many)."""

    code: str
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """What a step is told: the asking, the operation and what earlier steps returned. `fault` is set while undoing."""

    op: Op
    operation_id: str
    subject: str
    params: dict[str, Any]
    done: dict[str, Any]
    fault: Fault | None = None


Do = Callable[[Session, Work], Awaitable[dict[str, Any] | None]]
Undo = Callable[[Session, Work], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `do` may run again until its commit, `undo` too; what `do` returns is in the later steps' `done`.

    Steps that only write to the database may share a transaction with their neighbours; one that touches what is
    `outside` has its own.
    """

    name: str
    do: Do
    undo: Undo | None = None
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Saga:
    """A kind of long work.

    `awaits` parks it after the last step until `finish` or `fail`, unless that step returned {"over": True};
    `deadline_s` bounds all; `give_up` runs in the transaction that ends it undone, whichever step refused.
    """

    kind: str
    steps: tuple[Step, ...]
    give_up: Undo | None = None
    awaits: bool = False
    deadline_s: int = 600


# Statements are made once, with their values left open: making one takes longer than answering it.
_START, _NOTE = insert(operations), insert(journal)
_WANTED, _NOW = operations.c.id == bindparam("operation"), bindparam("now", type_=operations.c.updated_at.type)
_FINISH = (
    update(operations)
    .where(_WANTED, operations.c.state == "awaiting")
    .values(state="done", due_at=NEVER, updated_at=_NOW, fence=operations.c.fence + 1)
)
_ABOUT = select(operations.c.kind, operations.c.subject).where(_WANTED)
_LINE = {
    "operation_id": operations.c.id,
    "subject": operations.c.subject,
    "kind": operations.c.kind,
    "project_id": bindparam("project", type_=journal.c.project_id.type),
    "request_id": bindparam("request", type_=journal.c.request_id.type),
    "step": literal("finish"),
    "outcome": literal("done"),
    "at": bindparam("now", type_=journal.c.at.type),
    "sent": false(),
}
_NOTE_FINISH = insert(journal).from_select([*_LINE], select(*_LINE.values()).where(_WANTED))


async def start(session: Session, op: Op, saga: Saga, subject: str, params: dict[str, Any]) -> str:
    """Write the operation down in the caller's transaction and wake a worker after its commit; the operation's id."""
    now, operation_id = op.clock.now(), new_id()
    row = {
        "id": operation_id,
        "kind": saga.kind,
        "subject": subject,
        "project_id": op.actor.project_id,
        "user_id": op.actor.user_id,
        "request_id": op.request_id,
        "params": params,
        "done": {},
        "state": "running",
        "step": 0,
        "attempts": 0,
        "fault": None,
        "due_at": now,
        "deadline_at": now + saga.deadline_s * SECOND,
        "lease_owner": None,
        "lease_until": 0,
        "fence": 0,
        "created_at": now,
        "updated_at": now,
    }
    await session.run(_START, row)
    await note(session, op, operation_id, saga.kind, subject, "accepted", "done")
    session.after_commit(lambda: op.wake(TOPIC))
    return operation_id


async def finish(session: Session, op: Op, operation_id: str) -> bool:
    """The outcome a parked operation waited for is there; False when it no longer waits."""
    changed = await session.run(_FINISH, {"operation": operation_id, "now": op.clock.now()})
    if changed:
        asker = {"project": op.actor.project_id, "request": op.request_id}
        await session.run(_NOTE_FINISH, asker | {"operation": operation_id, "now": op.clock.now()})
    return bool(changed)


async def fail(session: Session, op: Op, operation_id: str, fault: Fault) -> bool:
    """The outcome will not come: undo what was done. False when the operation has ended or is being undone already."""
    now = op.clock.now()
    changed = await session.run(
        update(operations)
        .where(operations.c.id == operation_id, operations.c.state.in_(("awaiting", "running")))
        .values(
            state="undoing",
            fault=_document(fault),
            due_at=now,
            lease_until=0,
            fence=operations.c.fence + 1,
            updated_at=now,
        )
    )
    if changed:
        row = await _row(session, operation_id)
        await note(session, op, operation_id, row.kind, row.subject, "fail", "failed", _document(fault))
        session.after_commit(lambda: op.wake(TOPIC))
    return bool(changed)


async def live_operation(session: Session, subject: str, *kinds: str) -> Any:
    """The newest unfinished operation on a subject (of these kinds, when some are named), or None."""
    statement = select(operations).where(operations.c.subject == subject, operations.c.state.in_(LIVE))
    if kinds:
        statement = statement.where(operations.c.kind.in_(kinds))
    return await session.first(statement.order_by(operations.c.created_at.desc()).limit(1))


async def note(  # noqa: PLR0913, PLR0917 - a journal line is these words
    session: Session,
    op: Op,
    operation_id: str,
    kind: str,
    subject: str,
    step: str,
    outcome: str,
    document: Any = None,
) -> None:
    """Write one journal line."""
    await session.run(_NOTE, _line(op, operation_id, kind, subject, step) | {"outcome": outcome, "note": document})


async def note_done(session: Session, op: Op, operation_id: str, kind: str, subject: str, steps: Iterable[str]) -> None:
    """A journal line for each of these steps."""
    done = {"outcome": "done", "note": None}
    await session.run(_NOTE, [_line(op, operation_id, kind, subject, step) | done for step in steps])


def _line(op: Op, operation_id: str, kind: str, subject: str, step: str) -> dict[str, Any]:
    return {
        "operation_id": operation_id,
        "subject": subject,
        "project_id": op.actor.project_id,
        "request_id": op.request_id,
        "kind": kind,
        "step": step,
        "at": op.clock.now(),
        "sent": False,
    }


async def _row(session: Session, operation_id: str) -> Any:
    return await session.first(_ABOUT, {"operation": operation_id})


def _document(fault: Fault) -> dict[str, str]:
    return {"code": fault.code, "message": fault.message, "details": fault.details}
