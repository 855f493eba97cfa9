"""Aggregates: list, create, show, change, delete, and which hosts are in them."""

from collections.abc import Awaitable, Callable

from msgspec import UNSET

from maldon.compute.api.offered import offered
from maldon.compute.schemas import aggregate as schemas
from maldon.compute.verbs import aggregate as verbs
from maldon.compute.verbs.aggregate import Aggregate
from maldon.compute.views import aggregate as views
from maldon.kernel.errors import NotFound, NotOffered
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json, whole

_P = "os_compute_api:os-aggregates:"


def _id(request: Request) -> int:
    """The number in the path. Raises BadRequest for what is none, NotFound for one that no aggregate can have."""
    text = request.path["id"]
    if text.startswith("-") and text[1:].isdecimal():
        raise NotFound(f"Aggregate {text} could not be found.")
    return whole(text, "aggregate_id")


async def index(_request: Request, op: Op) -> Reply:
    op.may(_P + "index")
    async with op.db.read() as session:
        found = await verbs.all_aggregates(session)
    return json({"aggregates": [views.full(aggregate, op.version) for aggregate in found]})


async def show(request: Request, op: Op) -> Reply:
    op.may(_P + "show")
    async with op.db.read() as session:
        aggregate = await verbs.find_aggregate(session, _id(request))
    return json({"aggregate": views.full(aggregate, op.version)})


async def create(request: Request, op: Op) -> Reply:
    op.may(_P + "create")
    wanted = schemas.create(await request.load(schemas.CreateAggregate))
    async with op.db.begin() as session:
        aggregate = await verbs.create_aggregate(session, op, wanted.name, wanted.availability_zone)
    return json({"aggregate": views.created(aggregate, op.version)})


async def update(request: Request, op: Op) -> Reply:
    op.may(_P + "update")
    wanted = schemas.update(await request.load(schemas.UpdateAggregate))

    async def change(session: Session, aggregate: Aggregate) -> None:
        if wanted.name is not UNSET:
            await verbs.rename_aggregate(session, op, aggregate, wanted.name)
        if wanted.availability_zone is not UNSET:
            await verbs.set_properties(session, op, aggregate, {verbs.ZONE: wanted.availability_zone})

    return await _changed(request, op, change)


async def act(request: Request, op: Op) -> Reply:
    op.may(_P + "show")
    action = schemas.act(await request.load(schemas.AggregateAction))

    async def change(session: Session, aggregate: Aggregate) -> None:
        if action.add_host is not UNSET:
            op.may(_P + "add_host")
            await verbs.add_host(session, op, aggregate, action.add_host.host)
        elif action.remove_host is not UNSET:
            op.may(_P + "remove_host")
            await verbs.remove_host(session, op, aggregate, action.remove_host.host)
        elif action.set_metadata is not UNSET:
            op.may(_P + "set_metadata")
            await verbs.set_properties(session, op, aggregate, action.set_metadata.metadata)

    return await _changed(request, op, change)


async def _changed(request: Request, op: Op, change: Callable[[Session, Aggregate], Awaitable[None]]) -> Reply:
    """The aggregate after a change."""
    aggregate_id = _id(request)
    async with op.db.begin() as session:
        await verbs.hold_aggregates(session)
        await change(session, await verbs.find_aggregate(session, aggregate_id))
        aggregate = await verbs.find_aggregate(session, aggregate_id)
    return json({"aggregate": views.full(aggregate, op.version)})


async def delete(request: Request, op: Op) -> Reply:
    op.may(_P + "delete")
    async with op.db.begin() as session:
        await verbs.hold_aggregates(session)
        await verbs.delete_aggregate(session, await verbs.find_aggregate(session, _id(request)))
    return empty(200)


async def cache_images(request: Request, op: Op) -> Reply:
    op.may("compute:aggregates:images")
    offered(op, (2, 81))
    await request.load(schemas.CacheImages)
    async with op.db.read() as session:
        await verbs.find_aggregate(session, _id(request))
    raise NotOffered("Hosts of this cloud fetch an image with the first server that needs it, not ahead of that.")
