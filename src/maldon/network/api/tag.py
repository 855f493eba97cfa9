"""Handlers of tags, the same for every kind of resource."""

from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.op import Op
from maldon.network.collection import Collection, asked_for, find
from maldon.network.schemas.body import Tag
from maldon.network.verbs.record import change
from maldon.web.request import Reply, Request, empty, json
from maldon.web.service import Handler

MOST = 50


class Tags(Struct, forbid_unknown_fields=True):
    tags: Annotated[list[Tag], Meta(max_length=MOST)]


def tag_routes(path: str, collection: Collection) -> dict[str, dict[str, tuple[Handler, str]]]:
    """The routes of one collection's tags."""
    reads, writes, drops = (f"{verb}_{collection.many}_tags" for verb in ("get", "update", "delete"))

    async def listing(request: Request, op: Op) -> Reply:
        op.may(reads)
        async with op.db.read() as session:
            row = await find(session, op, collection, request.path["id"])
        return json({"tags": row.tags})

    async def has(request: Request, op: Op) -> Reply:
        op.may(reads)
        async with op.db.read() as session:
            row = await find(session, op, collection, request.path["id"])
        _present(row, request.path["tag"])
        return empty()

    async def edit(request: Request, op: Op, rule: str, new: Callable[[Any], list[str]]) -> list[str]:
        async with op.db.begin() as session:
            row = await asked_for(session, request, op, collection, rule)
            tags = list(dict.fromkeys(new(row)))
            if len(tags) > MOST:
                raise BadRequest(f"A resource has at most {MOST} tags.")
            if tags != row.tags:
                await change(session, op, collection.table, row, {"tags": tags})
        return tags

    async def replace(request: Request, op: Op) -> Reply:
        wanted = (await request.load(Tags)).tags
        return json({"tags": await edit(request, op, writes, lambda _row: sorted(wanted))})

    async def extend(request: Request, op: Op) -> Reply:
        wanted = (await request.load(Tags)).tags
        return json({"tags": await edit(request, op, writes, lambda row: [*row.tags, *wanted])})

    async def add(request: Request, op: Op) -> Reply:
        tag = request.path["tag"]
        await edit(request, op, writes, lambda row: [*row.tags, tag])
        return empty(201)

    async def remove(request: Request, op: Op) -> Reply:
        tag = request.path["tag"]
        await edit(request, op, drops, lambda row: [t for t in _present(row, tag) if t != tag])
        return empty()

    async def clear(request: Request, op: Op) -> Reply:
        await edit(request, op, drops, lambda _row: [])
        return empty()

    return {
        f"{path}/{{id}}/tags": {
            "GET": (listing, reads),
            "PUT": (replace, writes),
            "POST": (extend, writes),
            "DELETE": (clear, drops),
        },
        f"{path}/{{id}}/tags/{{tag}}": {"GET": (has, reads), "PUT": (add, writes), "DELETE": (remove, drops)},
    }


def _present(row: Any, tag: str) -> list[str]:
    """The row's tags. Raises NotFound unless `tag` is among them."""
    tags: list[str] = row.tags
    if tag not in tags:
        raise NotFound(f"Tag {tag} could not be found.", kind="TagNotFound")
    return tags
