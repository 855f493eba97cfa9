"""How limits bound one another where the settings say so: a project's is never higher than its domain's.

A domain without a limit of its own has the registered one. -1 is no limit. The sum of the projects' limits may exceed
the domain's: who counts what is used counts it for the domain too.
"""

from typing import Any

from sqlalchemy import select

from maldon.identity.models.limit import limit, registered_limit
from maldon.identity.models.project import project
from maldon.identity.settings import IdentitySettings
from maldon.kernel.errors import Forbidden
from maldon.kernel.op import Op, Session

_LIMITS = (
    select(limit.c.owner_id, limit.c.resource_limit, project.c.is_domain, project.c.domain_id)
    .join_from(limit, project, project.c.id == limit.c.owner_id)
    .order_by(limit.c.owner_id)
)


def deepest(op: Op) -> int:
    """How deep projects may lie."""
    settings = op.use(IdentitySettings)
    return 1 if settings.limits == "strict_two_level" else settings.project_depth


async def check(op: Op, session: Session, registered_limit_id: str) -> None:
    """Whether the limits of a resource agree, as they stand in this transaction. Raises Forbidden."""
    if op.use(IdentitySettings).limits != "strict_two_level":
        return
    chosen = select(registered_limit.c.default_limit).where(registered_limit.c.id == registered_limit_id)
    default = await session.scalar(chosen)
    rows = await session.all(_LIMITS.where(limit.c.registered_limit_id == registered_limit_id))
    domains = {row.owner_id: row.resource_limit for row in rows if row.is_domain}
    for row in rows:
        if not row.is_domain:
            _compare(row, domains.get(row.domain_id, default))


def _compare(row: Any, bound: int) -> None:
    if bound != -1 and not 0 <= row.resource_limit <= bound:
        raise Forbidden(
            f"Invalid resource limit: {row.resource_limit} of the project {row.owner_id} is more than the {bound} of "
            f"its domain {row.domain_id}."
        )
