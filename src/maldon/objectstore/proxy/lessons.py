"""Who tells which replica of a container of a write: each replica of the object its own, and the proxy for those that
failed.

So whoever writes with a node away finds it in the listing of every node that is not. A container that the proxy could
not tell either is away itself, and hears of it from the others when it is back.
"""

import asyncio
from collections.abc import Sequence

from maldon.objectstore.node import Row, Teaching
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Place, Placing


class Lessons:
    """Of one write to an object with several replicas."""

    def __init__(self, placing: Placing, path: Path, place: Place) -> None:
        self._placing, self._path = placing, path
        self._teachings = placing.teachings(path, place)
        self._done: set[int] = set()

    def of(self, replica: int) -> Sequence[Teaching]:
        return self._teachings[replica]

    def done(self, replica: int) -> None:
        """This replica has it, and tells its own."""
        self._done.add(replica)

    async def make_up(self, row: Row) -> None:
        """Tell those that nobody told."""
        left = [one for n, some in enumerate(self._teachings) if n not in self._done for one in some]
        if left:
            book, tell = Path(self._path.account, self._path.container), self._placing.telling.tell
            await asyncio.gather(*(tell(one.address, one.spot, one.shard or book, [row]) for one in left))
