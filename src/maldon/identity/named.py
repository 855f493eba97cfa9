"""Users, projects, domains and roles as a body names them: by id, or by name (within a domain)."""

from typing import Any

from sqlalchemy import ColumnElement, Select, select

from maldon.identity.models.project import project
from maldon.identity.models.role import role
from maldon.identity.models.user import user
from maldon.identity.schemas.fields import RoleRef
from maldon.identity.schemas.token import DomainRef, NamedUser, ProjectRef
from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.op import Session

DOMAIN = project.alias("domain")


def is_user(shown: NamedUser) -> ColumnElement[bool]:
    """Of a row of users and DOMAIN, theirs: it is that user."""
    if shown.id is not None:
        return user.c.id == shown.id
    if shown.name is None or shown.domain is None:
        raise BadRequest("Expecting to find id, or name and domain, in user.")
    return (user.c.name == shown.name) & in_domain(shown.domain)


def chosen_user(shown: NamedUser) -> Select[Any]:
    """The id of that user."""
    return select(user.c.id).join_from(user, DOMAIN, DOMAIN.c.id == user.c.domain_id).where(is_user(shown))


def chosen_project(shown: ProjectRef) -> Select[Any]:
    """The id of that project."""
    if shown.id is not None:
        return select(project.c.id).where(project.c.id == shown.id)
    if shown.name is None or shown.domain is None:
        raise BadRequest("Expecting to find id, or name and domain, in project.")
    return (
        select(project.c.id)
        .join_from(project, DOMAIN, DOMAIN.c.id == project.c.domain_id)
        .where(project.c.name == shown.name, in_domain(shown.domain))
    )


def chosen_domain(shown: DomainRef) -> Select[Any]:
    """The id of that domain."""
    return select(DOMAIN.c.id).where(in_domain(shown), DOMAIN.c.is_domain.is_(True))


def in_domain(shown: DomainRef) -> ColumnElement[bool]:
    if shown.id is not None:
        return DOMAIN.c.id == shown.id
    if shown.name is None:
        raise BadRequest("Expecting to find id or name in domain.")
    return (DOMAIN.c.name == shown.name) & DOMAIN.c.is_domain.is_(True)


async def role_id(session: Session, shown: RoleRef) -> str:
    """The id of that role, which is one of the whole cloud if it goes by its name. Raises NotFound."""
    if shown.id is None and shown.name is None:
        raise BadRequest("Expecting to find id or name in role.")
    by_name = (role.c.name == shown.name) & (role.c.domain_id == "")
    id_ = await session.scalar(select(role.c.id).where(by_name if shown.id is None else role.c.id == shown.id))
    if id_ is None:
        raise NotFound(f"Could not find role: {shown.id or shown.name}.")
    return str(id_)
