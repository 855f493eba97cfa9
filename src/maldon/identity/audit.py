"""What does not fit together in the books of identity, each as a sentence for an operator.

Most of what belongs to somebody goes with them in the same transaction, by the database's own constraints. What can be
left over is what names something without one: roles given to or on what is gone, a default project, a parent, a domain,
what an endpoint group is for, the roles of an OAuth token; and what has lost its roles and gives nothing any more.

`repair` takes away roles and default projects that name what is gone. The roles of those who are gone from a directory
are kept, for they may come back; `forget_departed` takes them away.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, or_, select, update

from maldon.identity.audit_secrets import secret_findings
from maldon.identity.models.application_credential import application_credential, application_credential_role
from maldon.identity.models.catalog import region, service
from maldon.identity.models.domain_config import directory_entry
from maldon.identity.models.endpoint_filter import endpoint_group
from maldon.identity.models.group import group
from maldon.identity.models.oauth1 import access_token
from maldon.identity.models.project import project
from maldon.identity.models.role import SYSTEM, assignment, role
from maldon.identity.models.trust import trust, trust_role
from maldon.identity.models.user import user
from maldon.identity.verifier import bump
from maldon.kernel.op import Op, Session

_a, _parent = assignment.c, project.alias("parent")
_domains = select(project.c.id).where(project.c.is_domain.is_(True))
_no_actor: ColumnElement[bool] = or_(
    and_(_a.actor_kind == "user", _a.actor_id.not_in(select(user.c.id))),
    and_(_a.actor_kind == "group", _a.actor_id.not_in(select(group.c.id))),
)
_may_come_back = _a.actor_id.in_(select(directory_entry.c.id))
_no_target = or_(
    and_(_a.target_kind == "project", _a.target_id.not_in(select(project.c.id))),
    and_(_a.target_kind == "domain", _a.target_id.not_in(_domains)),
    and_(_a.target_kind == SYSTEM, _a.target_id != SYSTEM),
)
_GONE = or_(and_(_no_actor, ~_may_come_back), _no_target)
_DEPARTED = and_(_no_actor, _may_come_back)
_HOMELESS = and_(user.c.default_project_id.is_not(None), user.c.default_project_id.not_in(select(project.c.id)))


async def audit(op: Op, session: Session) -> list[str]:
    """Every finding."""
    return [
        *await _assignments(session),
        *await _names(session),
        *await _endpoint_groups(session),
        *await _delegations(session),
        *await secret_findings(op, session),
    ]


async def repair(op: Op) -> int:
    """Take away roles and default projects that name what is gone; how many there were."""
    async with op.db.begin() as session:
        await bump(op, session)
        roles = await session.run(delete(assignment).where(_GONE))
        return roles + await session.run(update(user).where(_HOMELESS).values(default_project_id=None))


async def forget_departed(op: Op) -> int:
    """Take away the roles of users and groups that are gone from their directories; how many there were."""
    async with op.db.begin() as session:
        await bump(op, session)
        return await session.run(delete(assignment).where(_DEPARTED))


async def _assignments(session: Session) -> list[str]:
    """Of users and groups, on projects, domains and the system, inherited ones too."""
    gone = [f"{_said(row)}: one of them is gone" for row in await session.all(select(assignment).where(_GONE))]
    departed = select(assignment).where(_DEPARTED, ~_no_target)
    what = "is gone from its directory, and has the role again when it comes back"
    return gone + [f"{_said(row)}: it {what}" for row in await session.all(departed)]


def _said(row: Any) -> str:
    place = (
        "the system" if (row.target_kind, row.target_id) == (SYSTEM, SYSTEM) else f"{row.target_kind} {row.target_id}"
    )
    below = "below " if row.inherited else ""
    return f"{row.actor_kind} {row.actor_id} has role {row.role_id} on {below}{place}"


async def _names(session: Session) -> list[str]:
    """Users, projects and roles that name a project or domain which is gone."""
    return [
        *await _each(session, select(user.c.id).where(_HOMELESS), "user {0.id} has a default project that is gone"),
        *await _each(
            session,
            select(project.c.id)
            .join(_parent, _parent.c.id == project.c.parent_id, isouter=True)
            .where(project.c.parent_id.is_not(None), _parent.c.id.is_(None)),
            "project {0.id} is below a project or domain that is gone",
        ),
        *await _each(
            session,
            select(project.c.id).where(project.c.domain_id.is_not(None), project.c.domain_id.not_in(_domains)),
            "project {0.id} is in a domain that is gone",
        ),
        *await _each(
            session,
            select(role.c.id).where(role.c.domain_id != "", role.c.domain_id.not_in(_domains)),
            "role {0.id} belongs to a domain that is gone",
        ),
    ]


async def _each(session: Session, chosen: Select[Any], sentence: str) -> list[str]:
    return [sentence.format(row) for row in await session.all(chosen)]


async def _endpoint_groups(session: Session) -> list[str]:
    """Those that are for a service or region which is gone, and so are for nothing."""
    there = {
        "service_id": {row.id for row in await session.all(select(service.c.id))},
        "region_id": {row.id for row in await session.all(select(region.c.id))},
    }
    return [
        f"endpoint group {row.id} is for {name.removesuffix('_id')} {value}, which is gone"
        for row in await session.all(select(endpoint_group.c.id, endpoint_group.c.filters))
        for name, value in row.filters.items()
        if name in there and value not in there[name]
    ]


async def _delegations(session: Session) -> list[str]:
    """What hands on roles that are gone: all of them, or one of an OAuth token, which names them."""
    given, handed = select(trust_role.c.trust_id), select(application_credential_role.c.credential_id)
    trusts = select(trust.c.id).where(trust.c.project_id.is_not(None), trust.c.id.not_in(given))
    credentials = select(application_credential.c.id).where(application_credential.c.id.not_in(handed))
    nothing = "gives nothing: its roles are gone"
    roles = {row.id for row in await session.all(select(role.c.id))}
    tokens = await session.all(select(access_token.c.id, access_token.c.role_ids))
    return [
        *await _each(session, trusts, f"trust {{0.id}} {nothing}"),
        *await _each(session, credentials, f"application credential {{0.id}} {nothing}"),
        *(
            f"OAuth token {row.id} gives role {id_}, which is gone"
            for row in tokens
            for id_ in row.role_ids
            if id_ not in roles
        ),
    ]
