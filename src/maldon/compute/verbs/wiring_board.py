"""The wiring of many hosts, computed together.

A change that concerns many hosts wakes all of their agents' polls at once. The first to ask computes; who asks
meanwhile is gathered, and the next round answers all of them from one set of statements.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field

import msgspec

from maldon.kernel.op import Op
from maldon.network import service as network

Answer = tuple[bytes, str]


@dataclass(slots=True)
class _Round:
    hosts: set[str] = field(default_factory=set)
    answers: dict[str, Answer] | None = None


class WiringBoard:
    """One per process."""

    def __init__(self) -> None:
        self._gathering = _Round()
        self._turn = asyncio.Lock()

    async def of(self, op: Op, host: str) -> Answer:
        """A host's wiring as JSON, computed after this was asked, and its ETag."""
        mine = self._gathering
        mine.hosts.add(host)
        async with self._turn:
            if mine.answers is None:
                self._gathering = _Round()
                async with op.db.read() as session:
                    found = await network.wirings(session, op, sorted(mine.hosts))
                mine.answers = {name: _answer(msgspec.json.encode(wiring)) for name, wiring in found.items()}
        return mine.answers[host]


def _answer(body: bytes) -> Answer:
    return body, hashlib.sha256(body).hexdigest()[:32]
