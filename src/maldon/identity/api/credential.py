"""Credentials: whoever is no admin has those of their own.

They hold secrets with which their user can do everything, so what was delegated has nothing to do with them.
"""

from typing import Any

import msgspec
from sqlalchemy import select

from maldon.identity import lists, rows
from maldon.identity.api.own import own_token, refuse_restricted
from maldon.identity.credential_keys import CredentialKeys
from maldon.identity.models.credential import credential
from maldon.identity.schemas.credential import CreateCredential, UpdateCredential
from maldon.identity.schemas.fields import given, load
from maldon.identity.verbs import credential as verbs
from maldon.identity.verifier import Verified
from maldon.identity.views.credential import credential as view
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {"user_id": credential.c.user_id, "type": credential.c.type}
_FIELDS = ("user_id", "project_id", "type", "blob")


def target(user_id: str, project_id: str | None) -> dict[str, Any]:
    """What a rule may ask of a credential."""
    return {"target.credential.user_id": user_id, "target.credential.project_id": project_id}


async def _guarded(session: Session, op: Op, request: Request, rule: str) -> Any:
    """The row of the path. Raises NotFound, Forbidden."""
    row = await rows.found(session, credential, "credential", request.path["credential_id"])
    op.may(rule, target(row.user_id, row.project_id))
    return row


async def index(request: Request, op: Op) -> Reply:
    wanted = select(credential).where(*lists.conditions(request, _FILTERS))
    if not op.can("identity:list_credentials", {}):
        op.may("identity:list_credentials", target(op.actor.user_id, op.actor.project_id))
        wanted = wanted.where(credential.c.user_id == op.actor.user_id)
    refuse_restricted(await own_token(request, op))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, credential, request)
    reveal = op.use(CredentialKeys).reveal
    return lists.listed(request, "credentials", found, lambda row, base: view(row, reveal(row.sealed), base))


async def show(request: Request, op: Op) -> Reply:
    refuse_restricted(await own_token(request, op))
    async with op.db.read() as session:
        row = await _guarded(session, op, request, "identity:get_credential")
    return _shown(request, op, row)


def _shown(request: Request, op: Op, row: Any, status: int = 200) -> Reply:
    blob = op.use(CredentialKeys).need(row.sealed, f"credential {row.id}")
    return json({"credential": view(row, blob, lists.api_base(request))}, status)


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "credential", CreateCredential)
    op.may("identity:create_credential", target(wanted.user_id, wanted.project_id))
    own = await own_token(request, op)
    refuse_restricted(own)
    values = given(wanted, *_FIELDS) | {"extra": extra or None}
    if wanted.type == verbs.EC2:
        values["blob"] = _bound(own, wanted)
    async with op.db.begin() as session:
        row = await verbs.make(op, session, values)
    return _shown(request, op, row, 201)


def _bound(own: Verified, wanted: CreateCredential) -> str:
    """The blob of an EC2 credential, with what its maker's token is bound to and no word else of that."""
    found, binding = verbs.fields(wanted.blob), verbs.bound(own, wanted.user_id, wanted.project_id)
    for name in verbs.BOUND:
        if found.get(name) and found[name] != binding.get(name):
            raise BadRequest(f"{name} follows from the token that a credential is made with; it cannot be given.")
    return msgspec.json.encode({**found, **binding}).decode() if binding else wanted.blob


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "credential", UpdateCredential)
    refuse_restricted(await own_token(request, op))
    async with op.db.begin() as session:
        row = await _guarded(session, op, request, "identity:update_credential")
        values = given(wanted, *_FIELDS) | {"extra": rows.merged(row.extra, extra)}
        row = await verbs.change(op, session, row, values)
    return _shown(request, op, row)


async def remove(request: Request, op: Op) -> Reply:
    refuse_restricted(await own_token(request, op))
    async with op.db.begin() as session:
        row = await _guarded(session, op, request, "identity:delete_credential")
        await rows.remove(session, credential, "credential", row.id)
    return empty()
