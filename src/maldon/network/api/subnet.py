"""Handlers of subnets."""

from functools import partial
from typing import Any

from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op, Session
from maldon.network.collection import allowed, asked_for, find, index, show
from maldon.network.schemas import subnet as schemas
from maldon.network.schemas.body import Given, load_one, load_some
from maldon.network.verbs import network as verbs
from maldon.network.verbs.quota import check_quota
from maldon.network.verbs.record import owner
from maldon.network.views.network import NETWORKS
from maldon.network.views.subnet import SUBNET_POOLS, SUBNETS, subnet
from maldon.web.request import Reply, Request, empty, json

listing = partial(index, SUBNETS)
shown = partial(show, SUBNETS)


async def create(request: Request, op: Op) -> Reply:
    wanted, many = await load_some(request, "subnet", "subnets", schemas.Create)
    owners = [owner(op, given, "create_subnet") for given in wanted]
    async with op.db.begin() as session:
        for project_id in sorted(set(owners)):
            await check_quota(session, op, project_id, "subnet", owners.count(project_id))
        made = [await _create(session, op, g, p) for g, p in zip(wanted, owners, strict=True)]
    items = [subnet(row) for row in made]
    return json({"subnets": items} if many else {"subnet": items[0]}, 201)


async def _create(session: Session, op: Op, given: Given, project_id: str) -> Any:
    """Subnets are made by the owner of the network."""
    row = await allowed(session, op, NETWORKS, given["network_id"], "create_subnet")
    if given.get("subnetpool_id"):
        await find(session, op, SUBNET_POOLS, given["subnetpool_id"])
    elif given.get("prefixlen") is not None:
        raise BadRequest("Bad subnets request: prefixlen needs a subnetpool_id.")
    return await verbs.create_subnet(session, op, given, project_id, row)


async def update(request: Request, op: Op) -> Reply:
    given = await load_one(request, "subnet", schemas.Update)
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, SUBNETS, "update_subnet")
        network = await find(session, op, NETWORKS, row.network_id)
        item = subnet(await verbs.update_subnet(session, op, row, given, network))
    return json({"subnet": item})


async def delete(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, SUBNETS, "delete_subnet")
        network = await find(session, op, NETWORKS, row.network_id)
        await verbs.delete_subnet(session, op, row, network)
    return empty()
