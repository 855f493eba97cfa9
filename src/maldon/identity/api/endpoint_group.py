"""Endpoint groups, and the projects they are given to."""

from typing import Any

import msgspec
from sqlalchemy import select

from maldon.identity import lists, rows
from maldon.identity.api import project as projects
from maldon.identity.models.catalog import endpoint
from maldon.identity.models.endpoint_filter import endpoint_group, project_endpoint_group
from maldon.identity.models.project import project
from maldon.identity.schemas.endpoint_group import CreateEndpointGroup, UpdateEndpointGroup
from maldon.identity.schemas.fields import given, load
from maldon.identity.verbs.endpoint_filter import groups_of, in_group
from maldon.identity.verifier import bump
from maldon.identity.views.catalog import endpoint as endpoint_view
from maldon.identity.views.endpoint_group import endpoint_group as view
from maldon.identity.views.project import show as project_view
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {"name": endpoint_group.c.name}
_given = project_endpoint_group
_NOT_GIVEN = "This endpoint group was not given to this project."


def _values(wanted: CreateEndpointGroup | UpdateEndpointGroup) -> dict[str, Any]:
    values = given(wanted, "name", "description", "filters")
    if "filters" in values:
        values["filters"] = msgspec.to_builtins(values["filters"])
    return values


async def _found(session: Session, request: Request) -> Any:
    return await rows.found(session, endpoint_group, "endpoint group", request.path["endpoint_group_id"])


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_endpoint_groups")
    wanted = select(endpoint_group).where(*lists.conditions(request, _FILTERS))
    async with op.db.read() as session:
        found = await lists.page(session, wanted, endpoint_group, request)
    return lists.listed(request, "endpoint_groups", found, view)


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:get_endpoint_group")
    async with op.db.read() as session:
        row = await _found(session, request)
    return json({"endpoint_group": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted, _ = await load(request, "endpoint_group", CreateEndpointGroup)
    op.may("identity:create_endpoint_group")
    async with op.db.begin() as session:
        values = {"id": new_hex_id(), **_values(wanted)}
        row = await rows.add(session, endpoint_group, "endpoint group", values)
    return json({"endpoint_group": view(row, lists.api_base(request))}, 201)


async def update(request: Request, op: Op) -> Reply:
    """Filters given replace those of the same name; the others stay."""
    wanted, _ = await load(request, "endpoint_group", UpdateEndpointGroup)
    op.may("identity:update_endpoint_group")
    async with op.db.begin() as session:
        await bump(op, session)
        old, values = await _found(session, request), _values(wanted)
        if "filters" in values:
            values["filters"] = {**old.filters, **values["filters"]}
        row = await rows.change(session, endpoint_group, "endpoint group", old.id, values)
    return json({"endpoint_group": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    op.may("identity:delete_endpoint_group")
    async with op.db.begin() as session:
        await bump(op, session)
        await rows.remove(session, endpoint_group, "endpoint group", request.path["endpoint_group_id"])
    return empty()


async def endpoints(request: Request, op: Op) -> Reply:
    """The endpoints that its filters find."""
    op.may("identity:list_endpoints_associated_with_endpoint_group")
    async with op.db.read() as session:
        wanted = select(endpoint).where(in_group((await _found(session, request)).filters))
        found = await lists.page(session, wanted, endpoint, request)
    return lists.listed(request, "endpoints", found, endpoint_view)


async def projects_with(request: Request, op: Op) -> Reply:
    """The projects it was given to."""
    op.may("identity:list_projects_associated_with_endpoint_group")
    async with op.db.read() as session:
        row = await _found(session, request)
        those = select(_given.c.project_id).where(_given.c.endpoint_group_id == row.id)
        found = await lists.page(session, select(project).where(project.c.id.in_(those)), project, request)
        return await projects.listed(session, request, found)


async def of_project(request: Request, op: Op) -> Reply:
    """The endpoint groups given to a project."""
    op.may("identity:list_endpoint_groups_for_project")
    async with op.db.read() as session:
        row = await rows.found(session, project, "project", request.path["project_id"])
        found = await lists.page(session, groups_of(row.id), endpoint_group, request)
    return lists.listed(request, "endpoint_groups", found, view)


def _pair(request: Request) -> dict[str, str]:
    return {name: request.path[name] for name in ("project_id", "endpoint_group_id")}


async def project_with(request: Request, op: Op) -> Reply:
    """A project that it was given to."""
    op.may("identity:get_endpoint_group_in_project")
    async with op.db.read() as session:
        await rows.need(session, _given, _pair(request), _NOT_GIVEN)
        row = await rows.found(session, project, "project", request.path["project_id"])
        tags = await projects.tags_of(session, [row.id])
    return json({"project": project_view(row, lists.api_base(request), tags.get(row.id, []))})


async def give(request: Request, op: Op) -> Reply:
    op.may("identity:add_endpoint_group_to_project")
    async with op.db.begin() as session:
        await bump(op, session)
        await _found(session, request)
        await rows.found(session, project, "project", request.path["project_id"])
        await rows.ensure(session, _given, _pair(request))
    return empty()


async def take(request: Request, op: Op) -> Reply:
    op.may("identity:remove_endpoint_group_from_project")
    async with op.db.begin() as session:
        await bump(op, session)
        await rows.drop(session, _given, _pair(request), _NOT_GIVEN)
    return empty()
