"""Conclude the deletion of servers whose host an operator has forced down: nobody is left to confirm it.

The wish that the guest goes stays with the host, which finds it when it comes back.
"""

from sqlalchemy import select, update

from maldon.compute.models.server import guests
from maldon.compute.verbs.deletion import conclude_deletion
from maldon.kernel.op import Op
from maldon.placement import service as placement
from maldon.work.sagas import finish

HOSTS_TOPIC = "hosts"


async def conclude_deletions(op: Op) -> int:
    """How many deletions were concluded."""
    async with op.db.read() as session:
        down = [host.name for host in await placement.hosts(session, op) if host.forced_down]
        waiting = (guests.c.host.in_(down), guests.c.wanted.is_(False), guests.c.operation_id.is_not(None))
        rows = await session.all(select(guests.c.id, guests.c.operation_id).where(*waiting)) if down else []
    for row in rows:
        async with op.db.begin() as session:
            await finish(session, op, row.operation_id)
            await session.run(update(guests).where(guests.c.id == row.id).values(operation_id=None))
            await conclude_deletion(session, op, row.id)
    return len(rows)
