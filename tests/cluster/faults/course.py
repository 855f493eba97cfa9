"""The course of a run: the cluster is started, clients write, faults come and heal, and at the end all is compared."""

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path as File

import aiohttp

from maldon.objectstore.service import ObjectSettings, open_cluster
from tests.cluster.faults import faults
from tests.cluster.faults.census import Census
from tests.cluster.faults.ledger import GONE, Ledger, State
from tests.cluster.faults.load import CODED, CONTAINERS, Client, Load, Reader, Writer
from tests.cluster.faults.members import Member, make_members, until

WRITERS, READERS = 5, 2
DURING = 15  # writes that are answered while a fault lasts
FULL_EVERY = 50  # faults


@dataclass(frozen=True)
class Plan:
    """What a run is made of: `code` is an erasure code that some containers are kept in, "" none."""

    seed: int
    kinds: Sequence[str]
    code: str = ""

    @property
    def policies(self) -> tuple[str, ...]:
        return ("0:whole", f"1:coded:ec={self.code}") if self.code else ("0:whole",)

    @property
    def rings(self) -> dict[str, int]:
        """The names of the rings, and how many disks hold one thing."""
        whole = {"account": 3, "container": 3, "object": 3}
        data, _, parity = self.code.partition("/")[2].partition("+")
        return {**whole, "object-1": int(data) + int(parity)} if self.code else whole


