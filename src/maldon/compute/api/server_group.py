"""Server groups: list, create, show, delete."""

from sqlalchemy import select

from maldon.compute.api.offered import only_parameters
from maldon.compute.models.server_group import server_groups
from maldon.compute.schemas import server_group as schemas
from maldon.compute.verbs import server_group as verbs
from maldon.compute.views import server_group as views
from maldon.kernel.errors import Forbidden
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json, whole

_P = "os_compute_api:os-server-groups:"
MOST = 1000


async def index(request: Request, op: Op) -> Reply:
    op.may(_P + "index")
    only_parameters(request, op, {"all_projects", "limit", "offset"})
    statement = select(server_groups).order_by(server_groups.c.created_at, server_groups.c.id)
    # The parameter's presence counts, whatever its value; who may not see all sees the own ones.
    if request.param("all_projects") is None or not op.can(_P + "index:all_projects"):
        statement = statement.where(server_groups.c.project_id == (op.actor.project_id or ""))
    limit = min(whole(request.param("limit", "0") or "", "limit") or MOST, MOST)
    offset = whole(request.param("offset", "0") or "", "offset")
    async with op.db.read() as session:
        # By offset, as the API has it: a project's groups are few.
        found = await session.all(statement.limit(limit).offset(offset))
        members = await verbs.members_of(session, [group.id for group in found]) if found else {}
    return json({"server_groups": [views.full(group, members.get(group.id, ()), op.version) for group in found]})


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        group = await verbs.find_group(session, op, request.path["id"], _P + "show")
        members = await verbs.members_of(session, [group.id])
    return json({"server_group": views.full(group, members.get(group.id, ()), op.version)})


async def create(request: Request, op: Op) -> Reply:
    op.may(_P + "create")
    if not op.actor.project_id:
        raise Forbidden("A server group belongs to a project; the token has none.")
    name, policy, most = schemas.create(await request.load(schemas.CreateServerGroup), op.version)
    async with op.db.begin() as session:
        group = await verbs.create_group(session, op, name, policy, most)
    return json({"server_group": views.full(group, (), op.version)})


async def delete(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        group = await verbs.find_group(session, op, request.path["id"], _P + "delete")
        await verbs.delete_group(session, group.id)
    return empty(204)
