"""Group commit: everything that waits is written together, synced together and indexed together.

A thread appends a group to this process's segment and syncs it; then its rows go into the index in one transaction of
the loop; then all who wait are answered, and whatever has come in meanwhile is the next group. There is no task: each
stage calls the next, so a request that is cancelled takes nothing with it, its write is done all the same.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path as FilePath

import apsw
import structlog

from maldon.objectstore.device.changes import Changes
from maldon.objectstore.device.counts import DiskCounts
from maldon.objectstore.device.debts import GRACE_S, Young, YoungDebts, encode_owed
from maldon.objectstore.device.index import Index, apply, mark_segment, purge_forgotten, register, set_owed
from maldon.objectstore.device.merge import FORGOTTEN, Entry
from maldon.objectstore.device.record import Head, pack
from maldon.objectstore.device.segment import GROUP_BYTES, Segment
from maldon.objectstore.device.space import refused
from maldon.objectstore.node import Teaching
from maldon.objectstore.path import Path

log = structlog.get_logger()
Change = Callable[[apsw.Connection], object]
CHECKPOINT_PAGES = 8192


@dataclass(slots=True)
class Write:
    """A record to be appended. `entry` is its row but for where it will lie, `head` its header but for what is told."""

    head: Head
    entry: Entry
    meta: bytes
    body: bytes
    path: Path
    teach: Sequence[Teaching]
    done: asyncio.Future[None] = field(init=False)


class GroupCommit:
    """The one way in which a process writes to a disk."""

    def __init__(self, folder: FilePath, index: Index, changes: Changes, segment_bytes: int) -> None:
        self.counts = DiskCounts()
        self._folder, self._index, self._changes, self._segment_bytes = folder, index, changes, segment_bytes
        self._loop = asyncio.get_running_loop()
        self._writes: list[Write] = []
        self._index_changes: list[tuple[Change, asyncio.Future[None]]] = []
        self._segment: Segment | None = None
        self._full: list[Segment] = []  # not sealed yet
        self._busy = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._checkpointing = False
        self._young = YoungDebts()
        self._timer: asyncio.TimerHandle | None = None
        self._told_most: int | None = None  # a debt of the index lies there: headers do not say more

    def write(self, write: Write) -> asyncio.Future[None]:
        """Done when the record is on stable storage and in the index. Raises NoSpace."""
        write.done = self._loop.create_future()
        self._writes.append(write)
        if not self._busy:
            self._begin()
        return write.done

    def change(self, change: Change) -> asyncio.Future[None]:
        """Change the index alone, with the next group."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._index_changes.append((change, done))
        if not self._busy:
            self._begin()
        return done

    def settle_young(self, path: Path, version: int, told: Sequence[Teaching]) -> bool:
        return self._young.settle(path, version, told)

    async def close(self) -> None:
        """Finish what waits; what is still to be told becomes debts; let go of the segment."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._busy:
            await self._idle.wait()
        if self._segment is not None:
            await self.change(partial(self._retire, self._segment))
            self._segment = None

    def _begin(self) -> None:
        """With everything that comes in this turn of the loop."""
        self._busy = True
        self._idle.clear()
        self._loop.call_soon(self._start)

    def _start(self) -> None:
        writes, self._writes = _group(self._writes)
        if not writes:
            self._lock(writes, [])
            return
        job = self._loop.run_in_executor(None, self._append, writes, self._told())
        job.add_done_callback(partial(self._appended, writes))

    def _told(self) -> int:
        """Up to where the segment owes nothing to anybody, as records are to say: asked for in the loop, whose debts
        they are.
        """
        if self._segment is None or self._full:
            return 0
        told = self._young.told(self._segment.end)
        return told if self._told_most is None else min(told, self._told_most)

    def _append(self, writes: list[Write], told: int) -> list[Entry]:
        """In a thread. Raises OSError, then nothing of it counts."""
        segment = self._segment
        if segment is None or segment.end >= self._segment_bytes or not segment.is_whole:
            if segment is not None:
                self._full.append(segment)
            self._segment = segment = Segment(self._folder)
            self._told_most, told = None, 0
        pieces, entries, at = [], [], segment.end
        for write in writes:
            pieces.append(pack(segment.magic, write.head, write.meta, told))
            if write.body:
                pieces.append(write.body)
            entries.append(write.entry._replace(at=at))
            at += write.head.length
        try:
            segment.append(pieces)
        except OSError:
            self.counts.refused += 1
            self._segment = None
            self._full.append(segment)
            raise
        self.counts.group(len(writes), at - entries[0].at)
        return entries

    def _appended(self, writes: list[Write], job: asyncio.Future[list[Entry]]) -> None:
        error = job.exception()
        if error is None:
            self._lock(writes, job.result())
            return
        log.error("a disk refuses writes", folder=str(self._folder), error=str(error))
        self._answer(writes, refused(error))
        self._lock([], [])

    def _lock(self, writes: list[Write], entries: list[Entry]) -> None:
        if self._index.try_lock():
            self._apply(writes, entries)
        else:
            job = self._loop.run_in_executor(None, self._index.lock)
            job.add_done_callback(lambda _: self._apply(writes, entries))

    def _apply(self, writes: list[Write], entries: list[Entry]) -> None:
        """In the loop, under the index's lock."""
        changes, self._index_changes = self._index_changes, []
        try:
            with self._index.transaction() as db:
                entries = self._take_in(db, writes, entries)
                for change, _ in changes:
                    change(db)
        except (apsw.Error, OSError) as error:
            log.exception("an index refuses writes", folder=str(self._folder))
            refusal = refused(error)
            self._answer(writes, refusal)
            for _, done in changes:
                _fail(done, refusal)
        else:
            for write, entry in zip(writes, entries, strict=True):
                self._changes.note(entry.policy, entry.hash, entry.written)
                if not write.done.done():
                    write.done.set_result(None)
            for _, done in changes:
                if not done.done():
                    done.set_result(None)
        finally:
            self._index.unlock()
            self._go_on()

    def _take_in(self, db: apsw.Connection, writes: list[Write], entries: list[Entry]) -> list[Entry]:
        while self._full:
            self._retire(self._full[0], db)
            self._full.pop(0)
        segment = self._segment
        if segment is None:
            return entries
        if not segment.number:
            segment.number = register(db, segment.name)
        entries = [entry._replace(segment=segment.number) for entry in entries]
        apply(db, entries)
        purge_forgotten(db, [entry for entry in entries if entry.flags & FORGOTTEN])
        for write, entry in zip(writes, entries, strict=True):
            if write.teach:
                self._young.add(write.path, entry, write.teach)
        if self._young and self._timer is None:
            self._timer = self._loop.call_later(GRACE_S, self._owe_old)
        mark_segment(db, segment.number, segment.end, self._young.told(segment.end))
        return entries

    def _retire(self, segment: Segment, db: apsw.Connection) -> None:
        """A segment that gets no more records: nothing about it may be known to this process alone."""
        owe(db, [debt for _, debt in self._young.take_old(0)])
        if segment.number:
            mark_segment(db, segment.number, segment.end, segment.end, sealed=True)
        segment.close()

    def _owe_old(self) -> None:
        self._timer = None
        old = self._young.take_old(GRACE_S)
        if old:
            first = min(debt.entry.at for _, debt in old)
            self._told_most = first if self._told_most is None else min(first, self._told_most)
            noted = self.change(lambda db: owe(db, [debt for _, debt in old]))
            noted.add_done_callback(partial(self._noted, old))
        if self._young:
            self._timer = self._loop.call_later(GRACE_S, self._owe_old)

    def _noted(self, old: list[tuple[tuple[Path, int], Young]], done: asyncio.Future[None]) -> None:
        if done.exception() is not None:
            self._young.put_back(old)

    def _answer(self, writes: Sequence[Write], refusal: BaseException) -> None:
        for write in writes:
            _fail(write.done, refusal)

    def _go_on(self) -> None:
        if self._writes or self._index_changes:
            self._loop.call_soon(self._start)
        else:
            self._busy = False
            self._idle.set()
        if self._index.wal_pages > CHECKPOINT_PAGES and not self._checkpointing:
            self._checkpointing = True
            self._loop.run_in_executor(None, self._index.checkpoint).add_done_callback(self._checkpointed)

    def _checkpointed(self, job: asyncio.Future[None]) -> None:
        self._checkpointing = False
        if job.exception() is not None:
            log.error("a checkpoint failed", folder=str(self._folder), error=str(job.exception()))


def _group(waiting: list[Write]) -> tuple[list[Write], list[Write]]:
    """Those that are written together, and those that wait on."""
    size = 0
    for number, write in enumerate(waiting, 1):
        size += write.head.length
        if size >= GROUP_BYTES:
            return waiting[:number], waiting[number:]
    return waiting, []


def owe(db: apsw.Connection, debts: Sequence[Young]) -> None:
    """Note debts in the index."""
    for debt in debts:
        set_owed(db, debt.entry, encode_owed(list(debt.teach)))


def _fail(done: asyncio.Future[None], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
