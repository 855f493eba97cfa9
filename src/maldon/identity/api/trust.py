"""Trusts, their roles. Who is neither trustor nor trustee learns nothing of them."""

from typing import Any

from sqlalchemy import select

from maldon.identity import lists
from maldon.identity.api.own import own_token, refuse_restricted
from maldon.identity.models.trust import trust
from maldon.identity.schemas.fields import load, moment
from maldon.identity.schemas.trust import CreateTrust
from maldon.identity.verbs import trust as verbs
from maldon.identity.views import trust as views
from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_RULES = {"trustor_user_id": "identity:list_trusts_for_trustor", "trustee_user_id": "identity:list_trusts_for_trustee"}


async def create(request: Request, op: Op) -> Reply:
    wanted, _ = await load(request, "trust", CreateTrust)
    ends_at = moment(wanted.expires_at, "expires_at")
    op.may("identity:create_trust", {"target.trust.trustor_user_id": wanted.trustor_user_id})
    own = await own_token(request, op)
    if own.token.delegation is None or own.token.delegation.kind != "trust":
        refuse_restricted(own)
    row = await verbs.create(op, own, wanted, ends_at)
    async with op.db.read() as session:
        roles = (await verbs.roles_of(session, [row.id])).get(row.id, [])
    return json({"trust": views.show(row, roles, lists.api_base(request))}, 201)


async def index(request: Request, op: Op) -> Reply:
    """Of a trustor or a trustee; of everybody, for those who may."""
    given = {name: request.param(name) for name in _RULES if request.param(name) is not None}
    if not given:
        op.may("identity:list_trusts")
    elif not op.can("identity:list_trusts"):
        for name, user_id in given.items():
            op.may(_RULES[name], {f"target.trust.{name}": user_id})
    wanted = select(trust).where(verbs.usable(op.clock.now()), *(trust.c[name] == id_ for name, id_ in given.items()))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, trust, request)
    return lists.listed(request, "trusts", found, views.show_summary)


async def _guarded(session: Session, op: Op, request: Request, rule: str) -> Any:
    """The trust of the path, if the rule allows. Its ends hear that there is none any more, so everybody does."""
    row = await verbs.find(session, request.path["trust_id"], op.clock.now())
    ends = {"trustor_user_id": row.trustor_user_id, "trustee_user_id": row.trustee_user_id}
    op.may(rule, {f"target.trust.{name}": user_id for name, user_id in ends.items()})
    return row


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        row = await _guarded(session, op, request, "identity:get_trust")
        roles = (await verbs.roles_of(session, [row.id])).get(row.id, [])
    return json({"trust": views.show(row, roles, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    refuse_restricted(await own_token(request, op))
    async with op.db.begin() as session:
        row = await _guarded(session, op, request, "identity:delete_trust")
        await verbs.remove(op, session, row.id)
    return empty()


async def roles(request: Request, op: Op) -> Reply:
    found = await _roles(request, op, "identity:list_roles_for_trust")
    shown = [views.show_role(row, lists.api_base(request)) for row in found]
    return json({"roles": shown, "links": lists.links(request)})


async def role(request: Request, op: Op) -> Reply:
    for row in await _roles(request, op, "identity:get_role_for_trust"):
        if row.id == request.path["role_id"]:
            return json({"role": views.show_role(row, lists.api_base(request))})
    raise NotFound(f"Could not find role: {request.path['role_id']}.")


async def _roles(request: Request, op: Op, rule: str) -> list[Any]:
    async with op.db.read() as session:
        row = await _guarded(session, op, request, rule)
        return (await verbs.roles_of(session, [row.id])).get(row.id, [])
