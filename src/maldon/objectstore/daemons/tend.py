"""Which loops run beside a node's disks, and where.

What concerns a process' own writes runs in every process that has the disks open; what walks over everything runs in
one of them: whichever holds the lock, and another as soon as that one is gone.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path as File

from maldon.objectstore.books.node import Books
from maldon.objectstore.daemons.audit_books import AuditBooks
from maldon.objectstore.daemons.audit_objects import AuditObjects
from maldon.objectstore.daemons.compact_disks import CompactDisks
from maldon.objectstore.daemons.expire_objects import ExpireObjects
from maldon.objectstore.daemons.pay_debts import PayDebts
from maldon.objectstore.daemons.reap_accounts import ReapAccounts
from maldon.objectstore.daemons.reclaim_books import ReclaimBooks
from maldon.objectstore.daemons.reconstruct_objects import ReconstructObjects
from maldon.objectstore.daemons.replicate_books import ReplicateBooks
from maldon.objectstore.daemons.replicate_objects import ReplicateObjects
from maldon.objectstore.daemons.shard import Sharder
from maldon.objectstore.daemons.sync_containers import SyncContainers
from maldon.objectstore.daemons.take_stock import TakeStock
from maldon.objectstore.daemons.tell_accounts import TellAccounts
from maldon.objectstore.device.device import Device
from maldon.objectstore.policies import Policies
from maldon.objectstore.settings import ObjectSettings
from maldon.work.loops import Loop, run_loop
from maldon.work.wakes import Wakes

LOOK_S = 5.0  # how long a node is without its one process at most


class Tending:
    """The loops of a node. `folder` is where its processes meet."""

    def __init__(
        self,
        folder: File,
        books: Books,
        devices: Mapping[str, Device],
        policies: Policies,
        settings: ObjectSettings,
        syncer: SyncContainers | None = None,
    ) -> None:
        self._lock, placing = folder / "tending.lock", books.placing
        teller, sharder = TellAccounts(books, placing), Sharder(books, placing)
        replicator, reclaimer = ReplicateBooks(books, placing), ReclaimBooks(books)
        debts, expirer = PayDebts(devices, placing), ExpireObjects(devices, placing, delays=settings.delay_reaping)
        compactor, auditor = CompactDisks(devices), AuditObjects(devices)
        levels, rebuilder = ReplicateObjects(devices, placing, policies), ReconstructObjects(devices, placing)
        reaper, reader = ReapAccounts(books, placing), AuditBooks(books, placing)
        self._everywhere = (Loop("tell accounts", teller.once, 0.5),)
        self._once_a_node: tuple[Loop, ...] = (
            Loop("tell accounts of all", teller.all, 60.0),
            Loop("shard containers", sharder.once, 30.0),
            Loop("replicate books", replicator.once, settings.replicate_books_s),
            Loop("replicate all books", replicator.all, 3600.0),
            Loop("replicate objects", levels.once, settings.replicate_s),
            Loop("reconstruct objects", rebuilder.once, settings.replicate_s),
            Loop("reconstruct all objects", rebuilder.all, 21_600.0),
            Loop("reap accounts", reaper.once, 300.0),
            Loop("salvage books", reader.salvage, 10.0),
            Loop("audit books", reader.once, settings.audit_books_s),
            Loop("reclaim books", reclaimer.once, 3600.0),
            Loop("pay debts", debts.once, settings.pay_debts_s),
            Loop("take in what the dead left", compactor.take_in, 10.0),
            Loop("expire objects", expirer.once, 30.0),
            Loop("compact disks", compactor.once, 15.0),
            Loop("audit objects", auditor.once, settings.audit_s),
        )
        if syncer is not None:
            self._once_a_node += (
                Loop("sync containers", syncer.once, syncer.interval_s),
                Loop("sync all containers", syncer.all, 3600.0),
            )

    async def run(self, stock: TakeStock) -> None:
        """Until cancelled; `stock` is where the passes are noted."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_run(self._everywhere), name="loops of this process")
            group.create_task(self._alone(stock), name="loops of this node")

    async def _alone(self, stock: TakeStock) -> None:
        held = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _taken(held):  # noqa: ASYNC110 - the lock is another process's, and tells nobody
                await asyncio.sleep(LOOK_S)
            loops = (Loop("take stock", stock.once, 10.0), *self._once_a_node)
            await _run([stock.passes.watched(loop) for loop in loops])
        finally:
            os.close(held)


def _taken(held: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


async def _run(loops: Sequence[Loop]) -> None:
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(run_loop(loop, Wakes()), name=loop.name)
