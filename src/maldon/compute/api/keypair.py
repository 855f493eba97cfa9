"""Keypairs: list, make or import, show, delete. They belong to users, not to projects."""

import asyncio
from typing import TYPE_CHECKING

from msgspec import UNSET

from maldon.compute.api.offered import only_parameters
from maldon.compute.models.keypair import keypairs
from maldon.compute.schemas import keypair as schemas
from maldon.compute.schemas.keypair import KeypairWanted
from maldon.compute.verbs import keypair as verbs
from maldon.compute.views import keypair as views
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.store.paging import Page, fetch
from maldon.web.paging import next_link, page_of
from maldon.web.request import Reply, Request, empty, json

if TYPE_CHECKING:
    from maldon.compute.plan.keys import Key

_P = "os_compute_api:os-keypairs:"
PAGED, TYPED, FOR_OTHERS = (2, 35), (2, 2), (2, 10)


def _owner(request: Request, op: Op, rule: str, user_id: str | None) -> str:
    """Whose keypairs are meant; since 2.10 admins may name another user."""
    named = (user_id or request.param("user_id")) if op.version >= FOR_OTHERS else None
    owner = named or op.actor.user_id
    op.may(_P + rule, {"user_id": owner})
    return owner


async def index(request: Request, op: Op) -> Reply:
    paged = op.version >= PAGED
    only_parameters(request, op, {"user_id", "limit", "marker"})
    owner = _owner(request, op, "index", None)
    page = page_of(request, ["name"], [("name", "asc")]) if paged else Page(sort=(("name", "asc"),))
    unknown = BadRequest(f"Keypair {page.marker} not found for user {owner}: it is no marker.")
    async with op.db.read() as session:
        found = await fetch(session, verbs.MINE, page, [(keypairs.c.name, "asc")], unknown, {"user_id": owner})
    body: dict[str, object] = {"keypairs": [{"keypair": views.brief(row, op.version)} for row in found]}
    if found and len(found) == page.limit:
        body["keypairs_links"] = [{"rel": "next", "href": next_link(request, found[-1].name)}]
    return json(body)


async def create(request: Request, op: Op) -> Reply:
    wanted = schemas.create(await request.load(schemas.CreateKeypair), op.version)
    owner = _owner(request, op, "create", None if wanted.user_id is UNSET else wanted.user_id)
    key = await _key(wanted, op)
    async with op.db.begin() as session:
        await verbs.create_keypair(session, op, owner, wanted.name, key)
        row = await verbs.get_keypair(session, owner, wanted.name)
    shown = views.created(row, key.private, op.version)
    return json({"keypair": shown}, 201 if op.version >= TYPED else 200)


async def _key(wanted: KeypairWanted, op: Op) -> "Key":
    """The key that was brought; without one a new one, made in a thread because it takes a while."""
    from maldon.compute.plan import keys

    certificate = wanted.type == "x509"
    if wanted.public_key is not UNSET:
        return (keys.x509_key if certificate else keys.ssh_key)(wanted.public_key)
    if certificate:
        return await asyncio.to_thread(keys.new_x509_key, op.actor.user_name, op.clock.now() / SECOND)
    return await asyncio.to_thread(keys.new_ssh_key, "Generated-by-Maldon")


async def show(request: Request, op: Op) -> Reply:
    only_parameters(request, op, {"user_id"})
    owner = _owner(request, op, "show", None)
    async with op.db.read() as session:
        row = await verbs.get_keypair(session, owner, request.path["name"])
    return json({"keypair": views.full(row, op.version)})


async def delete(request: Request, op: Op) -> Reply:
    only_parameters(request, op, {"user_id"})
    owner = _owner(request, op, "delete", None)
    async with op.db.begin() as session:
        await verbs.delete_keypair(session, owner, request.path["name"])
    return empty(204 if op.version >= TYPED else 202)
