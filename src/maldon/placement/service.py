"""The door of placement: hosts report what they have, servers claim some of it.

A claim is taken by an UPDATE whose WHERE holds the constraint itself (what is used and what is wanted fit into what the
host may promise), so two workers that choose the same host both get it while it has room for both, and never more.
The first user who reports a host owns it; nobody else may speak for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, select, update

from maldon.kernel.clock import SECOND
from maldon.kernel.errors import Conflict, Duplicate, Forbidden, NotFound, Stale, Unavailable
from maldon.kernel.ids import new_id
from maldon.kernel.op import Op, Session
from maldon.placement.models.host import claims
from maldon.placement.models.host import hosts as table
from maldon.placement.plan.choose import Room, Wanted, choose
from maldon.placement.settings import PlacementSettings
from maldon.ports.agent import HostReport

__all__ = [
    "Host",
    "Listening",
    "NoValidHost",
    "Owners",
    "Place",
    "PlacementSettings",
    "Wanted",
    "audit",
    "claim",
    "claims_of",
    "get_host",
    "host_states",
    "hosts",
    "is_forced_down",
    "owned_host",
    "release",
    "report_host",
    "set_host",
    "tunnels",
]

CANDIDATES = 5
_RANDOM = SystemRandom()


class NoValidHost(Conflict):
    """No host will do; the message says which constraint failed how many."""

    code = "no-valid-host"


@dataclass(frozen=True, slots=True)
class Host:
    """A host as its neighbours may know it. `vcpus`, `memory_mb`, `disk_gb` are what it has, `used_*` is claimed."""

    id: str
    name: str
    availability_zone: str
    enabled: bool
    disabled_reason: str | None
    forced_down: bool
    last_seen: int
    created_at: int
    updated_at: int
    tunnel_ip: str
    hypervisor_type: str
    hypervisor_version: int
    cpu_info: str
    features: list[str]
    version: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    used_vcpus: int
    used_memory_mb: int
    used_disk_gb: int
    claims: int
    generation: int
    alive: bool

    def promised(self, settings: PlacementSettings) -> tuple[int, int, int]:
        """The virtual CPUs, MiB of memory and GiB of disk that the host may promise in all."""
        return _promised(settings, self.vcpus, self.memory_mb, self.disk_gb)


@dataclass(frozen=True, slots=True)
class Listening:
    """Since when this process could hear of reports. Until it has listened long enough, silence is no host's fault."""

    since: int = 0


class Owners(dict[str, str]):
    """Who owns which host, by name, as far as this process has looked. A host keeps its owner, so nothing gets old."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a claim is."""

    id: str
    name: str
    availability_zone: str


_COLUMNS = tuple(table.c[name] for name in Host.__dataclass_fields__ if name != "alive")


def _promised(settings: PlacementSettings, vcpus: int, memory_mb: int, disk_gb: int) -> tuple[int, int, int]:
    return (
        int(vcpus * settings.cpu_ratio),
        max(0, int((memory_mb - settings.reserved_memory_mb) * settings.memory_ratio)),
        int(disk_gb * settings.disk_ratio),
    )


def _alive(op: Op) -> ColumnElement[bool]:
    """Whether the host is not given up and its last report is young enough."""
    return and_(table.c.forced_down.is_(False), table.c.last_seen >= _since(op))


def _since(op: Op) -> int:
    """The oldest last report of a host that is alive."""
    return op.clock.now() - op.use(PlacementSettings).silent_after_s * SECOND


_STATES = select(
    table.c.name,
    table.c.enabled,
    and_(table.c.forced_down.is_(False), table.c.last_seen >= bindparam("since", type_=table.c.last_seen.type)),
).where(table.c.name.in_(bindparam("names", expanding=True)))


async def hosts(session: Session, op: Op) -> list[Host]:
    """Every host, by name."""
    return [Host(*row) for row in await session.all(select(*_COLUMNS, _alive(op)).order_by(table.c.name))]


async def host_states(session: Session, op: Op, names: Iterable[str]) -> dict[str, tuple[bool, bool]]:
    """Whether each of these hosts is enabled and whether it is alive, of those that are known."""
    rows = await session.all(_STATES, {"names": [*names], "since": _since(op)})
    return {name: (enabled, alive) for name, enabled, alive in rows}


_TUNNELS = select(table.c.name, table.c.tunnel_ip).where(
    table.c.forced_down.is_(False), table.c.last_seen >= bindparam("since", type_=table.c.last_seen.type)
)


async def tunnels(session: Session, op: Op) -> dict[str, str]:
    """Where the living hosts take tunnels, by name."""
    return dict(map(tuple, await session.all(_TUNNELS, {"since": _since(op)})))


async def get_host(session: Session, op: Op, host_id: str) -> Host:
    """One host by id. Raises NotFound."""
    row = await session.first(select(*_COLUMNS, _alive(op)).where(table.c.id == host_id))
    if row is None:
        raise NotFound(f"Host {host_id} could not be found.")
    return Host(*row)


