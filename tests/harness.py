"""Services in this process, reached by the HTTP a user sends: no socket, but the whole stack from the ASGI call down.

`Cloud` holds a real database and the services under test. Tokens are names ("admin", "demo", "other", …) that
`TOKENS` maps to actors; tests of identity itself use its own verifier instead.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import msgspec

from maldon.kernel.clock import ManualClock
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Actor, Op
from maldon.store.database import open_database
from maldon.web.app import App, Surroundings, Verifier
from maldon.web.front import Front
from maldon.web.policy import Policy
from maldon.web.service import Service
from maldon.work.runner import Runner
from maldon.work.sagas import Saga
from maldon.work.wakes import Wakes
from tests.tables import create_all

DEMO, OTHER, ADMIN_PROJECT = "d" * 32, "e" * 32, "a" * 32
MEMBER = ("member", "reader")
TOKENS = {
    "admin": Actor("u-admin", "admin", project_id=ADMIN_PROJECT, roles=("admin", "manager", *MEMBER)),
    "demo": Actor("u-demo", "demo", project_id=DEMO, roles=MEMBER),
    "reader": Actor("u-reader", "reader", project_id=DEMO, roles=("reader",)),
    "other": Actor("u-other", "other", project_id=OTHER, roles=MEMBER),
    "agent": Actor("u-agent", "node-a", project_id=ADMIN_PROJECT, roles=("agent",)),
}


class NamedTokens:
    """A verifier for tests: the token is the name of an actor."""

    async def actor(self, token: str, service: str = "", method: str = "", path: str = "") -> Actor:
        if token not in TOKENS:
            raise Unauthorized("The token is not valid.")
        return TOKENS[token]

    def remembered(self, token: str) -> Actor | None:
        return TOKENS.get(token)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `json` is its decoded body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Cloud:
    """Services, their database, their worker."""

    db: Any
    clock: ManualClock
    wakes: Wakes
    policy: Policy
    front: Front
    sagas: tuple[Saga, ...] = ()
    kit: dict[type, Any] = field(default_factory=dict)
    token: str = "demo"
    headers: dict[str, str] = field(default_factory=dict)

    def op(self, who: str = "admin") -> Op:
        return Op(TOKENS[who], "req-test", self.db, self.wakes.wake, self.clock, self.policy, self.kit)

    def as_(self, token: str, **headers: str) -> "Cloud":
        """The same cloud, asked by somebody else (and with further request headers)."""
        return replace(self, token=token, headers={**self.headers, **headers})

    async def run_sagas(self, checkpoint: Any = None) -> None:
        """Advance operations until none is due."""
        runner = Runner(self.op(), self.sagas, *([checkpoint] if checkpoint else []))
        while await runner.once():
            pass

    async def __call__(
        self, method: str, url: str, json: Any = None, *, body: bytes | None = None, **headers: str
    ) -> Answer:
        """One request. `json` is encoded; header names are given with underscores."""
        parts = urlsplit(url)
        data = body if body is not None else (b"" if json is None else msgspec.json.encode(json))
        sent = {"Host": "cloud.test", **self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if self.token:
            sent.setdefault("X-Auth-Token", self.token)
        if json is not None:
            sent.setdefault("Content-Type", "application/json")
        if data:
            sent.setdefault("Content-Length", str(len(data)))
        return await call(self.front, method, parts.path, parts.query, sent, data)


async def call(app: Any, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
    """One ASGI call, its answer collected."""
    from urllib.parse import unquote

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path, errors="replace"),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [
            (k.lower().encode(), v.encode("utf-8", "surrogateescape")) for k, v in headers.items() if v is not None
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    pieces = [body[i : i + 65536] for i in range(0, len(body), 65536)] or [b""]
    status, got, chunks = 0, {}, []
    over = asyncio.Event()

    async def receive() -> Any:
        if not pieces:
            await over.wait()
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            for name, value in message["headers"]:
                got[name.decode().lower()] = value.decode("utf-8", "surrogateescape")
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    over.set()
    return Answer(status, got, b"".join(chunks))


@contextlib.asynccontextmanager
async def cloud(
    url: str,
    services: Iterable[Service],
    *,
    sagas: Iterable[Saga] = (),
    make_verifier: Callable[[Any, ManualClock], Verifier] | None = None,
    overrides: dict[str, str] | None = None,
    kit: Iterable[Any] = (),
) -> AsyncIterator[Cloud]:
    """The services on an empty database at `url`, with all tables made.

    `kit` holds the objects that rooms use; a verifier of one's own is made for the database and joins them.
    """
    db = open_database(url)
    clock, wakes = ManualClock(), Wakes()
    services, by_type = tuple(services), {type(thing): thing for thing in kit}
    try:
        await create_all(db)
        verifier = make_verifier(db, clock) if make_verifier else NamedTokens()
        by_type[type(verifier)] = verifier
        policy = Policy([rule for s in services for rule in s.rules], overrides or {})
        around = Surroundings(db, wakes.wake, clock, policy, verifier, "http://cloud.test/identity", by_type)
        front = Front({s.prefix.strip("/"): App(s, around) for s in services}, {}, dict)
        yield Cloud(db, clock, wakes, policy, front, tuple(sagas), by_type)
    finally:
        await db.close()
