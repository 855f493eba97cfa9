"""The scope that a login asks for."""

from typing import Any

from sqlalchemy import Select

from maldon.identity.named import chosen_domain, chosen_project
from maldon.identity.schemas.token import ScopeRef
from maldon.identity.standing import REFUSED
from maldon.identity.token import UNSCOPED, Scope
from maldon.kernel.errors import BadRequest, Unauthorized
from maldon.kernel.op import Op


async def named_scope(op: Op, shown: ScopeRef | str) -> Scope:
    """What the scope of a request names; a trust is none of these. Raises BadRequest, Unauthorized."""
    if isinstance(shown, str):
        return UNSCOPED
    given = [s for s in (shown.project, shown.domain, shown.system, shown.unscoped) if s is not None]
    if len(given) != 1:
        raise BadRequest("A scope is exactly one of project, domain, system, OS-TRUST:trust or unscoped.")
    if shown.system is not None:
        if not shown.system.all:
            raise BadRequest("The scope of the system is all of it.")
        return Scope("system")
    if shown.project is not None:
        return Scope("project", await _id_of(op, chosen_project(shown.project)))
    if shown.domain is not None:
        return Scope("domain", await _id_of(op, chosen_domain(shown.domain)))
    return UNSCOPED


async def _id_of(op: Op, chosen: Select[Any]) -> str:
    async with op.db.read() as session:
        id_ = await session.scalar(chosen)
    if id_ is None:
        raise Unauthorized(REFUSED, internal="there is no such project or domain")
    return str(id_)
