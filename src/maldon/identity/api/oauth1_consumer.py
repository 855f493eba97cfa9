"""OAuth consumers: programs that users may let act for them."""

from sqlalchemy import select

from maldon.identity import lists, revocations, rows
from maldon.identity.credential_keys import CredentialKeys
from maldon.identity.models.oauth1 import consumer
from maldon.identity.schemas.fields import given, load
from maldon.identity.schemas.oauth1 import Consumer
from maldon.identity.verbs.oauth1 import new_secret
from maldon.identity.verifier import bump
from maldon.identity.views.oauth1 import consumer as view
from maldon.kernel.errors import BadRequest
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_consumers")
    async with op.db.read() as session:
        found = await lists.page(session, select(consumer), consumer, request)
    return lists.listed(request, "consumers", found, view)


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:get_consumer")
    async with op.db.read() as session:
        row = await rows.found(session, consumer, "consumer", request.path["consumer_id"])
    return json({"consumer": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    """The secret is told now and never again."""
    wanted, extra = await load(request, "consumer", Consumer)
    op.may("identity:create_consumer")
    secret = new_secret()
    sealed = op.use(CredentialKeys).hide(secret)
    values = {"id": new_hex_id(), "sealed": sealed, "extra": extra or None, **given(wanted, "description")}
    async with op.db.begin() as session:
        row = await rows.add(session, consumer, "consumer", values)
    return json({"consumer": view(row, lists.api_base(request)) | {"secret": secret}}, 201)


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "consumer", Consumer)
    op.may("identity:update_consumer")
    if "secret" in extra:
        raise BadRequest("The secret of a consumer cannot be changed. Delete it and make another.")
    id_ = request.path["consumer_id"]
    async with op.db.begin() as session:
        row = await rows.found(session, consumer, "consumer", id_)
        values = given(wanted, "description") | {"extra": rows.merged(row.extra, extra)}
        row = await rows.change(session, consumer, "consumer", id_, values)
    return json({"consumer": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    """With every token of it."""
    op.may("identity:delete_consumer")
    async with op.db.begin() as session:
        await bump(op, session)
        await rows.remove(session, consumer, "consumer", request.path["consumer_id"])
        await revocations.note(op, session, {"consumer_id": request.path["consumer_id"]})
    return empty()
