"""Handlers of networks."""

from functools import partial

from maldon.kernel.op import Op
from maldon.network.collection import asked_for, index, show
from maldon.network.policies.rules import GUARDED
from maldon.network.schemas import network as schemas
from maldon.network.schemas.body import load_one, load_some
from maldon.network.verbs import network as verbs
from maldon.network.verbs.quota import check_quota
from maldon.network.verbs.record import guard, owner
from maldon.network.views.network import NETWORKS, PROVIDER, network, shape
from maldon.web.request import Reply, Request, empty, json

listing = partial(index, NETWORKS)
shown = partial(show, NETWORKS)


async def create(request: Request, op: Op) -> Reply:
    wanted, many = await load_some(request, "network", "networks", schemas.Create)
    owners = [owner(op, given, "create_network") for given in wanted]
    for given, project_id in zip(wanted, owners, strict=True):
        guard(op, "create_network", given, GUARDED["network"], {"project_id": project_id})
    async with op.db.begin() as session:
        for project_id in sorted(set(owners)):
            await check_quota(session, op, project_id, "network", owners.count(project_id))
        made = [await verbs.create_network(session, op, g, p) for g, p in zip(wanted, owners, strict=True)]
    items = [network(row, [], provider=op.can(PROVIDER)) for row in made]
    return json({"networks": items} if many else {"network": items[0]}, 201)


async def update(request: Request, op: Op) -> Reply:
    given = await load_one(request, "network", schemas.Update)
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, NETWORKS, "update_network")
        guard(op, "update_network", given, GUARDED["network"], {"project_id": row.project_id})
        row = await verbs.update_network(session, op, row, given)
        (item,) = await shape(session, op, [row])
    return json({"network": item})


async def delete(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, NETWORKS, "delete_network")
        await verbs.delete_network(session, op, row)
    return empty()
