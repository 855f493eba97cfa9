"""The wiring of many hosts, computed together.

A change that concerns many hosts wakes all of their agents' polls at once. The first to ask computes; who asks
meanwhile is gathered, and the next round answers all of them from one set of statements. An answer is given again while
nothing was heard that could change it, and for a few seconds at most: a lost message only costs time.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field

import msgspec

from maldon.compute.settings import ComputeSettings
from maldon.kernel.op import Op
from maldon.network import service as network
from maldon.work.wakes import Wakes

Answer = tuple[bytes, str]
KEPT_S = 5.0


@dataclass(slots=True)
class _Kept:
    """An answer, when it was made, and what had been heard by then: changes of the host, of any, of groups' members."""

    answer: Answer
    at: float
    heard: tuple[int, int]
    members: int


@dataclass(slots=True)
class _Round:
    hosts: set[str] = field(default_factory=set)
    answers: dict[str, Answer] | None = None


class WiringBoard:
    """One per process."""

    def __init__(self) -> None:
        self._gathering = _Round()
        self._turn = asyncio.Lock()
        self._kept: dict[str, _Kept] = {}

    async def of(self, op: Op, host: str) -> Answer:
        """A host's wiring as JSON and its ETag."""
        kept = self._kept.get(host)
        if kept is not None and _holds(op, host, kept):
            return kept.answer
        mine = self._gathering
        mine.hosts.add(host)
        async with self._turn:
            if mine.answers is None:
                self._gathering = _Round()
                mine.answers = await self._compute(op, sorted(mine.hosts))
        return mine.answers[host]

    async def _compute(self, op: Op, hosts: list[str]) -> dict[str, Answer]:
        now, heard = asyncio.get_running_loop().time(), {host: _heard(op, host) for host in hosts}
        members = op.use(Wakes).count(network.MEMBERS_TOPIC)
        async with op.db.read() as session:
            found = await network.wirings(session, op, hosts)
        answers = {name: _answer(msgspec.json.encode(wiring)) for name, wiring in found.items()}
        for host, answer in answers.items():
            self._kept[host] = _Kept(answer, now, heard[host], members)
        return answers


def _heard(op: Op, host: str) -> tuple[int, int]:
    wakes = op.use(Wakes)
    return wakes.count(network.wiring_topic(host)), wakes.count(network.WIRING_TOPIC)


def _holds(op: Op, host: str, kept: _Kept) -> bool:
    """Whether an answer may be given again; new members of groups may wait as long as they are gathered."""
    age = asyncio.get_running_loop().time() - kept.at
    same_members = op.use(Wakes).count(network.MEMBERS_TOPIC) == kept.members
    patience = KEPT_S if same_members else op.use(ComputeSettings).members_pause_s
    return age < patience and _heard(op, host) == kept.heard


def _answer(body: bytes) -> Answer:
    return body, hashlib.sha256(body).hexdigest()[:32]
