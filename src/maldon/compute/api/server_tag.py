"""A server's tags: at most fifty words to find it by."""

from urllib.parse import quote

import msgspec
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert

from maldon.compute.models.server import server_tags
from maldon.compute.schemas.server import Tag, Tags
from maldon.compute.verbs.server import change_server, find_server, tags_of
from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_P = "os_compute_api:os-server-tags:"
MOST = 50


def _since(op: Op) -> None:
    if op.version < (2, 26):
        raise NotFound("The resource could not be found.")


async def _tags(session: Session, op: Op, request: Request, rule: str) -> tuple[str, list[str]]:
    server = await find_server(session, op, request.path["id"], _P + rule)
    return server.id, (await tags_of(session, [server.id])).get(server.id, [])


async def index(request: Request, op: Op) -> Reply:
    _since(op)
    async with op.db.read() as session:
        _, tags = await _tags(session, op, request, "index")
    return json({"tags": tags})


async def show(request: Request, op: Op) -> Reply:
    _since(op)
    async with op.db.read() as session:
        server_id, tags = await _tags(session, op, request, "show")
    if request.path["tag"] not in tags:
        raise NotFound(f"Server {server_id} has no tag '{request.path['tag']}'")
    return empty()


async def replace(request: Request, op: Op) -> Reply:
    _since(op)
    wanted = sorted(set((await request.load(Tags)).tags))
    async with op.db.begin() as session:
        await session.lock(f"server:{request.path['id']}")
        server_id, _ = await _tags(session, op, request, "update_all")
        await session.run(sql_delete(server_tags).where(server_tags.c.server_id == server_id))
        if wanted:
            await session.run(insert(server_tags), [{"server_id": server_id, "tag": tag} for tag in wanted])
        await change_server(session, op, server_id, {})
    return json({"tags": wanted})


async def put(request: Request, op: Op) -> Reply:
    _since(op)
    tag = request.path["tag"]
    try:
        msgspec.convert(tag, Tag)
    except msgspec.ValidationError:
        raise BadRequest(f"Tag '{tag[:64]}' is invalid: 1 to 60 characters without comma and slash.") from None
    async with op.db.begin() as session:
        await session.lock(f"server:{request.path['id']}")
        server_id, tags = await _tags(session, op, request, "update")
        if tag not in tags:
            if len(tags) >= MOST:
                raise BadRequest(f"The number of tags exceeded the per-server limit {MOST}")
            await session.run(insert(server_tags), {"server_id": server_id, "tag": tag})
            await change_server(session, op, server_id, {})
    location = ("Location", f"{request.base}/v2.1/servers/{server_id}/tags/{quote(tag, safe='')}")
    return empty(204 if tag in tags else 201, (location,))


async def delete(request: Request, op: Op) -> Reply:
    _since(op)
    tag = request.path["tag"]
    async with op.db.begin() as session:
        server_id, tags = await _tags(session, op, request, "delete")
        if tag not in tags:
            raise NotFound(f"Server {server_id} has no tag '{tag}'")
        where = (server_tags.c.server_id == server_id, server_tags.c.tag == tag)
        await session.run(sql_delete(server_tags).where(*where))
        await change_server(session, op, server_id, {})
    return empty()


async def clear(request: Request, op: Op) -> Reply:
    _since(op)
    async with op.db.begin() as session:
        server_id, _ = await _tags(session, op, request, "delete_all")
        await session.run(sql_delete(server_tags).where(server_tags.c.server_id == server_id))
        await change_server(session, op, server_id, {})
    return empty()
