"""Tags on projects."""

from sqlalchemy import delete, insert

from maldon.identity import lists
from maldon.identity.api.project import guarded, put_tags, tags_lock, tags_of
from maldon.identity.models.project import project_tag
from maldon.identity.schemas.project import ReplaceTags
from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json

MOST = 80


async def index(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:list_project_tags")
        tags = await tags_of(session, [row.id])
    return json({"tags": tags.get(row.id, []), "links": lists.links(request)})


async def replace(request: Request, op: Op) -> Reply:
    wanted = await request.load(ReplaceTags)
    async with op.db.begin() as session:
        row = await guarded(session, op, request, "identity:update_project_tags")
        await put_tags(session, row.id, wanted.tags)
    return json({"tags": sorted(wanted.tags), "links": lists.links(request)})


async def clear(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await guarded(session, op, request, "identity:delete_project_tags")
        await put_tags(session, row.id, [])
    return empty()


async def check(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:get_project_tag")
        if request.path["tag"] not in (await tags_of(session, [row.id])).get(row.id, []):
            raise NotFound(f"Could not find project tag: {request.path['tag']}.")
    return empty()


async def put(request: Request, op: Op) -> Reply:
    tag = _checked(request.path["tag"])
    async with op.db.begin() as session:
        row = await guarded(session, op, request, "identity:create_project_tag")
        await session.lock(tags_lock(row.id))
        tags = (await tags_of(session, [row.id])).get(row.id, [])
        if tag not in tags and len(tags) >= MOST:
            raise BadRequest(f"A project may have {MOST} tags.")
        if tag not in tags:
            await session.run(insert(project_tag).values(project_id=row.id, name=tag))
    return Reply(201, b"", [("Location", f"{request.base}{request.url}")], "")


def _checked(tag: str) -> str:
    """A tag that the body of a project may hold too."""
    if not tag or "," in tag or "/" in tag:
        raise BadRequest("A tag has 1 to 255 characters and neither comma nor slash.")
    return tag


async def remove(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        row = await guarded(session, op, request, "identity:delete_project_tag")
        chosen = (project_tag.c.project_id == row.id) & (project_tag.c.name == request.path["tag"])
        if not await session.run(delete(project_tag).where(chosen)):
            raise NotFound(f"Could not find project tag: {request.path['tag']}.")
    return empty()
