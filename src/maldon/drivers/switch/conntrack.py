"""Connections that a router still translates as it no longer should.

Translation rules speak of new connections only, so a floating address that was taken away or given to another guest
would go on for whoever is already talking. Those connections are forgotten, and only those.
"""

import asyncio
from collections.abc import Collection


def forget_stale(pairs: Collection[tuple[str, str]], own: Collection[str]) -> None:
    """In the thread's namespace, end what is translated neither by a (floating, fixed) pair nor to an own address."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(_forget_stale(pairs, own))


async def _forget_stale(pairs: Collection[tuple[str, str]], own: Collection[str]) -> None:
    from pyroute2.conntrack import AsyncConntrack

    table = AsyncConntrack()
    try:
        await table.setup_endpoint()
        for flow in [flow async for flow in await table.dump_entries()]:
            there, back = flow.tuple_orig, flow.tuple_reply
            arriving = there.daddr == back.saddr or (there.daddr, back.saddr) in pairs
            leaving = there.saddr == back.daddr or back.daddr in own or (back.daddr, there.saddr) in pairs
            if not (arriving and leaving):
                await table.entry("del", tuple_orig=there)
    finally:
        table.close()
