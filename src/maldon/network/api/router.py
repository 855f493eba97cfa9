"""Handlers of routers."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op, Session
from maldon.network.collection import allowed, asked_for, find, index, show
from maldon.network.policies.rules import GUARDED
from maldon.network.schemas import router as schemas
from maldon.network.schemas.body import load_one
from maldon.network.schemas.body import routes as checked_routes
from maldon.network.verbs import router as verbs
from maldon.network.verbs.quota import check_quota
from maldon.network.verbs.record import guard, owner
from maldon.network.views.network import NETWORKS
from maldon.network.views.port import PORTS
from maldon.network.views.router import ROUTERS, shape
from maldon.network.views.subnet import SUBNETS
from maldon.web.request import Reply, Request, empty, json

listing = partial(index, ROUTERS)
shown = partial(show, ROUTERS)


async def _guard(session: Session, op: Op, rule: str, given: Mapping[str, Any], project_id: str) -> None:
    """The rules of the way out that is asked for; its network must be one the asker sees."""
    gateway = given.get("external_gateway_info") or {}
    asked = {f"external_gateway_info:{name}": value for name, value in gateway.items()}
    guard(op, rule, asked, GUARDED["router"], {"project_id": project_id})
    if gateway.get("network_id"):
        await find(session, op, NETWORKS, gateway["network_id"])


async def create(request: Request, op: Op) -> Reply:
    given = await load_one(request, "router", schemas.Create)
    project_id = owner(op, given, "create_router")
    async with op.db.begin() as session:
        await _guard(session, op, "create_router", given, project_id)
        await check_quota(session, op, project_id, "router")
        row = await verbs.create_router(session, op, given, project_id)
        (item,) = await shape(session, op, [row])
    return json({"router": item}, 201)


async def update(request: Request, op: Op) -> Reply:
    given = await load_one(request, "router", schemas.Update)
    return await _change(request, op, given, "update_router")


async def _change(request: Request, op: Op, given: Mapping[str, Any], rule: str) -> Reply:
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, ROUTERS, rule)
        await _guard(session, op, "update_router", given, row.project_id)
        (item,) = await shape(session, op, [await verbs.update_router(session, op, row, given)])
    return json({"router": item})


async def delete(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, ROUTERS, "delete_router")
        await verbs.delete_router(session, op, row)
    return empty()


async def add_routes(request: Request, op: Op) -> Reply:
    return await _routes(request, op, "add_extraroutes")


async def remove_routes(request: Request, op: Op) -> Reply:
    return await _routes(request, op, "remove_extraroutes")


async def _routes(request: Request, op: Op, rule: str) -> Reply:
    """Add or take away, leaving the other routes alone."""
    wanted = checked_routes((await load_one(request, "router", schemas.ExtraRoutes))["routes"])
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, ROUTERS, rule)
        kept = [route for route in row.routes if route not in wanted]
        routes = [*kept, *wanted] if rule == "add_extraroutes" else kept
        (item,) = await shape(session, op, [await verbs.update_router(session, op, row, {"routes": routes})])
    return json({"router": item})


async def _leg(request: Request) -> tuple[str | None, str | None]:
    leg = await request.load(schemas.Leg)
    port_id, subnet_id = (v if isinstance(v, str) else None for v in (leg.port_id, leg.subnet_id))
    if port_id is None and subnet_id is None:
        raise BadRequest("Bad router request: Either subnet_id or port_id must be specified.")
    return port_id, subnet_id


async def add_interface(request: Request, op: Op) -> Reply:
    port_id, subnet_id = await _leg(request)
    if port_id and subnet_id:
        raise BadRequest("Bad router request: Cannot specify both subnet-id and port-id.")
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, ROUTERS, "add_router_interface")
        if subnet_id is not None:
            subnet = await find(session, op, SUBNETS, subnet_id)
            network = await find(session, op, NETWORKS, subnet.network_id)
            port_id, network_id = await verbs.add_subnet(session, op, row, subnet, network), network.id
            subnet_ids = [subnet_id]
        else:
            port = await allowed(session, op, PORTS, port_id or "", "update_port")
            network_id, subnet_ids = port.network_id, await verbs.add_port(session, op, row, port)
    return _interface(row, port_id or "", network_id, subnet_ids)


async def remove_interface(request: Request, op: Op) -> Reply:
    port_id, subnet_id = await _leg(request)
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, ROUTERS, "remove_router_interface")
        port, subnet_ids = await verbs.remove_leg(session, op, row, port_id=port_id, subnet_id=subnet_id)
    return _interface(row, port.id, port.network_id, subnet_ids)


def _interface(row: Any, port_id: str, network_id: str, subnet_ids: list[str]) -> Reply:
    return json(
        {
            "id": row.id,
            "tenant_id": row.project_id,
            "project_id": row.project_id,
            "port_id": port_id,
            "network_id": network_id,
            "subnet_id": subnet_ids[0] if subnet_ids else None,
            "subnet_ids": subnet_ids,
            "tags": row.tags,
        }
    )
