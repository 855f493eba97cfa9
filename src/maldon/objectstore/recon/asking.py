"""Asks storage nodes at their ports, all at once, each with a time of its own: for commands."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from maldon.objectstore.storage.wire import KEY_HEADER

AT_ONCE = 50
MOST = 64 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node answered; `status` is 0 when it did not, and `error` says why."""

    status: int
    body: bytes = b""
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def said(self) -> str:
        """Why it is not ok."""
        if self.error:
            return self.error
        try:
            return str(msgspec.json.decode(self.body, type=dict[str, Any])["error"])
        except (msgspec.MsgspecError, KeyError):
            return f"it answers {self.status}"

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Asking:
    """`key` is the cluster's, "" for what wants none."""

    def __init__(self, key: str = "", timeout_s: float = 5.0) -> None:
        self._headers = {KEY_HEADER: key} if key else {}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def ask(self, wanted: Mapping[tuple[str, str], bytes | None]) -> dict[tuple[str, str], Answer]:
        """For (address, path) the answer to a GET, or to a PUT of bytes."""
        room = asyncio.Semaphore(AT_ONCE)
        async with aiohttp.ClientSession(timeout=self._timeout, headers=self._headers) as session:

            async def one(address: str, path: str, sent: bytes | None) -> Answer:
                async with room:
                    return await _one(session, f"http://{address}{path}", sent)

            answers = await asyncio.gather(*(one(*where, sent) for where, sent in wanted.items()))
        return dict(zip(wanted, answers, strict=True))

    async def ask_all(self, addresses: Iterable[str], path: str) -> dict[str, Answer]:
        """The same of every node."""
        found = await self.ask({(address, path): None for address in addresses})
        return {address: answer for (address, _), answer in found.items()}


async def _one(session: aiohttp.ClientSession, url: str, sent: bytes | None) -> Answer:
    try:
        async with session.request("GET" if sent is None else "PUT", url, data=sent) as response:
            return Answer(response.status, await response.read())
    except TimeoutError:
        return Answer(0, error="it does not answer in time")
    except aiohttp.ClientConnectorError as error:
        said = os.strerror(error.errno) if error.errno else str(error)
        return Answer(0, error=f"nobody answers there ({said})")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Answer(0, error=f"it cannot be asked: {error}")
