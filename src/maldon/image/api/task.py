"""The imports of an image."""

from sqlalchemy import select

from maldon.image import catalogue
from maldon.image.models.task import tasks
from maldon.image.views.task import task
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json


async def index(request: Request, op: Op) -> Reply:
    """GET /v2/images/{id}/tasks."""
    async with op.db.read() as session:
        row, target = await catalogue.find(session, op, request.path["id"])
        op.may("get_image", target)
        found = await session.all(select(tasks).where(tasks.c.image_id == row.id).order_by(tasks.c.created_at))
    return json({"tasks": [task(one) for one in found]})
