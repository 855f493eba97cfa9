"""Roles given to a user or group on a project, a domain or the system: PUT, HEAD, GET, DELETE of one, GET of all.

The path says everything: who, where, which role, and with /inherited_to_projects that it counts below the target only.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, select

from maldon.identity import lists, revocations, rows
from maldon.identity.models.group import group
from maldon.identity.models.project import project
from maldon.identity.models.role import SYSTEM, assignment, role
from maldon.identity.models.user import user
from maldon.identity.verifier import bump
from maldon.identity.views.role import show as role_view
from maldon.kernel.errors import Forbidden, NotFound
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty

_ACTORS = {"user": user, "group": group}


@dataclass(frozen=True, slots=True)
class Grant:
    """Who holds what where; `role_id` is "" for all roles there."""

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    inherited: bool

    def where(self) -> ColumnElement[bool]:
        """The assignments it speaks of."""
        values = self.values()
        inherited = values.pop("inherited")
        return and_(*(assignment.c[k] == v for k, v in values.items() if v), assignment.c.inherited.is_(inherited))

    def values(self) -> dict[str, Any]:
        """The assignment's row."""
        return {name: getattr(self, name) for name in self.__slots__}

    def lost_by(self, user_id: str) -> revocations.About:
        """Which tokens of a user mean less without it; an inherited one may have counted in any."""
        where = {} if self.inherited or self.target_kind == SYSTEM else {f"{self.target_kind}_id": self.target_id}
        return {"user_id": user_id, "role_id": self.role_id, **where}

    def rule(self, verb: str) -> str:
        """The name of its rule: the system's are the actor's own."""
        plural = "s" if verb == "list" else ""
        if self.target_kind == SYSTEM:
            return f"identity:{verb}_system_grant{plural}_for_{self.actor_kind}"
        return f"identity:{verb}_grant{plural}"


def _of(request: Request) -> Grant:
    path = request.path
    actor = "user" if "user_id" in path else "group"
    target = next((kind for kind in ("project", "domain") if f"{kind}_id" in path), SYSTEM)
    return Grant(
        actor,
        path[f"{actor}_id"],
        target,
        path.get(f"{target}_id", SYSTEM),
        path.get("role_id", ""),
        request.url.rstrip("/").endswith("/inherited_to_projects"),
    )


async def _guarded(session: Session, op: Op, request: Request, verb: str) -> Grant:
    """What the path speaks of, if the rule allows and everything in it exists."""
    grant = _of(request)
    target: dict[str, Any] = {}
    missing: list[NotFound] = []
    for noun, table, id_ in _parts(grant):
        try:
            row = await rows.found(session, table, noun, id_)
        except NotFound as error:
            missing.append(error)
            continue
        target[f"target.{noun}.id"] = row.id
        target[f"target.{noun}.domain_id"] = row.domain_id or (row.id if noun == "project" else None)
        target[f"target.{noun}.name"] = row.name
        if noun == "domain" and not row.is_domain:
            missing.append(NotFound(f"Could not find domain: {id_}."))
    op.may(grant.rule(verb), target)
    if missing:
        raise missing[0]
    _check_domains(grant, target)
    return grant


def _parts(grant: Grant) -> list[tuple[str, Any, str]]:
    parts = [(grant.actor_kind, _ACTORS[grant.actor_kind], grant.actor_id)]
    if grant.target_kind != SYSTEM:
        parts.append((grant.target_kind, project, grant.target_id))
    if grant.role_id:
        parts.append(("role", role, grant.role_id))
    return parts


def _check_domains(grant: Grant, target: dict[str, Any]) -> None:
    owner = target.get("target.role.domain_id")
    place = target.get("target.project.domain_id") or target.get("target.domain.id")
    if owner and owner != place:
        raise Forbidden(f"The role {grant.role_id} belongs to a domain and can be given only there.")


async def index(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        grant = await _guarded(session, op, request, "list")
        held = select(assignment.c.role_id).where(grant.where())
        found = await session.all(select(role).where(role.c.id.in_(held)).order_by(role.c.id))
    return lists.listed(request, "roles", found, role_view)


async def check(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        grant = await _guarded(session, op, request, "check")
        if await session.first(select(assignment.c.role_id).where(grant.where())) is None:
            raise _absent(grant)
    return empty()


async def put(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        await bump(op, session)
        grant = await _guarded(session, op, request, "create")
        if await session.first(select(assignment.c.role_id).where(grant.where())) is None:
            await session.run(insert(assignment).values(**grant.values()))
    return empty()


async def remove(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        await bump(op, session)
        grant = await _guarded(session, op, request, "revoke")
        if not await session.run(delete(assignment).where(grant.where())):
            raise _absent(grant)
        users = await revocations.held_by(session, grant.actor_kind, grant.actor_id)
        await revocations.note(op, session, *(grant.lost_by(id_) for id_ in users))
    return empty()


def _absent(grant: Grant) -> NotFound:
    return NotFound(
        f"Could not find role assignment with role: {grant.role_id}, {grant.actor_kind}: {grant.actor_id}, "
        f"{grant.target_kind}: {grant.target_id}."
    )
