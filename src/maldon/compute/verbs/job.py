"""Jobs: something a host does once for a guest and answers. Answers are kept for an hour."""

from typing import Any

from sqlalchemy import delete, insert, select, update

from maldon.compute.models.server import guest_jobs, guests
from maldon.compute.verbs.guest import change_guest, spec_of
from maldon.kernel.clock import SECOND
from maldon.kernel.ids import new_id
from maldon.kernel.op import Op, Session
from maldon.ports.agent import JobResult

KEPT_S = 3600


def job_topic(job_id: str) -> str:
    """What is woken when a job is answered."""
    return f"job:{job_id}"


async def ask_host(session: Session, op: Op, guest: Any, kind: str, params: dict[str, Any]) -> str:
    """Have the guest's host do a job; the job's id. Old answers go at the same time."""
    job_id, now = new_id(), op.clock.now()
    await session.run(
        delete(guest_jobs).where(guest_jobs.c.guest_id == guest.id, guest_jobs.c.created_at < now - KEPT_S * SECOND)
    )
    row = {"id": job_id, "guest_id": guest.id, "kind": kind, "params": params, "answered": False, "created_at": now}
    await session.run(insert(guest_jobs), row)
    await change_guest(session, op, guest, spec_of(guest), asked=True)
    return job_id


async def answer_job(session: Session, op: Op, host: str, job_id: str, result: JobResult) -> None:
    """Keep a host's answer; one for a job that is nobody's or another host's is dropped."""
    mine = select(guests.c.id).where(guests.c.host == host)
    await session.run(
        update(guest_jobs)
        .where(guest_jobs.c.id == job_id, guest_jobs.c.guest_id.in_(mine), guest_jobs.c.answered.is_(False))
        .values(answered=True, output=result.output, error=result.error)
    )
    session.after_commit(lambda: op.wake(job_topic(job_id)))


async def job_answer(session: Session, job_id: str) -> Any:
    """The job's row once it is answered, else None."""
    return await session.first(select(guest_jobs).where(guest_jobs.c.id == job_id, guest_jobs.c.answered.is_(True)))
