"""Policy documents that are kept here for other services. What they say is theirs to understand."""

from sqlalchemy import select

from maldon.identity import lists, rows
from maldon.identity.models.policy import policy
from maldon.identity.schemas.fields import given, load
from maldon.identity.schemas.policy import CreatePolicy, UpdatePolicy
from maldon.identity.views.policy import policy as view
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {"type": policy.c.type}
_FIELDS = ("type", "blob")


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_policies")
    wanted = select(policy).where(*lists.conditions(request, _FILTERS))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, policy, request)
    return lists.listed(request, "policies", found, view)


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:get_policy")
    async with op.db.read() as session:
        row = await rows.found(session, policy, "policy", request.path["policy_id"])
    return json({"policy": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "policy", CreatePolicy)
    op.may("identity:create_policy")
    values = given(wanted, *_FIELDS) | {"id": new_hex_id(), "extra": extra or None}
    async with op.db.begin() as session:
        row = await rows.add(session, policy, "policy", values)
    return json({"policy": view(row, lists.api_base(request))}, 201)


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "policy", UpdatePolicy)
    op.may("identity:update_policy")
    id_ = request.path["policy_id"]
    async with op.db.begin() as session:
        row = await rows.found(session, policy, "policy", id_)
        values = given(wanted, *_FIELDS) | {"extra": rows.merged(row.extra, extra)}
        row = await rows.change(session, policy, "policy", id_, values)
    return json({"policy": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    """With what it was associated with."""
    op.may("identity:delete_policy")
    async with op.db.begin() as session:
        await rows.remove(session, policy, "policy", request.path["policy_id"])
    return empty()
