"""A write that a replica has already when the proxy comes to make it: a replicator brought it from another one.

It is as good as made. The replica's container was not told by it, so whoever wrote tells it.
"""

from collections.abc import Awaitable, Callable

from maldon.objectstore.node import Record, Spot, Superseded
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Node


async def made(
    writing: Awaitable[Record | None], node: Node, spot: Spot, path: Path, is_it: Callable[[Record], bool]
) -> tuple[Record | None, bool]:
    """What `writing` gives, and True; or what the replica holds, if that is this very write, and False. Raises
    Superseded for anything else that is newer.
    """
    try:
        return await writing, True
    except Superseded:
        record = await node.head_object(spot, path)
        if record is None or not is_it(record):
            raise
        return record, False
