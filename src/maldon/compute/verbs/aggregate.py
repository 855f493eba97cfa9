"""Aggregates within a transaction. A host is in at most one zone, which is what the aggregates it is in say.

Whoever changes aggregates holds one lock, so two changes cannot put a host into two zones. A host that has servers
keeps its zone: they were promised it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from maldon.compute.models.aggregate import aggregate_hosts, aggregates
from maldon.compute.settings import ComputeSettings
from maldon.kernel.errors import BadRequest, CloudError, Conflict, Duplicate, NotFound
from maldon.kernel.ids import new_id
from maldon.kernel.op import Op, Session
from maldon.placement import service as placement
from maldon.placement.service import Host

ZONE = "availability_zone"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate and its hosts."""

    id: int
    uuid: str
    name: str
    properties: dict[str, str]
    created_at: int
    updated_at: int | None
    hosts: list[str]

    @property
    def zone(self) -> str | None:
        return self.properties.get(ZONE)


async def all_aggregates(session: Session) -> list[Aggregate]:
    """Every aggregate, oldest first. Two statements."""
    members: dict[int, list[str]] = {}
    for row in await session.all(select(aggregate_hosts).order_by(aggregate_hosts.c.host)):
        members.setdefault(row.aggregate_id, []).append(row.host)
    rows = await session.all(select(aggregates).order_by(aggregates.c.id))
    return [Aggregate(**row._mapping, hosts=members.get(row.id, [])) for row in rows]  # noqa: SLF001 - public name


async def find_aggregate(session: Session, aggregate_id: int) -> Aggregate:
    """Raises NotFound."""
    for aggregate in await all_aggregates(session):
        if aggregate.id == aggregate_id:
            return aggregate
    raise NotFound(f"Aggregate {aggregate_id} could not be found.", kind="AggregateNotFound")


async def hold_aggregates(session: Session) -> None:
    """Wait for other changes of aggregates; keep them waiting until the end of the transaction."""
    await session.lock("aggregates")


async def create_aggregate(session: Session, op: Op, name: str, zone: str | None) -> Aggregate:
    """Raises Duplicate."""
    await hold_aggregates(session)
    await _check_name(session, name)
    uuid, properties = new_id(), {ZONE: zone} if zone else {}
    row = {"uuid": uuid, "name": name, "properties": properties, "created_at": op.clock.now()}
    await session.run(insert(aggregates), row)
    made = await session.scalar(select(aggregates.c.id).where(aggregates.c.uuid == uuid))
    return await find_aggregate(session, made)


async def _check_name(session: Session, name: str) -> None:
    if await session.first(select(aggregates.c.id).where(aggregates.c.name == name)) is not None:
        raise Duplicate(f"Aggregate {name} already exists.")


async def rename_aggregate(session: Session, op: Op, aggregate: Aggregate, name: str) -> None:
    """Raises Duplicate."""
    if name != aggregate.name:
        await _check_name(session, name)
    await _change(session, op, aggregate, {"name": name})


async def set_properties(session: Session, op: Op, aggregate: Aggregate, changes: Mapping[str, str | None]) -> None:
    """Merge metadata; None removes. A new zone is the zone of the hosts from now on. Raises BadRequest."""
    merged = {key: value for key, value in {**aggregate.properties, **changes}.items() if value is not None}
    if merged.get(ZONE) != aggregate.zone:
        if merged.get(ZONE) == "" or ":" in merged.get(ZONE, ""):
            raise BadRequest("The name of an availability zone must not be empty or hold a colon.")
        known = {host.name: host for host in await placement.hosts(session, op)}
        for name in aggregate.hosts:
            if name in known:
                await _move(session, op, known[name], aggregate, merged.get(ZONE), BadRequest)
    await _change(session, op, aggregate, {"properties": merged})


async def _change(session: Session, op: Op, aggregate: Aggregate, values: Mapping[str, Any]) -> None:
    await session.run(
        update(aggregates).where(aggregates.c.id == aggregate.id).values(**values, updated_at=op.clock.now())
    )


async def _move(
    session: Session, op: Op, host: Host, aggregate: Aggregate, zone: str | None, refused: type[CloudError]
) -> None:
    """Put a host into the zone that `aggregate` says, if its other aggregates and its servers let it."""
    others = [a for a in await all_aggregates(session) if host.name in a.hosts and a.id != aggregate.id and a.zone]
    if zone and others and others[0].zone != zone:
        raise refused(
            f"Cannot change aggregate {aggregate.name}: host {host.name} is in availability zone {others[0].zone} by "
            f"aggregate {others[0].name}, and a host can be in one only."
        )
    goal = zone or (others[0].zone if others else None) or op.use(ComputeSettings).default_zone
    if goal == host.availability_zone:
        return
    if host.claims:
        raise refused(
            f"Cannot change aggregate {aggregate.name}: host {host.name} has {host.claims} servers, and they stay in "
            f"availability zone {host.availability_zone}."
        )
    await placement.set_host(session, op, host.id, availability_zone=goal)


async def _known_host(session: Session, op: Op, name: str) -> Host:
    for host in await placement.hosts(session, op):
        if host.name == name:
            return host
    raise NotFound(f"Compute host {name} could not be found.", kind="ComputeHostNotFound")


async def add_host(session: Session, op: Op, aggregate: Aggregate, name: str) -> None:
    """Raises NotFound, and Conflict for a host that is in already or in another zone."""
    host = await _known_host(session, op, name)
    if name in aggregate.hosts:
        raise Conflict(f"Aggregate {aggregate.id} already has host {name}.")
    if aggregate.zone:
        await _move(session, op, host, aggregate, aggregate.zone, Conflict)
    await session.run(insert(aggregate_hosts), {"aggregate_id": aggregate.id, "host": name})


async def remove_host(session: Session, op: Op, aggregate: Aggregate, name: str) -> None:
    """Raises NotFound, and Conflict when the host's servers would lose their zone."""
    if name not in aggregate.hosts:
        raise NotFound(f"Aggregate {aggregate.id} has no host {name}.", kind="AggregateHostNotFound")
    if aggregate.zone:
        await _move(session, op, await _known_host(session, op, name), aggregate, None, Conflict)
    both = (aggregate_hosts.c.aggregate_id == aggregate.id, aggregate_hosts.c.host == name)
    await session.run(delete(aggregate_hosts).where(*both))


async def delete_aggregate(session: Session, aggregate: Aggregate) -> None:
    """Raises BadRequest while there are hosts in it."""
    if aggregate.hosts:
        raise BadRequest(f"Cannot delete aggregate {aggregate.id}: it is not empty; remove its hosts first.")
    await session.run(delete(aggregates).where(aggregates.c.id == aggregate.id))
