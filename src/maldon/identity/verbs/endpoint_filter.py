"""Which endpoints a group or a project sees."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true

from maldon.identity.models.catalog import endpoint
from maldon.identity.models.endpoint_filter import endpoint_group, project_endpoint, project_endpoint_group
from maldon.kernel.op import Session

COLUMNS: dict[str, ColumnElement[Any]] = {
    "service_id": endpoint.c.service_id,
    "region_id": endpoint.c.region_id,
    "interface": endpoint.c.interface,
}


def in_group(filters: Mapping[str, Any]) -> ColumnElement[bool]:
    """What an endpoint must be to be in a group with these filters."""
    return and_(true(), *(COLUMNS[name] == value for name, value in filters.items()))


async def endpoints_of(session: Session, project_id: str) -> Select[Any]:
    """The endpoints that were given to a project: the statement that finds them."""
    given = select(project_endpoint.c.endpoint_id).where(project_endpoint.c.project_id == project_id)
    groups = [in_group(row.filters) for row in await session.all(groups_of(project_id))]
    return select(endpoint).where(or_(false(), endpoint.c.id.in_(given), *groups))


def groups_of(project_id: str) -> Select[Any]:
    """The endpoint groups that were given to a project."""
    given = select(project_endpoint_group.c.endpoint_group_id).where(project_endpoint_group.c.project_id == project_id)
    return select(endpoint_group).where(endpoint_group.c.id.in_(given))


async def visible(session: Session, project_id: str) -> frozenset[str] | None:
    """The ids of the endpoints that tokens for a project show; None means all, as nothing was given to it."""
    rows = await session.all((await endpoints_of(session, project_id)).with_only_columns(endpoint.c.id))
    return frozenset(row.id for row in rows) or None
