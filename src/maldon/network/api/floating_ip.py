"""Handlers of floating IPs."""

from functools import partial
from typing import Any

from maldon.kernel.op import Op, Session
from maldon.network.collection import asked_for, find, index, show
from maldon.network.policies.rules import GUARDED
from maldon.network.schemas import router as schemas
from maldon.network.schemas.body import load_one
from maldon.network.verbs import floating_ip as verbs
from maldon.network.verbs.quota import check_quota
from maldon.network.verbs.record import guard, owner
from maldon.network.views.network import NETWORKS
from maldon.network.views.port import PORTS
from maldon.network.views.router import FLOATING_IPS, floating
from maldon.web.request import Reply, Request, empty, json

listing = partial(index, FLOATING_IPS)
shown = partial(show, FLOATING_IPS)


async def _port(session: Session, op: Op, port_id: str | None) -> Any:
    return None if not port_id else await find(session, op, PORTS, port_id)


async def create(request: Request, op: Op) -> Reply:
    given = await load_one(request, "floatingip", schemas.FloatingCreate)
    project_id = owner(op, given, "create_floatingip")
    asked = {name: value for name, value in given.items() if value is not None}
    guard(op, "create_floatingip", asked, GUARDED["floatingip"], {"project_id": project_id})
    async with op.db.begin() as session:
        await find(session, op, NETWORKS, given["floating_network_id"])
        await check_quota(session, op, project_id, "floatingip")
        port = await _port(session, op, given["port_id"])
        row = await verbs.create_floating(session, op, given, project_id, port)
    return json({"floatingip": floating(row)}, 201)


async def update(request: Request, op: Op) -> Reply:
    given = await load_one(request, "floatingip", schemas.FloatingUpdate)
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, FLOATING_IPS, "update_floatingip")
        port_id = given.get("port_id", row.port_id if given.get("fixed_ip_address") else None)
        row = await verbs.point(session, op, row, given, await _port(session, op, port_id))
    return json({"floatingip": floating(row)})


async def delete(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, FLOATING_IPS, "delete_floatingip")
        await verbs.delete_floating(session, op, row)
    return empty()
