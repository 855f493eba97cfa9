"""Delete a server: want its guest gone, and end when its host says that it is.

A server without a guest, or on a host that an operator has forced down, ends at once; the wish stays for the host, so
that the guest goes when the host comes back. A host that keeps silent leaves the server in ERROR with the reason, and
the deletion is concluded all the same as soon as the host answers.
"""

from typing import Any

from sqlalchemy import select

from maldon.compute.models.server import servers
from maldon.compute.plan.states import State, Task
from maldon.compute.verbs.deletion import conclude_deletion
from maldon.compute.verbs.guest import change_guest, get_guest
from maldon.compute.verbs.server import end_task, fault_document
from maldon.kernel.op import Session
from maldon.placement import service as placement
from maldon.work.sagas import Saga, Step, Work

OVER = {"over": True}


async def withdraw_guest(session: Session, work: Work) -> dict[str, Any]:
    guest = await get_guest(session, work.subject)
    placed = await session.scalar(select(servers.c.host).where(servers.c.id == work.subject))
    if guest is None or (placed is None and not guest.wanted):
        await conclude_deletion(session, work.op, work.subject)
        return OVER
    if await placement.is_forced_down(session, guest.host):
        await change_guest(session, work.op, guest, None, operation_id=None)
        await conclude_deletion(session, work.op, work.subject)
        return OVER
    await change_guest(session, work.op, guest, None, operation_id=work.operation_id)
    return {}


async def give_up(session: Session, work: Work) -> None:
    fault = fault_document(work.fault, work.op.clock.now())
    if fault is not None:
        fault["message"] = (
            "The host did not confirm in time that the guest is gone. The server is deleted as soon as it does; an "
            "administrator can force the host down to have it deleted now."
        )
    await end_task(session, work.op, work.subject, [Task.DELETING], State.ERROR, fault=fault)


DELETE_SERVER = Saga("server.delete", (Step("withdraw", withdraw_guest),), give_up=give_up, awaits=True, deadline_s=600)
