"""Which host: filters say why a host will not do, a weigher orders those that will. Pure: clock and chance are given.

Every host is asked every constraint in a fixed order and is counted under the first that it fails, so that a refusal
can tell how many hosts failed what. Among hosts that will do, the one goes first whose scarcest resource would be the
least used afterwards; equals come in random order, since workers that agree on an order race for the same host.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from msgspec import Struct

_MANY = {"is": "are", "has": "have", "does": "do"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a server needs of a host. `host` names the only one; the sets hold host names."""

    vcpus: int
    memory_mb: int
    disk_gb: int
    availability_zone: str | None = None
    host: str | None = None
    among: frozenset[str] | None = None
    avoid: frozenset[str] = frozenset()


class Room(Struct, frozen=True):
    """A host as the planner sees it: what it may promise in all, and what it has promised."""

    id: str
    name: str
    availability_zone: str
    enabled: bool
    alive: bool
    vcpus: int
    memory_mb: int
    disk_gb: int
    used_vcpus: int = 0
    used_memory_mb: int = 0
    used_disk_gb: int = 0


def choose(rooms: Sequence[Room], wanted: Wanted, random: Random) -> tuple[list[Room], str]:
    """The hosts that will do, best first, and a sentence that says why the others will not."""
    failed: Counter[str] = Counter()
    fit = []
    for room in rooms:
        why = obstacle(room, wanted)
        if why:
            failed[why] += 1
        else:
            fit.append(room)
    random.shuffle(fit)
    fit.sort(key=lambda room: fullness(room, wanted))
    return fit, trace(len(rooms), failed)


def obstacle(room: Room, wanted: Wanted) -> str:
    """The first constraint that the host fails, as words that follow "is" or "has"; empty when it will do."""
    if wanted.host is not None and room.name != wanted.host:
        return "is not the host asked for"
    if wanted.availability_zone is not None and room.availability_zone != wanted.availability_zone:
        return f"is not in the availability zone {wanted.availability_zone}"
    if room.name in wanted.avoid or (wanted.among is not None and room.name not in wanted.among):
        return "is excluded by the scheduler hints"
    if not room.enabled:
        return "is disabled"
    if not room.alive:
        return "does not answer"
    if room.used_memory_mb + wanted.memory_mb > room.memory_mb:
        return f"has too little memory ({wanted.memory_mb} MB wanted)"
    if room.used_vcpus + wanted.vcpus > room.vcpus:
        return f"has too few virtual CPUs ({wanted.vcpus} wanted)"
    if room.used_disk_gb + wanted.disk_gb > room.disk_gb:
        return f"has too little disk ({wanted.disk_gb} GB wanted)"
    return ""


def fullness(room: Room, wanted: Wanted) -> float:
    """How much of the host's scarcest resource would be promised, from 0 to 1."""
    return max(
        (room.used_vcpus + wanted.vcpus) / max(1, room.vcpus),
        (room.used_memory_mb + wanted.memory_mb) / max(1, room.memory_mb),
        (room.used_disk_gb + wanted.disk_gb) / max(1, room.disk_gb),
    )


def trace(total: int, failed: Counter[str]) -> str:
    """Say how many hosts failed what: "3 hosts: 2 have too little memory (64 MB wanted), 1 is disabled."."""
    if not total:
        return "There are no hosts."
    counts = ", ".join(
        f"{n} {why if n == 1 else _plural(why)}" for why, n in sorted(failed.items(), key=lambda f: (-f[1], f[0]))
    )
    return f"{total} host{'s' * (total != 1)}: {counts}."


def _plural(why: str) -> str:
    verb, _, rest = why.partition(" ")
    return f"{_MANY[verb]} {rest}"
