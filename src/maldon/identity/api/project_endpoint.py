"""Endpoints that are given to projects one by one."""

from sqlalchemy import select

from maldon.identity import lists, rows
from maldon.identity.api import project as projects
from maldon.identity.models.catalog import endpoint
from maldon.identity.models.endpoint_filter import project_endpoint
from maldon.identity.models.project import project
from maldon.identity.verbs.endpoint_filter import endpoints_of
from maldon.identity.verifier import bump
from maldon.identity.views.catalog import endpoint as view
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty

_NOT_GIVEN = "This endpoint was not given to this project."


async def index(request: Request, op: Op) -> Reply:
    """Those given to a project, alone or in groups."""
    op.may("identity:list_endpoints_for_project")
    async with op.db.read() as session:
        row = await rows.found(session, project, "project", request.path["project_id"])
        found = await lists.page(session, await endpoints_of(session, row.id), endpoint, request)
    return lists.listed(request, "endpoints", found, view)


async def projects_with(request: Request, op: Op) -> Reply:
    """The projects that an endpoint was given to."""
    op.may("identity:list_projects_for_endpoint")
    async with op.db.read() as session:
        row = await rows.found(session, endpoint, "endpoint", request.path["endpoint_id"])
        those = select(project_endpoint.c.project_id).where(project_endpoint.c.endpoint_id == row.id)
        found = await lists.page(session, select(project).where(project.c.id.in_(those)), project, request)
        return await projects.listed(session, request, found)


def _pair(request: Request) -> dict[str, str]:
    return {name: request.path[name] for name in ("project_id", "endpoint_id")}


async def check(request: Request, op: Op) -> Reply:
    op.may("identity:check_endpoint_in_project")
    async with op.db.read() as session:
        await rows.need(session, project_endpoint, _pair(request), _NOT_GIVEN)
    return empty()


async def give(request: Request, op: Op) -> Reply:
    op.may("identity:add_endpoint_to_project")
    async with op.db.begin() as session:
        await bump(op, session)
        await rows.found(session, endpoint, "endpoint", request.path["endpoint_id"])
        await rows.found(session, project, "project", request.path["project_id"])
        await rows.ensure(session, project_endpoint, _pair(request))
    return empty()


async def take(request: Request, op: Op) -> Reply:
    op.may("identity:remove_endpoint_from_project")
    async with op.db.begin() as session:
        await bump(op, session)
        await rows.drop(session, project_endpoint, _pair(request), _NOT_GIVEN)
    return empty()
