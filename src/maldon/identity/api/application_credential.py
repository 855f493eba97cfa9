"""Application credentials of a user. The secret is told once, when one is made."""

import secrets

from sqlalchemy import select

from maldon.identity import lists, rows
from maldon.identity.api.own import own_token, refuse_restricted
from maldon.identity.models.application_credential import application_credential
from maldon.identity.models.user import user
from maldon.identity.passwords import Passwords
from maldon.identity.schemas.application_credential import CreateApplicationCredential
from maldon.identity.schemas.fields import load, moment
from maldon.identity.verbs import application_credential as verbs
from maldon.identity.views import application_credential as views
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json

_t = application_credential


def allowed(request: Request, op: Op, rule: str) -> str:
    """The id of the user of the path, if the rule allows. Raises Forbidden."""
    user_id = request.path["user_id"]
    op.may(f"identity:{rule}", {"target.user.id": user_id})
    return user_id


async def create(request: Request, op: Op) -> Reply:
    """For the project of the asker's token."""
    allowed(request, op, "create_application_credential")
    wanted, _ = await load(request, "application_credential", CreateApplicationCredential)
    own = await own_token(request, op)
    refuse_restricted(own)
    ends_at = moment(wanted.expires_at, "expires_at")
    if ends_at is not None and ends_at <= op.clock.now():
        raise BadRequest("expires_at must be in the future.")
    secret = wanted.secret or secrets.token_urlsafe(64)
    hashed = await op.use(Passwords).hash(secret)
    row, roles, rules = await verbs.create(op, own, wanted, hashed, ends_at)
    shown = views.show(row, roles, rules, lists.api_base(request)) | {"secret": secret}
    return json({"application_credential": shown}, 201)


async def index(request: Request, op: Op) -> Reply:
    user_id = allowed(request, op, "list_application_credentials")
    wanted = select(_t).where(_t.c.user_id == user_id, *lists.conditions(request, {"name": _t.c.name}))
    async with op.db.read() as session:
        await rows.found(session, user, "user", user_id)
        found = await lists.page(session, wanted, _t, request)
        ids = [row.id for row in found]
        roles, rules = await verbs.roles_of(session, ids), await verbs.rules_of(session, ids)
    return lists.listed(
        request,
        "application_credentials",
        found,
        lambda row, base: views.show(row, roles.get(row.id, []), rules.get(row.id, []), base),
    )


async def show(request: Request, op: Op) -> Reply:
    user_id, id_ = allowed(request, op, "get_application_credential"), request.path["application_credential_id"]
    async with op.db.read() as session:
        row = await verbs.find(session, user_id, id_)
        roles, rules = await verbs.roles_of(session, [id_]), await verbs.rules_of(session, [id_])
    shown = views.show(row, roles.get(id_, []), rules.get(id_, []), lists.api_base(request))
    return json({"application_credential": shown})


async def remove(request: Request, op: Op) -> Reply:
    user_id = allowed(request, op, "delete_application_credential")
    refuse_restricted(await own_token(request, op))
    await verbs.remove(op, user_id, request.path["application_credential_id"])
    return empty()
