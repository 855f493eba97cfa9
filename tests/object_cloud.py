"""An object store in this process, asked by HTTP: the whole stack from the ASGI call down, on disks in a directory.

Tokens are names, as in tests/harness.py. Paths are below the account: `await store("PUT", "c/o", b"bytes")`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from maldon.objectstore.daemons.sync_containers import SyncContainers
from maldon.objectstore.proxy.app import Proxy
from maldon.objectstore.service import ObjectSettings, disks, open_cluster, proxy_app
from maldon.objectstore.sync.settings import ContainerSyncSettings
from maldon.runtime.serve import bind, serve
from maldon.web.front import Front
from tests.harness import ADMIN_PROJECT, DEMO, OTHER, TOKENS, Answer, NamedTokens, call

ACCOUNT, OTHERS, ADMINS = f"AUTH_{DEMO}", f"AUTH_{OTHER}", f"AUTH_{ADMIN_PROJECT}"
RESELLER = replace(TOKENS["other"], user_id="u-reseller", roles=("ResellerAdmin",))


class Tokens(NamedTokens):
    """Those of the harness, and a reseller admin."""

    async def actor(self, token: str) -> Any:
        return RESELLER if token == "reseller" else await super().actor(token)

    def remembered(self, token: str) -> Any:
        return RESELLER if token == "reseller" else super().remembered(token)


@dataclass(frozen=True)
class Asker:
    """A client of a proxy. `account` is where its paths begin."""

    proxy: Proxy
    token: str = "demo"
    account: str = ACCOUNT
    headers: dict[str, str] = field(default_factory=dict)

    def as_(self, token: str, account: str = "", **headers: str) -> "Asker":
        return replace(self, token=token, account=account or self.account, headers=headers)

    async def __call__(self, method: str, path: str = "", body: bytes = b"", query: str = "", **headers: Any) -> Answer:
        """One request to `path` in the account. Header names are given with underscores; None leaves one out."""
        where = f"/v1/{self.account}" + (f"/{quote(path)}" if path else "")
        return await self.raw(method, where, body, query, **headers)

    async def raw(self, method: str, where: str, body: bytes = b"", query: str = "", **headers: Any) -> Answer:
        """One request to a path as it stands."""
        sent = {"Host": "store.test", **self.headers}
        if self.token:
            sent["X-Auth-Token"] = self.token
        if body or method in {"PUT", "POST"}:
            sent["Content-Length"] = str(len(body))
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await call(self.proxy, method, where, query, {n: str(v) for n, v in sent.items() if v is not None}, body)


@contextlib.asynccontextmanager
async def object_store(home: Path, *options: Any, **settings: Any) -> AsyncIterator[Asker]:
    """A store of one node with one disk, asked by a member of the project demo; `options` are settings of layers."""
    cluster = open_cluster(home, ObjectSettings(**settings), {type(chosen): chosen for chosen in options})
    async with disks(cluster):
        yield Asker(proxy_app(cluster, Tokens()))


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """An application on a socket of its own; its URL."""
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    serving = asyncio.create_task(serve(Front({}, {port: app}, dict), [sock]))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


class Stepped:
    """A loop over the containers of a node, stepped by hand: they know of everything that was answered before."""

    def __init__(self, own: Any, loop: Any) -> None:
        self._own, self._loop = own, loop

    async def once(self) -> Any:
        await self._own.settle()
        return await self._loop.once()

    async def all(self) -> Any:
        await self._own.settle()
        return await self._loop.all()


def syncer(store: Asker, settings: ContainerSyncSettings | None = None) -> Stepped:
    """What pushes a store's containers elsewhere, to be stepped by hand."""
    proxy = store.proxy
    placing = proxy.store.placing
    chosen = settings or proxy.store.option(ContainerSyncSettings)
    own: Any = placing.nodes.own  # type: ignore[attr-defined]
    return Stepped(own, SyncContainers(own.books, placing, proxy.handler, chosen))
