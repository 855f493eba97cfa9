"""Guests: what a host is to run, written beside the server it is for.

Every change takes the host's next revision, in the transaction of the change. The host's agent sleeps on `host_topic`.
"""

from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from maldon.compute.models.server import guest_jobs, guests, host_revisions
from maldon.kernel.errors import Duplicate, Stale
from maldon.kernel.op import Op, Session
from maldon.ports.agent import DesiredGuest, DesiredGuests, Job, MetadataSpec
from maldon.ports.hypervisor import GuestSpec


def host_topic(host: str) -> str:
    """What is woken when a host's guests change."""
    return f"host:{host}"


# Statements are made once, with their values left open: making one takes longer than answering it.
_RAISE = (
    update(host_revisions)
    .where(host_revisions.c.host == bindparam("where"))
    .values(revision=host_revisions.c.revision + 1)
)
_RAISED = select(host_revisions.c.revision).where(host_revisions.c.host == bindparam("on_host")).scalar_subquery()
_PUBLISH = insert(guests).values(revision=_RAISED)
_GUEST = select(guests).where(guests.c.id == bindparam("guest"))
_NEWS = (
    select(guests)
    .where(guests.c.host == bindparam("host"), guests.c.revision > bindparam("since", type_=guests.c.revision.type))
    .order_by(guests.c.revision)
)


async def _next_revision(session: Session, op: Op, host: str) -> Any:
    """Raise the host's revision; an expression that reads it."""
    if not await session.run(_RAISE, {"where": host}):
        try:
            await session.run(insert(host_revisions), {"host": host, "revision": 1})
        except Duplicate as error:
            raise Stale("The host has just got its first guest.", internal=host) from error
    session.after_commit(lambda: op.wake(host_topic(host)))
    return select(host_revisions.c.revision).where(host_revisions.c.host == host).scalar_subquery()


async def publish_guest(  # noqa: PLR0913, PLR0917 - a guest is these things
    session: Session, op: Op, guest_id: str, host: str, spec: GuestSpec, details: MetadataSpec, operation_id: str
) -> None:
    """Want a guest on a host; the operation ends when the host reports it."""
    await _next_revision(session, op, host)
    row = {
        "id": guest_id,
        "host": host,
        "wanted": True,
        "spec": msgspec.to_builtins(spec),
        "details": msgspec.to_builtins(details),
        "seen_revision": 0,
        "seen_power": None,
        "seen_error": None,
        "seen_at": None,
        "operation_id": operation_id,
        "asked": False,
    }
    await session.run(_PUBLISH, row | {"on_host": host})


async def get_guest(session: Session, guest_id: str) -> Any:
    """The guest's row, or None."""
    return await session.first(_GUEST, {"guest": guest_id})


def spec_of(guest: Any) -> GuestSpec | None:
    """What is wanted of a guest; None when it is to go."""
    return msgspec.convert(guest.spec, GuestSpec) if guest.wanted else None


async def change_guest(session: Session, op: Op, guest: Any, spec: GuestSpec | None, **more: Any) -> None:
    """Want something else of a guest (None: that it goes). Raises Stale when it changed since it was read."""
    revision = await _next_revision(session, op, guest.host)
    values = {"spec": msgspec.to_builtins(spec), "wanted": True} if spec is not None else {"wanted": False}
    changed = await session.run(
        update(guests)
        .where(guests.c.id == guest.id, guests.c.revision == guest.revision)
        .values(revision=revision, **values, **more)
    )
    if not changed:
        raise Stale("The guest changed while we looked.", internal=guest.id)


async def change_details(session: Session, op: Op, guest_id: str, **changes: Any) -> None:
    """Tell a guest something else about itself (its metadata, its host name); without a guest nothing happens."""
    guest = await get_guest(session, guest_id)
    if guest is not None and guest.wanted:
        await change_guest(session, op, guest, spec_of(guest), details={**guest.details, **changes})


async def forget_guest(session: Session, guest_id: str) -> None:
    """The host said that the guest is gone."""
    await session.run(delete(guests).where(guests.c.id == guest_id))
    await session.run(delete(guest_jobs).where(guest_jobs.c.guest_id == guest_id))


async def desired_guests(session: Session, host: str, since: int) -> DesiredGuests:
    """What changed for a host after a revision; everything, after 0."""
    rows = await session.all(_NEWS, {"host": host, "since": since})
    jobs: dict[str, list[Job]] = {}
    if asked := [row.id for row in rows if row.asked]:
        statement = select(guest_jobs).where(guest_jobs.c.guest_id.in_(asked), guest_jobs.c.answered.is_(False))
        for job in await session.all(statement.order_by(guest_jobs.c.created_at)):
            jobs.setdefault(job.guest_id, []).append(Job(job.id, job.kind, job.params))
    desired = tuple(
        DesiredGuest(
            id=row.id,
            revision=row.revision,
            spec=spec_of(row),
            metadata=msgspec.convert(row.details, MetadataSpec) if row.wanted else None,
            jobs=tuple(jobs.get(row.id, ())),
        )
        for row in rows
    )
    return DesiredGuests(rows[-1].revision if rows else since, desired)
