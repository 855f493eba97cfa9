"""Access rules of a user: made with application credentials, and left when those are gone."""

from sqlalchemy import select

from maldon.identity import lists, rows
from maldon.identity.api.application_credential import allowed
from maldon.identity.api.own import own_token, refuse_restricted
from maldon.identity.models.application_credential import access_rule
from maldon.identity.models.user import user
from maldon.identity.verbs import application_credential as verbs
from maldon.identity.views.application_credential import show_rule
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {name: access_rule.c[name] for name in ("service", "method", "path")}


async def index(request: Request, op: Op) -> Reply:
    user_id = allowed(request, op, "list_access_rules")
    wanted = select(access_rule).where(access_rule.c.user_id == user_id, *lists.conditions(request, _FILTERS))
    async with op.db.read() as session:
        await rows.found(session, user, "user", user_id)
        found = await lists.page(session, wanted, access_rule, request)
    return lists.listed(request, "access_rules", found, show_rule)


async def show(request: Request, op: Op) -> Reply:
    user_id = allowed(request, op, "get_access_rule")
    async with op.db.read() as session:
        row = await verbs.find_rule(session, user_id, request.path["access_rule_id"])
    return json({"access_rule": show_rule(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    user_id = allowed(request, op, "delete_access_rule")
    refuse_restricted(await own_token(request, op))
    await verbs.remove_rule(op, user_id, request.path["access_rule_id"])
    return empty()
