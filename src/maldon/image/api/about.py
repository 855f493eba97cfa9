"""What this image service is and has: versions, schemas, import methods, usage."""

from sqlalchemy import func, select

from maldon.image.models.image import images
from maldon.image.settings import ImageSettings
from maldon.image.uploads import UNFINISHED
from maldon.image.views.schema import SCHEMAS
from maldon.kernel.errors import NotFound
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json

# 2.8, 2.10 and 2.11 are several stores, 2.14 is the cache of Glance's own hosts, from 2.16 on it is locations.
VERSIONS = ("2.13", "2.12", "2.9", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0")


async def choices(request: Request, op: Op) -> Reply:
    """GET /."""
    return await versions(request, op, 300)


async def versions(request: Request, _op: Op, status: int = 200) -> Reply:
    """GET /versions."""
    links = [{"rel": "self", "href": f"{request.base}/v2/"}]
    known = [
        {"id": f"v{version}", "status": "SUPPORTED" if number else "CURRENT", "links": links}
        for number, version in enumerate(VERSIONS)
    ]
    return json({"versions": known}, status)


async def schema(request: Request, _op: Op) -> Reply:
    """GET /v2/schemas/{name}."""
    name = request.path["name"]
    if name not in SCHEMAS:
        raise NotFound(f"There is no schema {name!r}; there are {', '.join(SCHEMAS)}.")
    return json(SCHEMAS[name])


async def import_methods(_request: Request, _op: Op) -> Reply:
    """GET /v2/info/import."""
    told = {"description": "Import methods available.", "type": "array", "value": ["glance-direct"]}
    return json({"import-methods": told})


async def usage(_request: Request, op: Op) -> Reply:
    """GET /v2/info/usage: sizes are in MiB, as the limits of Glance are."""
    settings = op.use(ImageSettings)
    own = images.c.owner == (op.actor.project_id or "")
    by_status = select(images.c.status, func.count(), func.coalesce(func.sum(images.c.size), 0))
    async with op.db.read() as session:
        rows = await session.all(by_status.where(own).group_by(images.c.status))
    counted = {status: (count, int(size) >> 20) for status, count, size in rows}
    limit = settings.bytes_per_project
    totals = {
        "image_count_total": (settings.images_per_project, sum(count for count, _ in counted.values())),
        "image_size_total": (limit if limit < 0 else limit >> 20, sum(size for _, size in counted.values())),
        "image_stage_total": (limit if limit < 0 else limit >> 20, counted.get("uploading", (0, 0))[1]),
        "image_count_uploading": (-1, sum(counted.get(status, (0, 0))[0] for status in UNFINISHED)),
    }
    return json({"usage": {name: {"limit": most, "usage": used} for name, (most, used) in totals.items()}})
