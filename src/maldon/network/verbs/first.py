"""The networks a new cloud starts with. May be repeated: what is there is left as it is."""

import uuid
from typing import Any

from sqlalchemy import select

from maldon.kernel.op import Op, Session
from maldon.network.models.network import networks
from maldon.network.verbs.network import create_network, create_subnet
from maldon.network.verbs.router import add_subnet, create_router

_SPACE = uuid.UUID("3a1f6c0e-52a7-4d4b-8a0b-0f6c9c6f5d21")


async def ensure_public_network(op: Op, *, name: str, cidr: str, gateway: str, pool: tuple[str, str]) -> str:
    """The external network that servers are reached over; its id. Whoever asks owns it."""
    network_id = str(uuid.uuid5(_SPACE, f"public/{name}"))
    async with op.db.begin() as session:
        if await _there(session, network_id) is not None:
            return network_id
        given = {"name": name, "router:external": True, "is_default": True}
        row = await create_network(session, op, given, op.actor.project_id or "", network_id)
        subnet = {
            "name": f"{name}-subnet",
            "cidr": cidr,
            "gateway_ip": gateway,
            "enable_dhcp": False,
            "allocation_pools": [{"start": pool[0], "end": pool[1]}],
        }
        await create_subnet(session, op, subnet, op.actor.project_id or "", row)
    return network_id


async def ensure_private_network(op: Op, project_id: str, name: str, cidr: str, router_name: str) -> str:
    """A network of the project behind a router to the default external network; its id."""
    network_id = str(uuid.uuid5(_SPACE, f"private/{project_id}/{name}"))
    async with op.db.begin() as session:
        if await _there(session, network_id) is not None:
            return network_id
        row = await create_network(session, op, {"name": name}, project_id, network_id)
        subnet = await create_subnet(session, op, {"name": f"{name}-subnet", "cidr": cidr}, project_id, row)
        outside = await session.scalar(
            select(networks.c.id).where(networks.c.external.is_(True), networks.c.is_default.is_(True)).limit(1)
        )
        wanted: dict[str, Any] = {
            "name": router_name,
            "admin_state_up": True,
            "external_gateway_info": {"network_id": outside} if outside else None,
        }
        router = await create_router(session, op, wanted, project_id)
        await add_subnet(session, op, router, subnet, row)
    return network_id


async def _there(session: Session, network_id: str) -> Any:
    await session.lock("first-networks")
    return await session.first(select(networks.c.id).where(networks.c.id == network_id))
