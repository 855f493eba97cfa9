"""Having containers hear of writes, and what they were told be a debt no more.

Rows for a container of this node wait a moment, and go into it together: before it is next asked for anything, and in
a tenth of a second at the latest. Until it has them on stable storage, whom to tell is owed by the record of the
object, which is there already. Where other processes read the same disks they cannot see what waits here; then nothing
does. A container of another node is told before the writer is answered, with all that came while it was told of
something else.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import structlog

from maldon.kernel.errors import CloudError
from maldon.objectstore.books.together import Together
from maldon.objectstore.device.device import Device
from maldon.objectstore.node import BookNode, Record, Row, Spot, Teaching
from maldon.objectstore.path import Path
from maldon.objectstore.telling import TELL_S, Others, Telling, row_of

log = structlog.get_logger("object.storage")
WAIT_S = 0.1  # much less than debts stay young
MOST_ROWS = 1000  # that wait for one container
MOST = 1000  # containers of other nodes for which rows may gather


class _Owed(NamedTuple):
    """A record of which a container is to hear."""

    device: Device
    policy: int
    path: Path
    version: int
    teaching: Teaching
    row: Row


Replica = tuple[str, Spot, Path]
"""Of a container: its node's address, where it is there, which container."""


class Teachers:
    """`books` are those of this node; they are `shared` when other processes read them."""

    def __init__(self, books: BookNode, nodes: Others, *, shared: bool) -> None:
        self._books, self._nodes, self._shared = books, nodes, shared
        self._telling = Telling(nodes)
        self._far: dict[Replica, Together[Row, bool]] = {}
        self._waiting: dict[tuple[Spot, Path], list[_Owed]] = {}
        self._taking: dict[tuple[Spot, Path], asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def teach(self, device: Device, spot: Spot, path: Path, record: Record, teach: Sequence[Teaching]) -> None:
        """Have the containers hear of a record on a disk; those that cannot stay a debt of that disk."""
        row, version = row_of(path, record, spot.policy), max(record.timestamp, record.posted_at)
        far = []
        for one in teach:
            if one.address == self._nodes.here and not self._shared:
                await self._have_wait(_Owed(device, spot.policy, path, version, one, row))
            else:
                far.append(one)
        if far:
            heard = await asyncio.gather(*(self._tell(one, _book(one, path), row) for one in far))
            told = [one for one, ok in zip(far, heard, strict=True) if ok]
            if told:
                await device.settle(spot.policy, path, version, told)

    # Containers of this node

    async def _have_wait(self, owed: _Owed) -> None:
        key = owed.teaching.spot, _book(owed.teaching, owed.path)
        rows = self._waiting.setdefault(key, [])
        rows.append(owed)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WAIT_S, self._take_all)
        if len(rows) >= MOST_ROWS:
            await self.known(*key)

    async def known(self, spot: Spot, book: Path) -> None:
        """Have a container of this node know everything that was answered before this was asked; unless that takes it
        longer than whoever asks should wait.
        """
        key = spot, book
        if key in self._taking:
            await asyncio.wait([self._taking[key]], timeout=TELL_S)
        if key in self._waiting or key in self._taking:
            await asyncio.wait([self._taking.get(key) or self._begin(key)], timeout=TELL_S)

    def _take_all(self) -> None:
        self._timer = None
        for key in [key for key in self._waiting if key not in self._taking]:
            self._begin(key)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(WAIT_S, self._take_all)

    def _begin(self, key: tuple[Spot, Path]) -> asyncio.Task[None]:
        task = self._taking[key] = asyncio.create_task(
            self._take(key, self._waiting.pop(key)), name=f"rows of {key[1]}"
        )
        task.add_done_callback(lambda _: self._taking.pop(key))
        return task

    async def _take(self, key: tuple[Spot, Path], owed: list[_Owed]) -> None:
        try:
            if await self._books.update_book(*key, [one.row for one in owed]):
                for one in owed:
                    await one.device.settle(one.policy, one.path, one.version, [one.teaching])
        except (CloudError, OSError) as error:
            log.warning("container not told", container=str(key[1]), address=self._nodes.here, error=repr(error))

    async def settle(self) -> None:
        """Have all containers of this node know everything that was answered before this was asked."""
        await asyncio.gather(*(self.known(*key) for key in {*self._taking, *self._waiting}))

    async def close(self) -> None:
        """From now on nothing waits."""
        self._shared = True
        await self.settle()
        if self._timer is not None:
            self._timer.cancel()

    # Containers of other nodes

    async def _tell(self, one: Teaching, book: Path, row: Row) -> bool:
        """Whether that replica of the container knows now."""
        replica = one.address, one.spot, book
        together = self._far.get(replica)
        if together is None:
            if len(self._far) >= MOST:
                self._far = {other: theirs for other, theirs in self._far.items() if not theirs.idle}
            together = self._far[replica] = Together(partial(self._telling.tell, *replica))
        return await together((row,))


def _book(teaching: Teaching, path: Path) -> Path:
    return teaching.shard or Path(path.account, path.container)
