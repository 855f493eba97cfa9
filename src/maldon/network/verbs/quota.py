"""Quotas are counted, not kept: usage is the number of rows, looked at within the transaction that adds one."""

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, func, select

from maldon.kernel.errors import QuotaExceeded
from maldon.kernel.op import Op, Session
from maldon.network.models.network import networks
from maldon.network.models.port import ports
from maldon.network.models.quota import quota_overrides
from maldon.network.models.router import floating_ips, routers
from maldon.network.models.security_group import security_group_rules, security_groups
from maldon.network.models.subnet import subnet_pools, subnets
from maldon.network.settings import settings

COUNTED: dict[str, Table] = {
    "network": networks,
    "subnet": subnets,
    "subnetpool": subnet_pools,
    "port": ports,
    "router": routers,
    "floatingip": floating_ips,
    "security_group": security_groups,
    "security_group_rule": security_group_rules,
}


def default_limit(op: Op, resource: str) -> int:
    """What a project without an override may have."""
    return int(getattr(settings(op), f"quota_{resource}"))


@cache
def _use_and_limit(resource: str) -> Select[Any]:
    table = COUNTED[resource]
    mine: ColumnElement[Any] = bindparam("project")
    used = select(func.count()).select_from(table).where(table.c.project_id == mine)
    override = select(quota_overrides.c.limit).where(
        quota_overrides.c.project_id == mine, quota_overrides.c.resource == resource
    )
    return select(used.scalar_subquery(), override.scalar_subquery())


async def check_quota(session: Session, op: Op, project_id: str, resource: str, more: int = 1) -> None:
    """Hold the project's other creations until the end of this one, and raise QuotaExceeded if `more` are too many."""
    await session.lock(f"quota:{project_id}")
    row = await session.first(_use_and_limit(resource), {"project": project_id})
    limit = row[1] if row[1] is not None else default_limit(op, resource)
    if 0 <= limit < row[0] + more:
        raise QuotaExceeded(f"Quota exceeded for resources: ['{resource}']: the limit is {limit}, {row[0]} are used.")
