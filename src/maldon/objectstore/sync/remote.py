"""The container at the other end: what is newest there, and writing and deleting in it, under the time of here.

What it has newer it keeps, which is as good. What it says of one object alone (a name too long, metadata too large) is
NotTaken, and concerns that object; everything else that goes wrong is Away, and ends the round for the container.
Redirects are not followed: the settings say who is written to, and nobody else does.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from maldon.kernel.ids import new_id
from maldon.objectstore import timestamp
from maldon.objectstore.daemons.audit_objects import Pace
from maldon.objectstore.middleware.carrying import AS_IT_IS
from maldon.objectstore.proxy.metadata import is_text
from maldon.objectstore.sync.realms import signature
from maldon.objectstore.sync.settings import ContainerSyncSettings
from maldon.objectstore.sync.target import Target

ASK_S = 30.0
SLOWEST = 100_000  # bytes in a second
DONE = {404, 409}  # of a deletion; 409 of a write: it has something newer
OF_THE_OBJECT = {400, 411, 412, 413, 414, 415, 416, 417, 422, 431}


class Away(Exception):
    """The other cluster cannot be reached, or lets nothing in."""


class NotTaken(Exception):
    """This object cannot be synced for now."""


class Upload(NamedTuple):
    """An object as it is here."""

    name: str
    at: int
    headers: dict[str, str]
    size: int
    body: bytes | AsyncIterator[bytes]


def open_session(settings: ContainerSyncSettings) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_s, sock_read=ASK_S)
    return aiohttp.ClientSession(timeout=timeout, auto_decompress=False)


class Remote:
    """One container elsewhere. `key` is that of the container here, which is the same there."""

    def __init__(self, session: aiohttp.ClientSession, target: Target, key: str, pace: Pace) -> None:
        self._session, self._target, self._key, self._pace = session, target, key, pace

    async def newest(self, name: str, at: int) -> int | None:
        """When what it has was written; None when it has nothing. Raises Away, NotTaken."""
        status, found = await self._ask("HEAD", name, at, {}, query=AS_IT_IS)
        if status == 404:
            return None
        _check(status, set())
        try:
            return timestamp.parse(found.get("X-Timestamp", ""))
        except ValueError:
            raise Away("the answer has no X-Timestamp") from None

    async def put(self, upload: Upload) -> None:
        """Write it, unless there is something newer. Raises Away, NotTaken."""
        if not all(map(is_text, upload.headers.values())):
            raise NotTaken("its metadata is no text, and cannot be sent")
        source = _Source(upload, self._pace)
        headers = {**upload.headers, "Content-Length": str(upload.size)}
        try:
            async with asyncio.timeout(ASK_S + upload.size / SLOWEST):
                status, _ = await self._ask("PUT", upload.name, upload.at, headers, source.pieces())
        except (Away, TimeoutError) as error:
            if source.broke:
                raise NotTaken("it could not be read to its end") from error
            raise Away(repr(error)) from error
        _check(status, {409})

    async def delete(self, name: str, at: int) -> None:
        """Delete what is older than that. Raises Away, NotTaken."""
        status, _ = await self._ask("DELETE", name, at, {})
        _check(status, DONE)

    async def _ask(
        self, method: str, name: str, at: int, headers: dict[str, str],
        body: AsyncIterator[bytes] | None = None, query: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str]]:  # fmt: skip
        url = f"{self._target.url}/{quote(name)}"
        sent = {**headers, **self._signed(method, url, timestamp.text(at))}
        asked = "?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else ""
        skip = ("Content-Type", "Accept-Encoding") if "content-type" not in headers else ("Accept-Encoding",)
        try:
            async with self._session.request(
                method, URL(url + asked, encoded=True), headers=sent, data=body, allow_redirects=False,
                skip_auto_headers=skip,
            ) as response:  # fmt: skip
                return response.status, dict(response.headers)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Away(repr(error)) from error

    def _signed(self, method: str, url: str, at: str) -> dict[str, str]:
        realm = self._target.realm
        if realm is None:
            return {"X-Timestamp": at, "X-Container-Sync-Key": self._key}
        nonce = new_id()
        made = signature(realm.keys[0], self._key, method, urlsplit(url).path, at, nonce)
        return {"X-Timestamp": at, "X-Container-Sync-Auth": f"{realm.name} {nonce} {made}"}


def _check(status: int, fine: set[int]) -> None:
    if status in fine or 200 <= status < 300:
        return
    if status in OF_THE_OBJECT:
        raise NotTaken(f"the other cluster answers {status}")
    raise Away(f"the other cluster answers {status}")


class _Source:
    """The bytes of an upload, at a pace; `broke` when they ended before their time."""

    def __init__(self, upload: Upload, pace: Pace) -> None:
        self._body, self._pace, self.broke = upload.body, pace, False

    async def pieces(self) -> AsyncIterator[bytes]:
        if isinstance(self._body, bytes):
            await self._pace.took(len(self._body))
            yield self._body
            return
        pieces = aiter(self._body)
        while True:
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except Exception:
                self.broke = True
                raise
            await self._pace.took(len(piece))
            yield piece
