"""The end of a server: nothing of it is left but its row, which keeps its actions readable for a while."""

from sqlalchemy import update

from maldon.compute.models.server import servers
from maldon.compute.plan.states import State
from maldon.compute.verbs.nics import drop_nics
from maldon.compute.verbs.server import LIVE_ROW
from maldon.kernel.op import Op, Session
from maldon.placement import service as placement


async def conclude_deletion(session: Session, op: Op, server_id: str) -> None:
    """Give ports and claim back and mark the server deleted. Done twice, it is done."""
    now = op.clock.now()
    changed = await session.run(
        update(servers)
        .where(servers.c.id == server_id, LIVE_ROW)
        .values(
            state=State.DELETED, task=None, power="none", updated_at=now, deleted_at=now, terminated_at=now, fault=None
        )
    )
    if changed:
        await drop_nics(session, op, server_id)
        await placement.release(session, op, server_id)
