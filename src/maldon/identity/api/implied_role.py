"""Which role implies which."""

from typing import Any

from sqlalchemy import select

from maldon.identity import lists, revocations, rows
from maldon.identity.models.role import implied_role, role
from maldon.identity.verifier import bump
from maldon.identity.views.role import brief
from maldon.kernel.errors import Forbidden
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_MISSING = "{} does not imply {}."


async def rules(request: Request, op: Op) -> Reply:
    """Every role that implies others, with those."""
    op.may("identity:list_role_inference_rules")
    async with op.db.read() as session:
        by_id = {row.id: row for row in await session.all(select(role))}
        pairs = await session.all(select(implied_role).order_by(implied_role.c.prior_id))
    base = lists.api_base(request)
    found: dict[str, list[Any]] = {}
    for pair in pairs:
        found.setdefault(pair.prior_id, []).append(brief(by_id[pair.implied_id], base))
    shown = [{"prior_role": brief(by_id[prior], base), "implies": implied} for prior, implied in found.items()]
    return json({"role_inferences": shown, "links": {"self": f"{base}/role_inferences"}})


async def index(request: Request, op: Op) -> Reply:
    """What one role implies directly."""
    op.may("identity:list_implied_roles")
    async with op.db.read() as session:
        prior = await rows.found(session, role, "role", request.path["role_id"])
        implied = select(implied_role.c.implied_id).where(implied_role.c.prior_id == prior.id)
        found = await session.all(select(role).where(role.c.id.in_(implied)).order_by(role.c.id))
    base = lists.api_base(request)
    inference = {"prior_role": brief(prior, base), "implies": [brief(row, base) for row in found]}
    return json({"role_inference": inference, "links": {"self": f"{base}/roles/{prior.id}/implies"}})


async def _both(session: Session, request: Request) -> tuple[Any, Any]:
    prior = await rows.found(session, role, "role", request.path["role_id"])
    return prior, await rows.found(session, role, "role", request.path["implied_role_id"])


def _shown(request: Request, prior: Any, implied: Any, status: int) -> Reply:
    base = lists.api_base(request)
    inference = {"prior_role": brief(prior, base), "implies": brief(implied, base)}
    where = f"{base}/roles/{prior.id}/implies/{implied.id}"
    return json({"role_inference": inference, "links": {"self": where}}, status)


def _pair(prior_id: str, implied_id: str) -> dict[str, str]:
    return {"prior_id": prior_id, "implied_id": implied_id}


async def _need(session: Session, prior_id: str, implied_id: str) -> None:
    await rows.need(session, implied_role, _pair(prior_id, implied_id), _MISSING.format(prior_id, implied_id))


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:get_implied_role")
    async with op.db.read() as session:
        prior, implied = await _both(session, request)
        await _need(session, prior.id, implied.id)
    return _shown(request, prior, implied, 200)


async def check(request: Request, op: Op) -> Reply:
    op.may("identity:check_implied_role")
    async with op.db.read() as session:
        await _need(session, request.path["role_id"], request.path["implied_role_id"])
    return empty()


async def put(request: Request, op: Op) -> Reply:
    """A role of the whole cloud implies no role of a domain, and nothing implies admin."""
    op.may("identity:create_implied_role")
    async with op.db.begin() as session:
        await bump(op, session)
        prior, implied = await _both(session, request)
        if prior.id == implied.id:
            raise Forbidden("A role cannot imply itself.")
        if implied.domain_id and not prior.domain_id:
            raise Forbidden("A role of the whole cloud cannot imply the role of a domain.")
        if implied.name == "admin" and not implied.domain_id:
            raise Forbidden("The role admin cannot be implied.")
        await rows.ensure(session, implied_role, _pair(prior.id, implied.id))
    return _shown(request, prior, implied, 201)


async def remove(request: Request, op: Op) -> Reply:
    op.may("identity:delete_implied_role")
    async with op.db.begin() as session:
        await bump(op, session)
        prior, implied = request.path["role_id"], request.path["implied_role_id"]
        await rows.drop(session, implied_role, _pair(prior, implied), _MISSING.format(prior, implied))
        await revocations.note(op, session, {"role_id": implied})
    return empty()
