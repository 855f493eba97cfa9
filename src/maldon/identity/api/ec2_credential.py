"""A user's EC2 credentials, named by their access keys as the older API has them."""

import secrets
from typing import Any

import msgspec
from sqlalchemy import select

from maldon.identity import lists, rows
from maldon.identity.api.credential import target
from maldon.identity.api.own import own_token, refuse_restricted
from maldon.identity.credential_keys import CredentialKeys
from maldon.identity.models.credential import credential
from maldon.identity.models.project import project
from maldon.identity.models.user import user
from maldon.identity.schemas.credential import CreateEc2
from maldon.identity.verbs import credential as verbs
from maldon.identity.views.credential import ec2 as view
from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json


async def index(request: Request, op: Op) -> Reply:
    user_id = request.path["user_id"]
    op.may("identity:ec2_list_credentials", target(user_id, None))
    refuse_restricted(await own_token(request, op))
    wanted = select(credential).where(credential.c.user_id == user_id, credential.c.type == verbs.EC2)
    async with op.db.read() as session:
        await rows.found(session, user, "user", user_id)
        found = await lists.page(session, wanted, credential, request)
    return lists.listed(request, "credentials", found, lambda row, base: view(row, _opened(op, row), base))


def _opened(op: Op, row: Any) -> dict[str, Any]:
    """What it holds; nothing when its key is gone."""
    blob = op.use(CredentialKeys).reveal(row.sealed)
    return {} if blob is None else verbs.fields(blob)


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:ec2_get_credential", target(request.path["user_id"], None))
    refuse_restricted(await own_token(request, op))
    async with op.db.read() as session:
        row = await _found(session, request)
    return _shown(request, op, row)


async def create(request: Request, op: Op) -> Reply:
    wanted, user_id = await request.load(CreateEc2), request.path["user_id"]
    op.may("identity:ec2_create_credential", target(user_id, wanted.tenant_id))
    own = await own_token(request, op)
    if own.token.delegation is not None and own.token.delegation.kind == "application_credential":
        refuse_restricted(own)
    keys = {"access": secrets.token_hex(16), "secret": secrets.token_hex(16), "trust_id": None}
    blob = {**keys, **verbs.bound(own, user_id, wanted.tenant_id)}
    values = {
        "user_id": user_id,
        "project_id": wanted.tenant_id,
        "type": verbs.EC2,
        "blob": msgspec.json.encode(blob).decode(),
    }
    async with op.db.begin() as session:
        await rows.found(session, user, "user", user_id)
        await rows.found(session, project, "project", wanted.tenant_id)
        row = await verbs.make(op, session, values)
    return _shown(request, op, row, 201)


async def remove(request: Request, op: Op) -> Reply:
    op.may("identity:ec2_delete_credential", target(request.path["user_id"], None))
    refuse_restricted(await own_token(request, op))
    async with op.db.begin() as session:
        row = await _found(session, request)
        await rows.remove(session, credential, "credential", row.id)
    return empty()


async def _found(session: Session, request: Request) -> Any:
    """The user's credential of the path. Raises NotFound."""
    access = request.path["credential_id"]
    row = await verbs.by_access(session, access)
    if row is None or row.user_id != request.path["user_id"]:
        raise NotFound(f"Could not find credential: {access[:64]}.")
    return row


def _shown(request: Request, op: Op, row: Any, status: int = 200) -> Reply:
    blob = op.use(CredentialKeys).need(row.sealed, f"credential {row.id}")
    return json({"credential": view(row, verbs.fields(blob), lists.api_base(request))}, status)
