"""The wiring of many hosts, computed together.

A change that concerns many hosts wakes all of their agents' polls at once. The first to ask computes; who asks
meanwhile is gathered, and the next round answers all of them from one set of statements, and with them those whose
answers would not hold much longer. An answer is given again while nothing was heard that could change it, and for a few
seconds at most: a lost message only costs time.

What a host is told of others (groups' members, networks' peers) changes with every port of the cloud. It is read once
for all hosts and kept for a while, the longer the more hosts are to be told; who carries none of it is not concerned.
"""

import asyncio
import hashlib
import math
from dataclasses import dataclass, field

import msgspec

from maldon.compute.settings import ComputeSettings
from maldon.kernel.op import Op
from maldon.network import service as network
from maldon.ports.switch import Wiring
from maldon.work.wakes import Heard, Wakes

Answer = tuple[bytes, str]
KEPT_S = 5.0
MANY = 50  # hosts from which on what they are told of others is kept longer


@dataclass(slots=True)
class _Kept:
    """An answer, when it was made and last asked for, and what had been heard by then.

    `prompt` are changes that make it void at once, `gathered` those that may wait for others, by topic.
    """

    answer: Answer
    at: float
    asked: float
    prompt: dict[str, int]
    gathered: dict[str, int]


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
        self._beyond, self._beyond_at, self._beyond_heard = network.Beyond(), -math.inf, Heard()

    async def of(self, op: Op, host: str) -> Answer:
        """A host's wiring as JSON and its ETag."""
        kept, now = self._kept.get(host), asyncio.get_running_loop().time()
        if kept is not None:
            kept.asked = now
            if self._holds(op, kept, now):
                return kept.answer
        mine = self._gathering
        mine.hosts.add(host)
        async with self._turn:
            if mine.answers is None:
                self._gathering = _Round()
                mine.answers = await self._compute(op, mine.hosts)
        return mine.answers[host]

    async def _compute(self, op: Op, asking: set[str]) -> dict[str, Answer]:
        now, heard = asyncio.get_running_loop().time(), op.use(Wakes).heard.copy()
        self._kept = {host: kept for host, kept in self._kept.items() if now - kept.asked < KEPT_S}
        soon = now + op.use(ComputeSettings).members_pause_s / 2
        hosts = asking | {host for host, kept in self._kept.items() if not self._holds(op, kept, soon)}
        if now - self._beyond_at >= self._patience_s(op):
            self._beyond, self._beyond_at, self._beyond_heard = network.Beyond(), now, heard
        async with op.db.read() as session:
            found = await network.wirings(session, op, sorted(hosts), self._beyond)
        answers = {name: _answer(msgspec.json.encode(wiring)) for name, wiring in found.items()}
        for host, answer in answers.items():
            asked = self._kept[host].asked if host in self._kept else now
            prompt = {topic: heard.of(topic) for topic in (network.wiring_topic(host), network.WIRING_TOPIC)}
            gathered = {topic: self._beyond_heard.of(topic) for topic in _beyond(found[host])}
            self._kept[host] = _Kept(answer, now, asked, prompt, gathered)
        return answers

    def _patience_s(self, op: Op) -> float:
        """How long what is told of others is good enough."""
        pause = op.use(ComputeSettings).members_pause_s
        return min(max(pause, KEPT_S), pause * max(1.0, len(self._kept) / MANY))

    def _holds(self, op: Op, kept: _Kept, at: float) -> bool:
        """Whether an answer may still be given at that time."""
        heard = op.use(Wakes).heard
        if any(heard.of(topic) != number for topic, number in kept.prompt.items()):
            return False
        others = any(heard.of(topic) != number for topic, number in kept.gathered.items())
        return at - kept.at < (self._patience_s(op) if others else KEPT_S)


def _beyond(wiring: Wiring) -> list[str]:
    """The topics on which others' changes that concern a host are heard."""
    members = [network.members_topic(group.id) for group in wiring.groups]
    return [*members, *(network.peers_topic(carried.id) for carried in wiring.networks)]


def _answer(body: bytes) -> Answer:
    return body, hashlib.sha256(body).hexdigest()[:32]
