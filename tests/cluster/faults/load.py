"""Clients of the cluster: writers, each with names of its own, and readers of everybody's names.

They ask through whatever proxy is not known to be away, and wait for its answer however long that takes: a request that
was given up might still be carried out much later, as a newer one.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

import aiohttp

from tests.cluster.faults.ledger import GONE, Ledger, State, state_of
from tests.cluster.faults.members import Member

ACCOUNT = "AUTH_test"
CONTAINERS = ("alpha", "beta", "gamma")
CODED = ("beta", "gamma")  # where there is an erasure code
NAMES = 12  # of each writer in each container
MARK = "x-object-meta-mark"
Name = tuple[str, str]


class Client:
    """One of them."""

    token = ""

    def __init__(self, members: Sequence[Member], session: aiohttp.ClientSession, choice: random.Random) -> None:
        self._members, self._session, self.choice = members, session, choice

    async def ask(
        self, method: str, path: str, body: bytes = b"", member: Member | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with lower-case names, body; status 0 when the answer did not come, or not to its end."""
        member = member or self.choice.choice([one for one in self._members if not one.away])
        sent = {"x-auth-token": await self._token(member), **{n.replace("_", "-"): v for n, v in headers.items()}}
        if not sent["x-auth-token"]:
            return 0, {}, b""
        url = f"{member.proxy}/v1/{ACCOUNT}/{path}".rstrip("/")
        try:
            member.asked += 1
            async with self._session.request(method, url, data=body or None, headers=sent) as got:
                return got.status, {n.lower(): v for n, v in got.headers.items()}, await got.read()
        except (aiohttp.ClientError, OSError) as error:
            return 0, {}, repr(error).encode()
        finally:
            member.asked -= 1

    async def _token(self, member: Member) -> str:
        """By which every proxy knows us: it is sealed with the user's key, so that any of them gives it."""
        if self.token:
            return self.token
        who = {"x-auth-user": "test:tester", "x-auth-key": "testing"}
        try:
            async with self._session.get(f"{member.proxy}/auth/v1.0", headers=who) as got:
                Client.token = got.headers.get("x-auth-token", "")
        except (aiohttp.ClientError, OSError):
            return ""
        return self.token


class Writer:
    """Writes to its own names, one after the other."""

    def __init__(self, number: int, client: Client, ledger: Ledger) -> None:
        self._number, self._client, self._ledger = number, client, ledger
        self._count = 0

    async def once(self) -> None:
        choice = self._client.choice
        if choice.random() < 0.06:
            await self._change_container()
            return
        name = (choice.choice(CONTAINERS), f"w{self._number}/o{choice.randrange(NAMES)}")
        certain = self._ledger.of(name).certain
        draw = choice.random()
        if certain is not None and not certain.gone and draw < 0.2:
            await self._post(name, certain)
        elif (certain is None or not certain.gone) and draw < 0.4:
            await self._delete(name)
        else:
            await self._put(name)

    def _mark(self) -> str:
        self._count += 1
        return f"{self._number}.{self._count}"

    async def _put(self, name: Name) -> None:
        mark, choice = self._mark(), self._client.choice
        size = choice.choice((0, 1, 100, 4096, 4096, 4096, 60_000, 60_000, 700_000, 1_300_000))
        body = choice.randbytes(size)
        state = state_of(body, mark)
        await self._write(name, state, (201,), "PUT", body, x_object_meta_mark=mark, etag=state.md5)

    async def _post(self, name: Name, certain: State) -> None:
        mark = self._mark()
        await self._write(name, certain._replace(mark=mark), (202,), "POST", x_object_meta_mark=mark)

    async def _delete(self, name: Name) -> None:
        await self._write(name, GONE, (204, 404), "DELETE")

    async def _change_container(self) -> None:
        name = (f"box-{self._number}-{self._client.choice.randrange(3)}", "")
        certain = self._ledger.of(name).certain
        if certain is not None and not certain.gone and self._client.choice.random() < 0.6:
            await self._write(name, GONE, (204,), "DELETE")
            return
        mark = self._mark()
        await self._write(name, State("container", 0, mark), (201, 202), "PUT", x_container_meta_mark=mark)

    async def _write(
        self, name: Name, state: State, good: Sequence[int], method: str, body: bytes = b"", **headers: str
    ) -> None:
        entry = self._ledger.of(name)
        entry.begin(state)
        status, _, text = await self._client.ask(method, "/".join(filter(None, name)), body, **headers)
        if status in good:
            entry.succeed(state)
            self._ledger.answered += 1
        else:
            self._ledger.failed += 1
            if status not in {0, 503, 507, 404, 409}:
                self._ledger.complain(f"{method} {name} is answered {status}: {text[:200]!r}")


class Reader:
    """Reads what anybody writes, and holds it against the ledger."""

    def __init__(self, client: Client, ledger: Ledger) -> None:
        self._client, self._ledger = client, ledger

    async def once(self) -> None:
        names = [name for name in self._ledger.entries if name[1]]
        if names:
            await self.read(self._client.choice.choice(names), newest=self._client.choice.random() < 0.5)

    async def read(self, name: Name, *, newest: bool, member: Member | None = None) -> State | None:
        """What is seen; None when nothing was."""
        glance = self._ledger.glance(name, newest=newest)
        headers = {"x_newest": "true"} if newest else {}
        status, told, body = await self._client.ask("GET", "/".join(name), member=member, **headers)
        if status not in {200, 404}:
            self._ledger.unread += 1
            if status not in {0, 503}:
                self._ledger.complain(f"GET {name} is answered {status}")
            return None
        seen = GONE if status == 404 else state_of(body, told.get(MARK, ""))
        self._ledger.read += 1
        if status == 200 and told["etag"].strip('"') != seen.md5:
            self._ledger.complain(f"{name}: the bytes are not those of their etag")
        if not glance.allows(seen):
            kind = "the newest" if newest else "a reading"
            self._ledger.complain(f"{name}: {kind} is {seen}, allowed {glance.states}, {member and member.number}")
        return seen


class Load:
    """All clients, until stopped. While `open` is not set they rest between two requests."""

    def __init__(self, actors: Sequence[Callable[[], object]], pause_s: float = 0.05) -> None:
        self._actors, self._pause_s = actors, pause_s
        self.open = asyncio.Event()
        self.open.set()
        self._busy = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for actor in self._actors:
                group.create_task(self._go_on(actor))

    async def _go_on(self, actor: Callable[[], object]) -> None:
        while True:
            await self.open.wait()
            self._busy += 1
            try:
                await actor()  # type: ignore[misc]
            finally:
                self._busy -= 1
            await asyncio.sleep(self._pause_s)

    async def rest(self) -> None:
        """Return when nothing is under way."""
        self.open.clear()
        while self._busy:
            await asyncio.sleep(0.02)
