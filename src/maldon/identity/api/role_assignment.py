"""Who has which role where: as it was given, or with `effective` as it comes out."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select

from maldon.identity import lists, tree
from maldon.identity.models.group import membership
from maldon.identity.models.project import project
from maldon.identity.models.role import SYSTEM, assignment, implied_role, role
from maldon.identity.plan.effective import Effective, Held, expand
from maldon.identity.views import role_assignment as views
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, json

_INHERITED = "scope.OS-INHERIT:inherited_to"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters of the query."""

    user_id: str | None
    group_id: str | None
    role_id: str | None
    project_id: str | None
    domain_id: str | None
    system: bool
    inherited: bool | None
    effective: bool
    subtree: bool


def _wanted(request: Request) -> Wanted:
    inherited = None if request.param(_INHERITED) is None else request.param(_INHERITED) == "projects"
    wanted = Wanted(
        request.param("user.id"),
        request.param("group.id"),
        request.param("role.id"),
        request.param("scope.project.id"),
        request.param("scope.domain.id"),
        request.param("scope.system") is not None,
        inherited,
        lists.flag(request, "effective"),
        lists.flag(request, "include_subtree"),
    )
    if wanted.user_id is not None and wanted.group_id is not None:
        raise BadRequest("user.id and group.id exclude each other.")
    if (wanted.project_id is not None) + (wanted.domain_id is not None) + wanted.system > 1:
        raise BadRequest("scope.project.id, scope.domain.id and scope.system exclude each other.")
    if wanted.effective and wanted.group_id is not None:
        raise BadRequest("effective shows users only: group.id makes no sense with it.")
    if wanted.subtree and wanted.project_id is None:
        raise BadRequest("scope.project.id must be given with include_subtree.")
    return wanted


async def index(request: Request, op: Op) -> Reply:
    wanted = _wanted(request)
    if wanted.subtree:
        op.can(
            "identity:list_role_assignments"
        )  # a tree has a rule of its own; then what the route's says does not count
    else:
        op.may("identity:list_role_assignments", {"target.domain_id": op.actor.domain_id})
    async with op.db.read() as session:
        ids = [] if wanted.project_id is None else [wanted.project_id]
        if wanted.subtree:
            root = await session.first(select(project).where(project.c.id == wanted.project_id))
            op.may("identity:list_role_assignments_for_tree", _tree_target(root))
            ids += [row.id for row in await tree.below(session, ids)]
        found: list[Any]
        if wanted.effective:
            found = await _effective(session, wanted, ids)
        else:
            found = await _plain(session, wanted, ids)
        if op.actor.domain_id is not None:
            found = await _within(session, found, op.actor.domain_id)
        names = await views.names_of(session, found) if lists.flag(request, "include_names") else None
    shown = [views.show(one, lists.api_base(request), names) for one in found]
    return json({"role_assignments": shown, "links": lists.links(request)})


def _tree_target(root: Any) -> dict[str, Any]:
    return {} if root is None else {"target.project.id": root.id, "target.project.domain_id": root.domain_id}


async def _held(session: Session, *conditions: ColumnElement[bool]) -> list[Held]:
    chosen = select(assignment).where(*conditions)
    return [Held(**row._asdict()) for row in await session.all(chosen)]


def _targets(wanted: Wanted, ids: list[str]) -> list[ColumnElement[bool]]:
    if wanted.system:
        return [assignment.c.target_kind == SYSTEM]
    if ids:
        return [assignment.c.target_kind == "project", assignment.c.target_id.in_(ids)]
    if wanted.domain_id is not None:
        return [assignment.c.target_kind == "domain", assignment.c.target_id == wanted.domain_id]
    return []


async def _plain(session: Session, wanted: Wanted, ids: list[str]) -> list[Held]:
    conditions = _targets(wanted, ids)
    for kind, actor_id in (("user", wanted.user_id), ("group", wanted.group_id)):
        if actor_id is not None:
            conditions += [assignment.c.actor_kind == kind, assignment.c.actor_id == actor_id]
    if wanted.role_id is not None:
        conditions.append(assignment.c.role_id == wanted.role_id)
    if wanted.inherited is not None:
        conditions.append(assignment.c.inherited.is_(wanted.inherited))
    return await _held(session, *conditions)


async def _effective(session: Session, wanted: Wanted, ids: list[str]) -> list[Effective]:
    conditions: list[ColumnElement[bool]] = []
    members = select(membership)
    if wanted.user_id is not None:
        members = members.where(membership.c.user_id == wanted.user_id)
    groups: dict[str, list[str]] = {}
    for row in await session.all(members):
        groups.setdefault(row.group_id, []).append(row.user_id)
    if wanted.user_id is not None:
        conditions.append(assignment.c.actor_id.in_([wanted.user_id, *groups]))
    if wanted.inherited is not None:
        conditions.append(assignment.c.inherited.is_(wanted.inherited))
    held = await _held(session, *conditions)
    below = {
        target: [row.id for row in await tree.below(session, [target])]
        for target in {one.target_id for one in held if one.inherited}
    }
    implied: dict[str, list[str]] = {}
    for row in await session.all(select(implied_role)):
        implied.setdefault(row.prior_id, []).append(row.implied_id)
    hidden = {row.id for row in await session.all(select(role.c.id).where(role.c.domain_id != ""))}
    found = expand(held, groups, below, implied)
    return [one for one in found if one.role_id not in hidden and _asked(one, wanted, ids)]


def _asked(one: Effective, wanted: Wanted, ids: list[str]) -> bool:
    if wanted.role_id is not None and one.role_id != wanted.role_id:
        return False
    if wanted.system:
        return one.target_kind == SYSTEM
    if wanted.domain_id is not None:
        return one.target_kind == "domain" and one.target_id == wanted.domain_id
    return wanted.project_id is None or (one.target_kind == "project" and one.target_id in ids)


async def _within(session: Session, found: list[Any], domain_id: str) -> list[Any]:
    """Those whose target is the domain or a project in it."""
    inside = await session.all(select(project.c.id).where(project.c.domain_id == domain_id))
    ids = {domain_id, *(row.id for row in inside)}
    return [one for one in found if one.target_id in ids]
