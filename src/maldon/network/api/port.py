"""Handlers of ports."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from maldon.kernel.op import Op, Session
from maldon.network.collection import asked_for, find, index, show
from maldon.network.policies.rules import GUARDED
from maldon.network.schemas import port as schemas
from maldon.network.schemas.body import load_one, load_some
from maldon.network.verbs import port as verbs
from maldon.network.verbs.quota import check_quota
from maldon.network.verbs.record import guard, owner
from maldon.network.views.network import NETWORKS
from maldon.network.views.port import BINDING, PORTS, port
from maldon.web.request import Reply, Request, empty, json

listing = partial(index, PORTS)
shown = partial(show, PORTS)


def _guard(op: Op, rule: str, given: Mapping[str, Any], project_id: str, network: Any) -> None:
    """The rules of what is given. Any member may say whose device it is, but not that it is the network's own."""
    target = {"project_id": project_id, "network:project_id": network.project_id}
    harmless = not str(given.get("device_owner") or "").startswith("network:")
    asked = {name: value for name, value in given.items() if not (name == "device_owner" and harmless)}
    guard(op, rule, asked, GUARDED["port"], target)
    if any("ip_address" in one for one in given.get("fixed_ips") or ()):
        op.may(f"{rule}:fixed_ips:ip_address", target)


def _shown(op: Op, made: verbs.Made) -> dict[str, Any]:
    return port(made.row, made.fixed, made.groups, binding=op.can(BINDING))


async def create(request: Request, op: Op) -> Reply:
    wanted, many = await load_some(request, "port", "ports", schemas.Create)
    owners = [owner(op, given, "create_port") for given in wanted]
    async with op.db.begin() as session:
        for project_id in sorted(set(owners)):
            await check_quota(session, op, project_id, "port", owners.count(project_id))
        made = [await _create(session, op, g, p) for g, p in zip(wanted, owners, strict=True)]
    items = [_shown(op, one) for one in made]
    return json({"ports": items} if many else {"port": items[0]}, 201)


async def _create(session: Session, op: Op, given: Mapping[str, Any], project_id: str) -> verbs.Made:
    network = await find(session, op, NETWORKS, given["network_id"])
    _guard(op, "create_port", given, project_id, network)
    if network.external and not network.shared:
        op.may("create_port", {"project_id": network.project_id})  # seen by all, for gateways and floating IPs only
    return await verbs.create_port(session, op, given, project_id=project_id, network=network)


async def update(request: Request, op: Op) -> Reply:
    given = await load_one(request, "port", schemas.Update)
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, PORTS, "update_port")
        network = await find(session, op, NETWORKS, row.network_id)
        _guard(op, "update_port", given, row.project_id, network)
        made = await verbs.update_port(session, op, row, given, network)
    return json({"port": _shown(op, made)})


async def delete(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await asked_for(session, request, op, PORTS, "delete_port")
        verbs.check_not_serving(row)
        await verbs.drop_port(session, op, row)
    return empty()
