"""A catalog that is written down elsewhere, put into our tables; nobody may change those by the API then."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from sqlalchemy import Table, delete, insert, select, update

from maldon.identity.models.catalog import endpoint, region, service
from maldon.identity.settings import OWN_CATALOG, IdentitySettings
from maldon.kernel.errors import Forbidden
from maldon.kernel.op import Op, Session
from maldon.ports.catalog import CatalogService

Rows = dict[str, dict[str, Any]]


def refuse_elsewhere(op: Op) -> None:
    """Raises Forbidden where the catalog is not ours to change."""
    kept = op.use(IdentitySettings).catalog
    if kept != OWN_CATALOG:
        raise Forbidden(f"The catalog of this cloud is kept elsewhere ({kept}): its operator changes it there.")


async def put_in_place(session: Session, services: Iterable[CatalogService]) -> bool:
    """Have the tables say this and nothing else; whether they said something else."""
    places, addresses, regions = _rows(list(services))
    known = {row.id for row in await session.all(select(region.c.id))}
    for id_ in sorted(regions - known):
        await session.run(insert(region).values(id=id_, description=""))
    changed = bool(regions - known)
    changed |= await _exactly(session, service, places)
    return await _exactly(session, endpoint, addresses) or changed


def _rows(services: list[CatalogService]) -> tuple[Rows, Rows, set[str]]:
    """Services, endpoints and regions; ids follow from what a thing is, so they are the same at every start."""
    places: Rows = {}
    addresses: Rows = {}
    for one in services:
        service_id = _id("service", one.type, one.name)
        places[service_id] = {"type": one.type, "name": one.name, "enabled": True}
        for interface, url in one.urls.items():
            where = {"service_id": service_id, "region_id": one.region, "interface": interface}
            addresses[_id("endpoint", service_id, one.region, interface)] = {**where, "url": url, "enabled": True}
    return places, addresses, {one.region for one in services}


def _id(*words: str) -> str:
    return sha256("\0".join(words).encode()).hexdigest()[:32]


async def _exactly(session: Session, table: Table, wanted: Rows) -> bool:
    """These rows; whether they were not there already."""
    stored = {row.id: row for row in await session.all(select(table))}
    changed = False
    for id_ in stored.keys() - wanted.keys():
        await session.run(delete(table).where(table.c.id == id_))
        changed = True
    for id_, values in wanted.items():
        row = stored.get(id_)
        if row is None:
            await session.run(insert(table).values(id=id_, **values))
        elif any(getattr(row, name) != value for name, value in values.items()):
            await session.run(update(table).where(table.c.id == id_).values(**values))
        else:
            continue
        changed = True
    return changed
