"""What the cluster has promised, name by name.

A write that was answered with success is certain: nothing older may be seen any more. One that failed, or is under way,
may be there or not, now or later. Whoever does not ask for the newest may still read what was seen before the last
fault had healed; and for as long as replicators leave a copy where the ring does not name it, what such a copy is of:
nodes that reach no others have nothing better to show.
"""

import hashlib
import time
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from maldon.objectstore.daemons.replicate_objects import SETTLED_S

STALE_S = SETTLED_S + 15.0  # a round of theirs and the healing after it included
Snapshot = dict[tuple[str, str], tuple[tuple["State", ...], int]]


class State(NamedTuple):
    """What a name stands for: nothing, or bytes with the number that was written beside them."""

    md5: str = ""
    size: int = 0
    mark: str = ""

    @property
    def gone(self) -> bool:
        return not self.md5


GONE = State()


def state_of(body: bytes, mark: str) -> State:
    return State(hashlib.md5(body, usedforsecurity=False).hexdigest(), len(body), mark)


@dataclass
class Entry:
    """Of one name. `maybe` is what it may be by now, the certain state first. `begun` is all that was ever begun;
    of that, what comes from `since` on may still be read, and what the name might be when all replicas were the same.
    """

    maybe: list[State] = field(default_factory=lambda: [GONE])
    begun: list[State] = field(default_factory=list)
    healed: tuple[State, ...] = (GONE,)
    since: int = 0
    writes: int = 0

    @property
    def certain(self) -> State | None:
        return self.maybe[0] if len(self.maybe) == 1 else None

    def begin(self, state: State) -> None:
        self.maybe.append(state)
        self.begun.append(state)

    def succeed(self, state: State) -> None:
        """The last that was begun is certain."""
        self.maybe = [state]
        self.writes += 1

    def may_be_read(self) -> tuple[State, ...]:
        return (*self.healed, *self.begun[self.since :])


@dataclass(frozen=True)
class Glance:
    """What a reader may see who begins now: the newest, or anything."""

    entry: Entry
    newest: bool
    states: tuple[State, ...]
    seen: int

    def allows(self, state: State) -> bool:
        """When the reader has ended."""
        begun = self.entry.begun[self.seen :]
        if state in self.states or state in begun:
            return True
        # Metadata is taken by a replica that missed the bytes they were meant for: it may be seen until it has them.
        may_be = (*self.states, *begun)
        marks, bodies = {one.mark for one in may_be}, {one[:2] for one in may_be}
        return not self.newest and state.mark in marks and state[:2] in bodies


@dataclass
class Ledger:
    """All names, as (container, object); an object "" is the container itself."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    answered: int = 0
    failed: int = 0
    read: int = 0
    unread: int = 0
    _healed: deque[tuple[float, Snapshot]] = field(default_factory=deque)

    def of(self, name: tuple[str, str]) -> Entry:
        return self.entries.setdefault(name, Entry())

    def glance(self, name: tuple[str, str], *, newest: bool) -> Glance:
        while self._healed and self._healed[0][0] <= time.monotonic():
            for healed, (states, since) in self._healed.popleft()[1].items():
                self.entries[healed].healed, self.entries[healed].since = states, since
        entry = self.of(name)
        return Glance(entry, newest, tuple(entry.maybe) if newest else entry.may_be_read(), len(entry.begun))

    def now(self) -> Snapshot:
        """What everything may be at this moment, for `heal`."""
        return {name: (tuple(entry.maybe), len(entry.begun)) for name, entry in self.entries.items()}

    def heal(self, then: Snapshot) -> None:
        """All disks that the ring names are at least as new as everything was then; others will be."""
        self._healed.append((time.monotonic() + STALE_S, then))

    def complain(self, text: str) -> None:
        self.wrong.append(text)
        print(f"WRONG: {text}", flush=True)
