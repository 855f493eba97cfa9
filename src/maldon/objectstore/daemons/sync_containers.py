"""Pushes what changed in a container to the container elsewhere that X-Container-Sync-To names.

Every replica of a container has its node push a share of the names, in the order of their changes, and in a later round
see to the shares of the others, asking the other cluster first whether it has them: so what one node could not do,
another does, and nothing is missed. What is pushed has the time that it was written at, so whatever is newer there
stays, and pushing it again does no harm. A name that fails is noted and tried again; when the other cluster fails, the
container waits for the next round. Shards push their own names. See books/sync_points.py for what is remembered.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import NamedTuple
from urllib.parse import unquote

import aiohttp
import structlog

from maldon.kernel.errors import BadRequest
from maldon.objectstore.books.item import Kind
from maldon.objectstore.books.node import Books
from maldon.objectstore.books.ranges import ROOT_HEADER
from maldon.objectstore.books.rows import held_row, numbered_rows
from maldon.objectstore.books.shelf import Key, Shelf
from maldon.objectstore.books.sync_points import Points, read_points, record_points
from maldon.objectstore.books.walk import Seen, walk
from maldon.objectstore.daemons.audit_objects import Pace
from maldon.objectstore.middleware.carrying import AS_IT_IS, carried
from maldon.objectstore.middleware.layer import Handler, answered
from maldon.objectstore.node import Book, Row
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.placing import Placing
from maldon.objectstore.proxy.quorum import BROKEN, ask
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import Given, ObjectRequest, new_trans_id
from maldon.objectstore.sync.realms import Realms
from maldon.objectstore.sync.remote import Away, NotTaken, Remote, Upload, open_session
from maldon.objectstore.sync.settings import ContainerSyncSettings
from maldon.objectstore.sync.target import read_target
from maldon.objectstore.timestamp import parse

log = structlog.get_logger("object.sync")
PAGE = 100
LARGE = 65_536  # bytes from which on it is asked whether it is there already
TO, KEY = "x-container-sync-to", "x-container-sync-key"
LINKS = ("x-symlink-target", "x-symlink-target-account", "x-symlink-target-etag", "x-symlink-target-bytes")


class SyncContainers:
    """A loop over the disks of a node. `ask` reads objects as a client sees them."""

    def __init__(self, books: Books, placing: Placing, ask: Handler, settings: ContainerSyncSettings) -> None:
        self._books, self._placing, self._ask, self._settings = books, placing, ask, settings
        self._realms, self._pace = Realms(settings.realms), Pace(settings.bytes_per_s)
        self.interval_s = settings.interval_s
        self._seen: dict[str, Seen] = {}
        self._turn = asyncio.Lock()  # two rounds at once would write down less than they did

    async def once(self) -> int:
        """Push what changed since the last time; how many objects were pushed or deleted."""
        return await self._round(self._seen)

    async def all(self) -> int:
        """The same for containers that did not change: what was told of them elsewhere may have."""
        return await self._round({})

    async def _round(self, seen: dict[str, Seen]) -> int:
        pushed = 0
        async with self._turn, open_session(self._settings) as session:
            for device, shelf in self._books.shelves.items():
                known = seen.setdefault(device, {})
                async for key in walk(shelf, Kind.CONTAINER, known):
                    count, whole = await self._sync(session, device, shelf, key)
                    pushed += count
                    if not whole:
                        known.pop(shelf.folder(key).name, None)
        return pushed

    async def _sync(self, session: aiohttp.ClientSession, device: str, shelf: Shelf, key: Key) -> tuple[int, bool]:
        """How much of a book was pushed, and whether nothing is left to do."""
        try:
            root = await self._root(shelf, key)
            share = self._share(device, key[1])
            if root is None or root.deleted or share is None or TO not in root.headers or KEY not in root.headers:
                return 0, True
            target = read_target(root.headers[TO][0], self._realms, self._settings)
            remote = Remote(session, target, root.headers[KEY][0], self._pace)
            book = _Book(shelf, key, root.path, root.headers[TO][0])
            return await _Work(book, remote, self._ask).run(share, self._settings.container_time_s)
        except (BadRequest, *BROKEN) as error:
            log.warning("a container cannot be synced", container=str(key[1]), error=repr(error))
            return 0, False

    async def _root(self, shelf: Shelf, key: Key) -> Book | None:
        """The container whose names are in a book: itself, or the one that it is a shard of."""
        book = await shelf.head_book(*key)
        if book is None or ROOT_HEADER not in book.headers:
            return book
        root = Path(*book.headers[ROOT_HEADER][0].split("/", 1))
        place = self._placing.book(root)
        found: Book | None = await ask(self._placing, place, lambda node, spot, _: node.head_book(spot, root))
        return found

    def _share(self, device: str, path: Path) -> tuple[int, int] | None:
        """Which of how many replicas this one is; None when it is none of them."""
        replicas = [(one.address, one.device) for one in self._placing.book(path).primaries]
        here = (self._placing.nodes.here, device)
        return (replicas.index(here), len(replicas)) if here in replicas else None


class _Book(NamedTuple):
    """A replica with names of the container `root`, and what that is synced to."""

    shelf: Shelf
    key: Key
    root: Path
    target: str


class _Work:
    """One book's part in a round."""

    def __init__(self, book: _Book, remote: Remote, ask: Handler) -> None:
        self._book, self._remote, self._ask = book, remote, ask
        self._sent = self._checked = self._pushed = 0
        self._failed: set[str] = set()
        self._done: set[str] = set()
        self._deadline, self._over = 0.0, False

    async def run(self, share: tuple[int, int], seconds: float) -> tuple[int, bool]:
        """How many were pushed, and whether nothing is left to do."""
        self._deadline = time.monotonic() + seconds
        held = await self._points()
        self._sent, self._checked = held.sent, held.checked
        try:
            for name in held.unsent:
                await self._again(name)
            await self._others(held.sent, share)
            await self._own(share)
        except Away as error:
            log.warning("another cluster is away", container=str(self._book.root), error=str(error))
            self._over = True
        finally:
            await self._record(held)
        whole = not self._over and self._checked == self._sent and not (await self._points()).unsent
        return self._pushed, whole

    async def _points(self) -> Points:
        return await self._book.shelf.read(self._book.key, partial(read_points, target=self._book.target)) or Points()

    async def _record(self, before: Points | None = None) -> None:
        """Write down how far it is, unless nothing came of it."""
        points, failed, done = Points(self._sent, self._checked), self._failed, self._done
        self._failed, self._done = set(), set()
        if before is None or points[:2] != before[:2] or failed or done:
            record = partial(record_points, target=self._book.target, points=points, failed=failed, done=done)
            await self._book.shelf.write(self._book.key, lambda db: record(db) or True)

    async def _others(self, upto: int, share: tuple[int, int]) -> None:
        """See whether the other replicas' nodes pushed what was theirs."""
        if share[1] > 1:
            async for seq, row in self._rows(self._checked, upto):
                if not self._is_mine(row, share):
                    await self._push(row, look=True)
                self._checked = seq
        if not self._over:
            self._checked = upto

    async def _own(self, share: tuple[int, int]) -> None:
        async for seq, row in self._rows(self._sent):
            if self._is_mine(row, share):
                await self._push(row, look=row.size >= LARGE)
            self._sent = seq
        if share[1] == 1:
            self._checked = self._sent

    def _is_mine(self, row: Row, share: tuple[int, int]) -> bool:
        number, replicas = share
        return self._book.shelf.hashed(self._path(row.name))[-1] % replicas == number

    def _path(self, name: str) -> Path:
        return self._book.root._replace(object=name)

    async def _rows(self, since: int, upto: int | None = None) -> AsyncIterator[tuple[int, Row]]:
        """What changed after `since`, in that order, until the time is over."""
        read = partial(numbered_rows, limit=PAGE, kind=Kind.CONTAINER)
        while page := await self._book.shelf.read(self._book.key, partial(read, since=since)):
            for seq, row in page:
                if upto is not None and seq > upto:
                    return
                if time.monotonic() > self._deadline:
                    self._over = True
                    return
                yield seq, row
                since = seq
            await self._record()

    async def _again(self, name: str) -> None:
        """Try a name that failed in an earlier round."""
        if time.monotonic() > self._deadline:
            self._over = True
            return
        row = await self._book.shelf.read(self._book.key, partial(held_row, name=name, kind=Kind.CONTAINER))
        if row is None:  # forgotten, or a shard's by now
            self._done.add(name)
        else:
            await self._push(row, look=True)

    async def _push(self, row: Row, *, look: bool) -> None:
        """Have the other side know of a row. Raises Away."""
        try:
            if row.deleted:
                await self._remote.delete(row.name, row.timestamp)
            elif not look or (await self._remote.newest(row.name, row.timestamp) or 0) < row.timestamp:
                await self._remote.put(await self._read(row))
            else:
                self._done.add(row.name)
                return
        except NotTaken as error:
            log.warning("an object is not synced", path=str(self._path(row.name)), error=str(error))
            self._failed.add(row.name)
        else:
            self._pushed += 1
            self._done.add(row.name)

    async def _read(self, row: Row) -> Upload:
        """The object of a row, at least as new. Raises NotTaken."""
        got = await self._get(row.name, AS_IT_IS)
        at = parse(got.headers.get("x-timestamp", "0"))
        if unquote(got.headers.get(LINKS[0], "")).startswith("\x00"):  # a version: the link is nobody's but ours
            await got.close()
            got = await self._get(row.name, {"multipart-manifest": "get"})
        if not got.ok or at < row.timestamp or "content-length" not in got.headers:
            await got.close()
            raise NotTaken(f"it is not here: {got.status}")
        headers = {**carried(got), **{name: got.headers[name] for name in LINKS if name in got.headers}}
        if "x-static-large-object" in headers:
            headers["content-type"] = row.content_type  # not that of the manifest
        headers["etag"] = got.headers.get("etag", "").strip('"')
        return Upload(row.name, at, headers, int(got.headers["content-length"]), got.body)

    async def _get(self, name: str, query: dict[str, str]) -> Response:
        request = ObjectRequest("GET", f"/v1{self._path(name)}", {"x-newest": "true"}, "", Given(b""))
        request.trusted, request.query, request.trans_id = True, query, new_trans_id()
        try:
            return await answered(self._ask, request)
        except (OSError, TimeoutError) as error:
            raise NotTaken(repr(error)) from error
