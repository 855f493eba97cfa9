"""Sharing: the owner names the projects, each of them accepts or rejects.

Whom an image is shared with is told to its owner, and to a member only as far as itself is concerned.
"""

from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy import update as sql_update

from maldon.image import catalogue
from maldon.image.models.member import members
from maldon.image.schemas.image import MOST
from maldon.image.schemas.member import MemberStatus, NewMember
from maldon.image.views import member as views
from maldon.kernel.errors import Conflict, Duplicate, Forbidden, NotFound, QuotaExceeded
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json


async def index(request: Request, op: Op) -> Reply:
    """GET /v2/images/{id}/members."""
    async with op.db.read() as session:
        row, target = await _shared(session, op, request)
        op.may("get_members", target)
        statement = select(members).where(members.c.image_id == row.id).order_by(members.c.created_at)
        if target["member_id"]:
            statement = statement.where(members.c.member_id == target["member_id"])
        found = await session.all(statement)
    return json({"members": [views.member(one) for one in found], "schema": "/v2/schemas/members"})


async def create(request: Request, op: Op) -> Reply:
    """POST /v2/images/{id}/members."""
    wanted = await request.load(NewMember)
    now = op.clock.now()
    async with op.db.begin() as session:
        await catalogue.lock(session, request.path["id"])
        row, target = await _shared(session, op, request)
        op.may("add_member", target)
        count = select(func.count()).select_from(members).where(members.c.image_id == row.id)
        if await session.scalar(count) >= MOST:
            raise QuotaExceeded(f"An image may be shared with {MOST} projects.")
        if await session.first(_one(row.id, wanted.member)):
            raise Conflict(f"The image is shared with {wanted.member} already.")
        values = {"image_id": row.id, "member_id": wanted.member, "status": "pending"}
        try:
            await session.run(insert(members).values(**values, created_at=now, updated_at=now))
        except Duplicate as error:
            raise Conflict(f"The image is shared with {wanted.member} already.") from error
        made = await session.first(_one(row.id, wanted.member))
    return json(views.member(made))


async def show(request: Request, op: Op) -> Reply:
    """GET /v2/images/{id}/members/{member_id}."""
    async with op.db.read() as session:
        row, target = await _shared(session, op, request)
        op.may("get_member", target)
        found = await _member(session, row, request, target)
    return json(views.member(found))


async def update(request: Request, op: Op) -> Reply:
    """PUT /v2/images/{id}/members/{member_id}."""
    wanted = await request.load(MemberStatus)
    async with op.db.begin() as session:
        await catalogue.lock(session, request.path["id"])
        row, target = await _shared(session, op, request)
        op.may("modify_member", {**target, "member_id": request.path["member_id"]})
        found = await _member(session, row, request, target)
        later = max(op.clock.now(), found.updated_at + 1)
        same = (members.c.image_id == row.id) & (members.c.member_id == found.member_id)
        await session.run(sql_update(members).where(same).values(status=wanted.status, updated_at=later))
        changed = await session.first(_one(row.id, found.member_id))
    return json(views.member(changed))


async def remove(request: Request, op: Op) -> Reply:
    """DELETE /v2/images/{id}/members/{member_id}."""
    async with op.db.begin() as session:
        await catalogue.lock(session, request.path["id"])
        row, target = await _shared(session, op, request)
        op.may("delete_member", target)
        found = await _member(session, row, request, target)
        same = (members.c.image_id == row.id) & (members.c.member_id == found.member_id)
        await session.run(delete(members).where(same))
    return empty()


async def _shared(session: Session, op: Op, request: Request) -> tuple[Any, dict[str, Any]]:
    row, target = await catalogue.find(session, op, request.path["id"])
    if row.visibility != "shared":
        raise Forbidden("Only shared images have members.")
    return row, target


async def _member(session: Session, row: Any, request: Request, target: dict[str, Any]) -> Any:
    """One share. Raises NotFound, also for a member who asks for another one."""
    member_id = request.path["member_id"]
    asked_by_another = target["member_id"] not in {"", member_id}
    found = None if asked_by_another else await session.first(_one(row.id, member_id))
    if found is None:
        raise NotFound(f"{member_id} not found in the member list of the image {row.id}.")
    return found


def _one(image_id: str, member_id: str) -> Any:
    return select(members).where((members.c.image_id == image_id) & (members.c.member_id == member_id))
