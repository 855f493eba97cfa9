"""An object store in this process, asked by HTTP: the whole stack from the ASGI call down, on disks in a directory.

Tokens are names, as in tests/harness.py. Paths are below /v1: `await store("PUT", "AUTH_.../c/o", b"bytes")`.
"""

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from maldon.objectstore.proxy.app import Proxy
from tests.harness import DEMO, Answer, call

ACCOUNT = f"AUTH_{DEMO}"


@dataclass(frozen=True)
class Asker:
    """A client of a proxy. `account` is where paths begin that do not name one."""

    proxy: Proxy
    token: str = "demo"
    account: str = ACCOUNT
    headers: dict[str, str] = field(default_factory=dict)

    def as_(self, token: str, **headers: str) -> "Asker":
        return replace(self, token=token, headers=headers)

    async def __call__(self, method: str, path: str = "", body: bytes = b"", query: str = "", **headers: Any) -> Answer:
        """One request to `path` in the account. Header names are given with underscores."""
        where = f"/v1/{self.account}" + (f"/{quote(path)}" if path else "")
        return await self.raw(method, where, body, query, **headers)

    async def raw(self, method: str, where: str, body: bytes = b"", query: str = "", **headers: Any) -> Answer:
        """One request to a path as it stands."""
        sent = {"host": "store.test", **self.headers, **{k.replace("_", "-"): str(v) for k, v in headers.items()}}
        if self.token:
            sent.setdefault("X-Auth-Token", self.token)
        if body or method in {"PUT", "POST"}:
            sent.setdefault("Content-Length", str(len(body)))
        return await call(self.proxy, method, where, query, {k: v for k, v in sent.items() if v != "None"}, body)
