"""A server's metadata: text by key, which the guest can read as well."""

from collections.abc import Callable, Mapping
from typing import Any

from maldon.compute.schemas.server import Meta_, Metadata, check_properties
from maldon.compute.verbs.guest import change_details
from maldon.compute.verbs.quota_set import quota_limits
from maldon.compute.verbs.server import change_server, check_unlocked, find_server
from maldon.kernel.errors import BadRequest, NotFound, QuotaExceeded
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json

_P = "os_compute_api:server-metadata:"
Change = Callable[[dict[str, str]], Mapping[str, str]]


async def _read(request: Request, op: Op, rule: str) -> dict[str, str]:
    async with op.db.read() as session:
        server = await find_server(session, op, request.path["id"], _P + rule)
    properties: dict[str, str] = server.properties
    return properties


async def _write(request: Request, op: Op, rule: str, change: Change) -> dict[str, str]:
    """Replace the metadata by what `change` makes of it, on the row and for the guest."""
    async with op.db.begin() as session:
        await session.lock(f"server:{request.path['id']}")
        server = await find_server(session, op, request.path["id"], _P + rule)
        check_unlocked(server, op)
        after = dict(change(dict(server.properties)))
        limit = (await quota_limits(session, op, server.project_id)).get("metadata_items", -1)
        if 0 <= limit < len(after) and len(after) > len(server.properties):
            raise QuotaExceeded(f"Maximum number of metadata items exceeds {limit}")
        await change_server(session, op, server.id, {"properties": after})
        await change_details(session, op, server.id, properties=after)
    return after


async def index(request: Request, op: Op) -> Reply:
    return json({"metadata": await _read(request, op, "index")})


async def show(request: Request, op: Op) -> Reply:
    key, properties = request.path["key"], await _read(request, op, "show")
    if key not in properties:
        raise NotFound("Metadata item was not found")
    return json({"meta": {key: properties[key]}})


async def merge(request: Request, op: Op) -> Reply:
    more = (await request.load(Metadata)).metadata
    check_properties(more)
    return json({"metadata": await _write(request, op, "create", lambda before: {**before, **more})})


async def replace(request: Request, op: Op) -> Reply:
    after = (await request.load(Metadata)).metadata
    check_properties(after)
    return json({"metadata": await _write(request, op, "update_all", lambda _: after)})


async def put(request: Request, op: Op) -> Reply:
    meta, key = (await request.load(Meta_)).meta, request.path["key"]
    check_properties(meta)
    if key not in meta:
        raise BadRequest("Request body and URI mismatch")
    await _write(request, op, "update", lambda before: {**before, **meta})
    return json({"meta": meta})


async def delete(request: Request, op: Op) -> Reply:
    key = request.path["key"]

    def without(before: dict[str, str]) -> dict[str, Any]:
        if key not in before:
            raise NotFound("Metadata item was not found")
        return {k: v for k, v in before.items() if k != key}

    await _write(request, op, "delete", without)
    return empty()
