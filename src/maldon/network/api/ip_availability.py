"""Handlers of IP availability: how many addresses of each network's pools are used."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from maldon.kernel.op import Op, Session
from maldon.network.collection import Below, find, narrowed
from maldon.network.models.network import networks
from maldon.network.models.port import fixed_ips
from maldon.network.models.subnet import subnets
from maldon.network.plan.addresses import size
from maldon.network.views.network import NETWORKS
from maldon.web.request import Reply, Request, json

SUBNETS = Below(select(subnets).order_by(subnets.c.created_at), subnets.c.network_id)
_USED = Below(
    select(fixed_ips.c.subnet_id, func.count().label("n")).group_by(fixed_ips.c.subnet_id), fixed_ips.c.subnet_id
)


async def _figures(session: Session, rows: Sequence[Any], versions: Sequence[str]) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    below = await SUBNETS.of(session, ids)
    subnet_ids = [s.id for some in below.values() for s in some]
    used = {subnet: counted.n for subnet, (counted,) in (await _USED.of(session, subnet_ids)).items()}
    figures = []
    for row in rows:
        there = [s for s in below.get(row.id, ()) if not versions or str(s.ip_version) in versions]
        parts = [
            {
                "subnet_id": s.id,
                "subnet_name": s.name,
                "cidr": s.cidr,
                "ip_version": s.ip_version,
                "total_ips": size(s.pools),
                "used_ips": used.get(s.id, 0),
            }
            for s in there
        ]
        figures.append(
            {
                "network_id": row.id,
                "network_name": row.name,
                "project_id": row.project_id,
                "tenant_id": row.project_id,
                "total_ips": sum(p["total_ips"] for p in parts),
                "used_ips": sum(p["used_ips"] for p in parts),
                "subnet_ip_availability": parts,
            }
        )
    return figures


async def listing(request: Request, op: Op) -> Reply:
    op.may("get_network_ip_availability")
    statement = select(networks).order_by(networks.c.id)
    for name, column in (
        ("network_id", "id"),
        ("network_name", "name"),
        ("project_id", "project_id"),
        ("tenant_id", "project_id"),
    ):
        if values := request.params(name):
            statement = statement.where(networks.c[column].in_(values))
    async with op.db.read() as session:
        figures = await _figures(session, await session.all(statement), request.params("ip_version"))
    return json({"network_ip_availabilities": narrowed(figures, request.params("fields"))})


async def shown(request: Request, op: Op) -> Reply:
    op.may("get_network_ip_availability")
    async with op.db.read() as session:
        row = await find(session, op, NETWORKS, request.path["id"])
        (figure,) = await _figures(session, [row], request.params("ip_version"))
    return json({"network_ip_availability": figure})