async def is_forced_down(session: Session, name: str) -> bool:
    """Whether an operator declared the host dead, or it is known no more."""
    return await session.scalar(select(table.c.forced_down).where(table.c.name == name)) is not False


_OWNER = select(table.c.agent_user_id).where(table.c.name == bindparam("host"))


async def owned_host(session: Session, op: Op, name: str) -> None:
    """Go on if the asker owns the host. Raises NotFound or Forbidden."""
    known = op.kit.get(Owners, Owners())
    owner = known.get(name) or await session.scalar(_OWNER, {"host": name})
    if owner is None:
        raise NotFound(f"Host {name} has not reported itself yet.")
    known[name] = owner
    if owner != op.actor.user_id:
        raise Forbidden(f"Host {name} belongs to another agent.")


_NAMED = select(table).where(table.c.name == bindparam("host"))
_SEEN = (
    update(table)
    .where(table.c.id == bindparam("host"))
    .values(last_seen=bindparam("now", type_=table.c.last_seen.type))
)


async def report_host(session: Session, op: Op, name: str, report: HostReport) -> bool:
    """The host lives and has this; whether its tunnel address is new. Raises Forbidden for another user's host."""
    now, row = op.clock.now(), await session.first(_NAMED, {"host": name})
    told = _told(report)
    if row is None:
        fresh = {"id": new_id(), "name": name, "availability_zone": "nova", "enabled": True, "forced_down": False}
        fresh |= {"used_vcpus": 0, "used_memory_mb": 0, "used_disk_gb": 0, "claims": 0, "generation": 0}
        fresh |= {"agent_user_id": op.actor.user_id, "last_seen": now, "created_at": now, "updated_at": now}
        try:
            await session.run(insert(table), fresh | told)
        except Duplicate as error:
            raise Stale("The host has just been reported.", internal=name) from error
        return True
    if row.agent_user_id != op.actor.user_id:
        raise Forbidden(f"Host {name} belongs to another agent.")
    if any(getattr(row, field) != value for field, value in told.items()):
        values = told | {"last_seen": now, "generation": table.c.generation + 1, "updated_at": now}
        await session.run(update(table).where(table.c.id == row.id).values(values))
    else:
        await session.run(_SEEN, {"host": row.id, "now": now})
    return bool(row.tunnel_ip != report.tunnel_ip)


def _told(report: HostReport) -> dict[str, Any]:
    """A report as columns."""
    capacity = report.capacity
    return {
        "hypervisor_type": capacity.hypervisor_type,
        "hypervisor_version": capacity.hypervisor_version,
        "cpu_info": capacity.cpu_info,
        "vcpus": capacity.vcpus,
        "memory_mb": capacity.memory_mb,
        "disk_gb": capacity.disk_gb,
        "features": sorted({*report.hypervisor_features, *report.switch_features}),
        "tunnel_ip": report.tunnel_ip,
        "version": report.version,
    }


async def set_host(session: Session, op: Op, host_id: str, **changes: Any) -> Host:
    """Change `enabled`, `disabled_reason`, `forced_down` or `availability_zone` of a host. Raises NotFound."""
    if unknown := changes.keys() - {"enabled", "disabled_reason", "forced_down", "availability_zone"}:
        raise TypeError(f"set_host cannot change {unknown}")
    values = {**changes, "generation": table.c.generation + 1, "updated_at": op.clock.now()}
    await session.run(update(table).where(table.c.id == host_id).values(values))
    return await get_host(session, op, host_id)


async def claim(session: Session, op: Op, consumer: str, wanted: Wanted, random: Random = _RANDOM) -> Place:
    """A host with room for `wanted`, and the room taken; a consumer that has a claim gets the same host again.

    Raises NoValidHost with a trace of who failed what, Stale when others were quicker, Unavailable when a host would do
    that may not have found the time to report since the cloud started.
    """
    known, held = await rooms(session, op, consumer)
    if held is not None:
        return _place(held)
    fit, trace = choose(known, wanted, random)
    if not fit:
        if _has_just_started(op) and (not known or choose([replace(r, alive=True) for r in known], wanted, random)[0]):
            raise Unavailable("The hosts have not reported yet since the cloud started.")
        raise NoValidHost(f"No valid host was found. {trace}")
    for room in fit[:CANDIDATES]:
        if await _take(session, op, room, consumer, wanted):
            return _place(room)
    raise Stale("Others took the room on the hosts that had some; please try again.")


def _has_just_started(op: Op) -> bool:
    since: int = op.kit.get(Listening, Listening()).since
    return op.clock.now() < since + op.use(PlacementSettings).silent_after_s * SECOND


def _place(room: Room) -> Place:
    return Place(room.id, room.name, room.availability_zone)


