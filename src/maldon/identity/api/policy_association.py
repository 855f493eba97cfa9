"""Which endpoints a policy is for: named alone, by their service, or by their service in a region."""

from sqlalchemy import delete, select

from maldon.identity import lists, rows
from maldon.identity.models.catalog import endpoint
from maldon.identity.models.policy import policy, policy_association
from maldon.identity.verbs.policy_association import associate, endpoints_with, in_force, require
from maldon.identity.views.catalog import endpoint as endpoint_view
from maldon.identity.views.policy import policy as view
from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json


def rule_noun(path: dict[str, str]) -> str:
    """What the rules call an association of these."""
    if "region_id" in path:
        return "region_and_service"
    return "service" if "service_id" in path else "endpoint"


def _what(request: Request) -> dict[str, str]:
    return {name: id_ for name, id_ in request.path.items() if name != "policy_id"}


def _may(op: Op, verb: str, what: dict[str, str]) -> None:
    op.may(f"identity:{verb}_policy_association_for_{rule_noun(what)}")


async def check(request: Request, op: Op) -> Reply:
    what = _what(request)
    _may(op, "check", what)
    async with op.db.read() as session:
        await rows.found(session, policy, "policy", request.path["policy_id"])
        await require(session, request.path["policy_id"], what)
    return empty()


async def put(request: Request, op: Op) -> Reply:
    what = _what(request)
    _may(op, "create", what)
    async with op.db.begin() as session:
        await associate(session, request.path["policy_id"], what)
    return empty()


async def remove(request: Request, op: Op) -> Reply:
    what = _what(request)
    _may(op, "delete", what)
    async with op.db.begin() as session:
        await rows.found(session, policy, "policy", request.path["policy_id"])
        id_ = await require(session, request.path["policy_id"], what)
        await session.run(delete(policy_association).where(policy_association.c.id == id_))
    return empty()


async def of_endpoint(request: Request, op: Op) -> Reply:
    """The policy in force for an endpoint."""
    op.may("identity:get_policy_for_endpoint")
    async with op.db.read() as session:
        of = await rows.found(session, endpoint, "endpoint", request.path["endpoint_id"])
        row = await in_force(session, of)
    return json({"policy": view(row, lists.api_base(request))})


async def of_policy(request: Request, op: Op) -> Reply:
    """The policy, if it is associated with anything."""
    op.may("identity:get_policy_for_endpoint")
    async with op.db.read() as session:
        row = await rows.found(session, policy, "policy", request.path["policy_id"])
        if await rows.first(session, policy_association, {"policy_id": row.id}) is None:
            raise NotFound(f"The policy {row.id} is not associated with anything.")
    return json({"policy": view(row, lists.api_base(request))})


async def endpoints(request: Request, op: Op) -> Reply:
    """The endpoints that a policy is in force for."""
    op.may("identity:list_endpoints_for_policy")
    async with op.db.read() as session:
        row = await rows.found(session, policy, "policy", request.path["policy_id"])
        wanted = select(endpoint).where(endpoint.c.id.in_(await endpoints_with(session, row.id)))
        found = await lists.page(session, wanted, endpoint, request)
    return lists.listed(request, "endpoints", found, endpoint_view)
