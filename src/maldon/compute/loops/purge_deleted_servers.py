"""Forget servers that were deleted long ago, once their host has let go of the guest."""

from sqlalchemy import delete, select

from maldon.compute.models.server import guests, server_tags, servers
from maldon.compute.settings import ComputeSettings
from maldon.kernel.clock import SECOND
from maldon.kernel.op import Op

BATCH = 500


async def purge_deleted_servers(op: Op) -> int:
    """How many rows went."""
    before = op.clock.now() - op.use(ComputeSettings).keep_deleted_s * SECOND
    held = select(guests.c.id)
    old = select(servers.c.id).where(servers.c.deleted_at < before, servers.c.id.not_in(held)).limit(BATCH)
    async with op.db.begin() as session:
        ids = [row.id for row in await session.all(old)]
        if ids:
            await session.run(delete(server_tags).where(server_tags.c.server_id.in_(ids)))
            await session.run(delete(servers).where(servers.c.id.in_(ids)))
    return len(ids)
