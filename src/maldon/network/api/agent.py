"""What the network API says of hosts: agents, as its clients know them, and availability zones.

Nothing of this is stored: one node agent does the work of all kinds on its host.
"""

import uuid
from typing import Any

from maldon.kernel.clock import seconds_text
from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op
from maldon.network.collection import narrowed
from maldon.placement import service as placement
from maldon.web.request import Reply, Request, json

KINDS = {
    "DHCP agent": "dhcp_agent",
    "L3 agent": "l3_agent",
    "Linux bridge agent": "N/A",
    "Metadata agent": "N/A",
}
_SPACE = uuid.UUID("0b0a4a5e-3f5c-4a35-8d0f-6a2f3d1c9e77")


def _agents(hosts: list[placement.Host]) -> list[dict[str, Any]]:
    return [
        {
            "id": str(uuid.uuid5(_SPACE, f"{host.id}/{kind}")),
            "agent_type": kind,
            "binary": "maldon-node",
            "host": host.name,
            "topic": topic,
            "admin_state_up": host.enabled,
            "alive": host.alive,
            "availability_zone": host.availability_zone if topic != "N/A" else None,
            "configurations": {"tunneling_ip": host.tunnel_ip},
            "created_at": _time(host.created_at),
            "started_at": _time(host.created_at),
            "heartbeat_timestamp": _time(host.last_seen),
            "description": None,
            "resources_synced": None,
        }
        for host in hosts
        for kind, topic in KINDS.items()
    ]


def _time(at: int) -> str:
    return seconds_text(at).replace("T", " ")


async def listing(request: Request, op: Op) -> Reply:
    """The agents the asker may see: all or none."""
    if not op.can("get_agent"):
        return json({"agents": []})
    async with op.db.read() as session:
        agents = _agents(await placement.hosts(session, op))
    for name in ("id", "agent_type", "host", "binary", "alive", "admin_state_up", "availability_zone"):
        wanted = {value.lower() for value in request.params(name)}
        if wanted:
            agents = [a for a in agents if str(a[name]).lower() in wanted]
    return json({"agents": narrowed(agents, request.params("fields"))})


async def shown(request: Request, op: Op) -> Reply:
    op.may("get_agent")
    async with op.db.read() as session:
        agents = _agents(await placement.hosts(session, op))
    for agent in agents:
        if agent["id"] == request.path["id"]:
            return json({"agent": narrowed([agent], request.params("fields"))[0]})
    raise NotFound(f"Agent {request.path['id']} could not be found.", kind="AgentNotFound")


async def zones(request: Request, op: Op) -> Reply:
    op.may("get_availability_zone")
    async with op.db.read() as session:
        hosts = await placement.hosts(session, op)
    items = [
        {"name": name, "resource": resource, "state": "available"}
        for name in sorted({host.availability_zone for host in hosts if host.enabled})
        for resource in ("network", "router")
    ]
    return json({"availability_zones": narrowed(items, request.params("fields"))})


async def providers(_request: Request, op: Op) -> Reply:
    """There are none beside the reference ones, which have no name."""
    op.may("get_service_provider")
    return json({"service_providers": []})
