"""Handlers of subnet pools."""

from functools import partial

from maldon.kernel.op import Op
from maldon.network.collection import asked_for, index, show
from maldon.network.policies.rules import GUARDED
from maldon.network.schemas import subnet as schemas
from maldon.network.schemas.body import load_one
from maldon.network.verbs import subnet_pool as verbs
from maldon.network.verbs.quota import check_quota
from maldon.network.verbs.record import guard, owner
from maldon.network.views.subnet import SUBNET_POOLS, pool
from maldon.web.request import Reply, Request, empty, json

listing = partial(index, SUBNET_POOLS)
shown = partial(show, SUBNET_POOLS)


async def create(request: Request, op: Op) -> Reply:
    given = await load_one(request, "subnetpool", schemas.PoolCreate)
    project_id = owner(op, given, "create_subnetpool")
    guard(op, "create_subnetpool", given, GUARDED["subnetpool"], {"project_id": project_id})
    async with op.db.begin() as session:
        await check_quota(session, op, project_id, "subnetpool")
        row = await verbs.create_pool(session, op, given, project_id)
    return json({"subnetpool": pool(row)}, 201)


async def update(request: Request, op: Op) -> Reply:
    given = await load_one(request, "subnetpool", schemas.PoolUpdate)
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, SUBNET_POOLS, "update_subnetpool")
        guard(op, "update_subnetpool", given, GUARDED["subnetpool"], {"project_id": row.project_id})
        row = await verbs.update_pool(session, op, row, given)
    return json({"subnetpool": pool(row)})


async def delete(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, SUBNET_POOLS, "delete_subnetpool")
        await verbs.delete_pool(session, row)
    return empty()