class Course:
    """One run. `session` is the clients'."""

    def __init__(self, members: Sequence[Member], session: aiohttp.ClientSession, plan: "Plan") -> None:
        self.members, self._session, self._coded = members, session, bool(plan.code)
        seed, kinds, policies = plan.seed, plan.kinds, plan.policies
        self.ledger, self._choice = Ledger(), random.Random(seed)
        self.client = Client(members, session, random.Random(seed + 1))
        cluster = open_cluster(members[0].home, ObjectSettings(policies=policies))
        self.census = Census(members, cluster.rings, cluster.secrets.path_hash)
        self._of = [kind for kind in faults.KINDS if kind.__name__ in kinds]
        self.kinds: Counter[str] = Counter()
        clients = [Client(members, session, random.Random(seed + 10 + n)) for n in range(WRITERS + READERS)]
        writers = [Writer(n, client, self.ledger) for n, client in enumerate(clients[:WRITERS])]
        readers = [Reader(client, self.ledger) for client in clients[WRITERS:]]
        self.load = Load([actor.once for actor in (*writers, *readers)])

    async def start(self) -> None:
        for member in self.members:
            member.launch()
        await self._all_answer()
        for name in CONTAINERS:
            await until(f"container {name}", lambda name=name: self._made(name))

    async def _made(self, name: str) -> str:
        policy = {"x_storage_policy": "coded"} if self._coded and name in CODED else {}
        status, _, text = await self.client.ask("PUT", name, **policy)
        return "" if status in {201, 202} else f"{status} {text!r}"

    async def _all_answer(self) -> None:
        for member in self.members:
            await until(f"node {member.number} to answer", lambda m=member: self._silent(m))

    async def _silent(self, member: Member) -> str:
        return "" if await member.answers(self._session) else "it is not ready"

    async def go_through(self, count: int) -> None:
        """So many faults, and a whole comparison now and then."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.load.run())
            try:
                await self._writes(4 * DURING)
                for number in range(1, count + 1):
                    await self._suffer(number)
                    if number % FULL_EVERY == 0 or number == count:
                        await self.load.rest()
                        await self.compare(exact=number == count)
                        if number < count:
                            self.load.open.set()
            finally:
                running.cancel()

    async def _suffer(self, number: int) -> None:
        """One fault, until it has healed."""
        begun, member = time.monotonic(), self._choice.choice(self.members)
        others = [one for one in self.members if one is not member]
        kind = self._choice.choice(self._of)
        fault = kind(member, others, self._choice)
        print(f"{number}: node {member.number} {fault.what}", flush=True)
        self.kinds[kind.__name__] += 1
        member.away = fault.restarts or kind is faults.hang
        fault.begin()
        await self._writes(DURING)
        waiting = [one.asked for one in self.members]
        fault.end()
        await self._all_answer()
        member.away = False
        ended = time.monotonic()
        await until("damage is noticed", lambda: self._unnoticed(fault))
        then = self.ledger.now()
        wanted = await asyncio.to_thread(self.census.take)
        await until("the replicas are the same", lambda: self._lacking(wanted))
        self.ledger.heal(then)
        healed = time.monotonic() - ended
        print(
            f"{number}: lasted {ended - begun:.1f} s, waited for {waiting}, healed in {healed:.1f} s; "
            f"{self.ledger.answered} writes answered, {self.ledger.failed} failed, {self.ledger.read} read",
            flush=True,
        )

    async def _writes(self, count: int, seconds: float = 20.0) -> None:
        """So many are answered; or a time has passed, for a fault may hold everybody back."""
        until_count = self.ledger.answered + count
        with contextlib.suppress(AssertionError):
            await until("writes", lambda: self._fewer(until_count), seconds, 0.02)

    async def _fewer(self, count: int) -> str:
        return "too few" if self.ledger.answered < count else ""

    async def _unnoticed(self, fault: faults.Fault) -> str:
        return "it is not" if await asyncio.to_thread(fault.damage) else ""

    async def _lacking(self, wanted: object, *, exact: bool = False) -> list[str]:
        return (await asyncio.to_thread(self.census.lacking, wanted, exact=exact))[:3]

    # When nobody writes

    async def compare(self, *, exact: bool) -> None:
        """Everything with the ledger, through every proxy."""
        print("everything is compared", flush=True)
        wanted = await asyncio.to_thread(self.census.take)
        await until("the replicas are the same", lambda: self._lacking(wanted, exact=exact))
        truth = await self._truth()
        await until("containers and accounts agree", lambda: self._differing(truth))

    async def _truth(self) -> dict[tuple[str, str], State]:
        """What every name stands for, as all proxies say; what was uncertain is not any more."""
        truth, reader = {}, Reader(self.client, self.ledger)
        for name, entry in list(self.ledger.entries.items()):
            if not name[1]:
                continue
            seen = set(await asyncio.gather(*(reader.read(name, newest=False, member=one) for one in self.members)))
            if len(seen) != 1 or seen == {None}:
                self.ledger.complain(f"{name}: proxies see {seen}")
            truth[name] = next(iter(seen)) or GONE
            entry.maybe = [truth[name]]
        self.ledger.heal(self.ledger.now())
        return truth

    async def _differing(self, truth: dict[tuple[str, str], State]) -> list[str]:
        """Listings and totals that are not those of what was found."""
        found, totals = [], {}
        for container in CONTAINERS:
            own = {name[1]: (s.size, s.md5) for name, s in truth.items() if name[0] == container and not s.gone}
            totals[container] = (len(own), sum(size for size, _ in own.values()))
            for member in self.members:
                found += await self._differing_container(member, container, own)
        for member in self.members:
            found += await self._differing_account(member, totals)
        return found[:3]

    async def _differing_container(self, member: Member, container: str, own: dict[str, tuple[int, str]]) -> list[str]:
        status, told, body = await self.client.ask("GET", f"{container}?format=json", member=member)
        if status != 200:
            return [f"{container} of node {member.number}: {status}"]
        listed = {row["name"]: (row["bytes"], row["hash"]) for row in json.loads(body)}
        wrong = {n for n in {*listed, *own} if listed.get(n) != own.get(n)}
        found = [f"{container} of {member.number}: {n} {listed.get(n)}, not {own.get(n)}" for n in sorted(wrong)]
        totals = (int(told["x-container-object-count"]), int(told["x-container-bytes-used"]))
        if totals != (len(own), sum(size for size, _ in own.values())):
            found.append(f"{container} of {member.number} counts {totals}")
        return found

    async def _differing_account(self, member: Member, totals: dict[str, tuple[int, int]]) -> list[str]:
        status, told, body = await self.client.ask("GET", "?format=json", member=member)
        if status != 200:
            return [f"the account of node {member.number}: {status}"]
        listed = {row["name"]: (row["count"], row["bytes"]) for row in json.loads(body)}
        found = []
        for name, entry in self.ledger.entries.items():
            if name[1]:
                continue
            seen = await self._container_state(member, name[0])
            if seen not in entry.maybe:
                found.append(f"container {name[0]} of {member.number} is {seen}, not of {entry.maybe}")
            if seen is not None and not seen.gone:
                totals = {**totals, name[0]: (0, 0)}
        if listed != totals:
            found.append(f"the account of {member.number} lists {listed}, not {totals}")
        count = [int(told[f"x-account-{what}"]) for what in ("container-count", "object-count", "bytes-used")]
        if count != [len(totals), sum(n for n, _ in totals.values()), sum(size for _, size in totals.values())]:
            found.append(f"the account of {member.number} counts {count}")
        return found

    async def _container_state(self, member: Member, name: str) -> State | None:
        status, told, _ = await self.client.ask("HEAD", name, member=member)
        if status == 404:
            return GONE
        return State("container", 0, told.get("x-container-meta-mark", "")) if status == 204 else None


@contextlib.asynccontextmanager
async def course(folder: File, plan: Plan) -> AsyncIterator[Course]:
    """A cluster that runs; its processes end with it."""
    members = make_members(folder, 5, plan.rings, plan.policies, plan.seed)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            made = Course(members, session, plan)
            await made.start()
            yield made
    finally:
        for member in members:
            if member.process is not None:
                member.kill()
            member.port.close()