_USED = (table.c.used_vcpus, table.c.used_memory_mb, table.c.used_disk_gb)
_HAS = (table.c.vcpus, table.c.memory_mb, table.c.disk_gb)
_ROOMS = select(
    claims.c.consumer,
    table.c.id,
    table.c.name,
    table.c.availability_zone,
    table.c.enabled,
    and_(table.c.forced_down.is_(False), table.c.last_seen >= bindparam("since", type_=table.c.last_seen.type)),
    *_HAS,
    *_USED,
).select_from(table.outerjoin(claims, and_(claims.c.host_id == table.c.id, claims.c.consumer == bindparam("consumer"))))


async def rooms(session: Session, op: Op, consumer: str) -> tuple[list[Room], Room | None]:
    """Every host as the planner sees it, and the one on which the consumer has a claim."""
    settings, known, held = op.use(PlacementSettings), [], None
    promises: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    for claimed, host, name, zone, enabled, alive, *has, vcpus, memory_mb, disk_gb in await session.all(
        _ROOMS, {"since": _since(op), "consumer": consumer}
    ):
        capacity = tuple(has)
        if capacity not in promises:  # hosts are much alike
            promises[capacity] = _promised(settings, *capacity)
        known.append(Room(host, name, zone, enabled, alive, *promises[capacity], vcpus, memory_mb, disk_gb))
        held = known[-1] if claimed is not None else held
    return known, held


_WANTED = {name: bindparam(f"wanted_{name}", type_=table.c[name].type) for name in ("vcpus", "memory_mb", "disk_gb")}
_TAKE = (
    update(table)
    .where(table.c.id == bindparam("host"), table.c.enabled.is_(True), table.c.forced_down.is_(False))
    .where(*(table.c[f"used_{n}"] + w <= bindparam(f"room_{n}", type_=table.c[n].type) for n, w in _WANTED.items()))
    .values(
        {
            **{f"used_{name}": table.c[f"used_{name}"] + wanted for name, wanted in _WANTED.items()},
            "claims": table.c.claims + 1,
            "generation": table.c.generation + 1,
        }
    )
)
_CLAIM = insert(claims)


async def _take(session: Session, op: Op, room: Room, consumer: str, wanted: Wanted) -> bool:
    take = {"vcpus": wanted.vcpus, "memory_mb": wanted.memory_mb, "disk_gb": wanted.disk_gb}
    params: dict[str, Any] = {"host": room.id}
    for name, amount in take.items():
        params |= {f"wanted_{name}": amount, f"room_{name}": getattr(room, name)}
    changed = await session.run(_TAKE, params)
    if changed:
        row = {"consumer": consumer, "host_id": room.id, "created_at": op.clock.now()}
        row |= {"project_id": op.actor.project_id or "", "user_id": op.actor.user_id}
        await session.run(_CLAIM, row | take)
    return bool(changed)


async def release(session: Session, op: Op, consumer: str) -> None:  # noqa: ARG001 - doors take an Op
    """Give a consumer's claim back. Without one it is done."""
    held = await session.first(select(claims).where(claims.c.consumer == consumer))
    if held is None or not await session.run(delete(claims).where(claims.c.consumer == consumer)):
        return
    use = table.c
    await session.run(
        update(table)
        .where(use.id == held.host_id)
        .values(
            used_vcpus=use.used_vcpus - held.vcpus,
            used_memory_mb=use.used_memory_mb - held.memory_mb,
            used_disk_gb=use.used_disk_gb - held.disk_gb,
            claims=use.claims - 1,
            generation=use.generation + 1,
        )
    )


async def claims_of(session: Session, host_id: str | None = None, consumer: str | None = None) -> list[Any]:
    """The claims on a host, or of a consumer, or all."""
    statement = select(claims)
    if host_id is not None:
        statement = statement.where(claims.c.host_id == host_id)
    if consumer is not None:
        statement = statement.where(claims.c.consumer == consumer)
    return await session.all(statement.order_by(claims.c.consumer))


async def audit(session: Session) -> list[str]:
    """A sentence for every host whose kept usage is not the sum of its claims; none is ever expected."""
    columns = (claims.c.vcpus, claims.c.memory_mb, claims.c.disk_gb)
    counted = {
        host: (int(n), *map(int, sums))
        for host, n, *sums in await session.all(
            select(claims.c.host_id, func.count(), *(func.sum(c) for c in columns)).group_by(claims.c.host_id)
        )
    }
    kept = await session.all(
        select(
            table.c.id, table.c.name, table.c.claims, table.c.used_vcpus, table.c.used_memory_mb, table.c.used_disk_gb
        )
    )
    return [
        f"host {name} keeps {tuple(values)} claims, vCPUs, MB and GB as used, its claims say {counted.get(host)}"
        for host, name, *values in kept
        if tuple(values) != counted.get(host, (0, 0, 0, 0))
    ]
