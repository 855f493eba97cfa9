"""A project with all below it: disabled or enabled together, and deleted together once all of it is disabled."""

from typing import Any

from sqlalchemy import delete
from sqlalchemy import update as sql_update

from maldon.identity import lists, revocations, rows, tree
from maldon.identity.api.project import guarded, shown
from maldon.identity.models.project import project
from maldon.identity.schemas.fields import load
from maldon.identity.schemas.project import CascadeProject
from maldon.identity.verifier import bump
from maldon.kernel.errors import Forbidden
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json


async def _tree(session: Session, op: Op, request: Request, rule: str) -> list[Any]:
    """The project of the path and those below it, if the rule allows and all of them may change."""
    top = await guarded(session, op, request, rule)
    if top.is_domain:
        raise Forbidden("A domain has a call of its own for that.")
    whole = [top, *await tree.below(session, [top.id])]
    for row in whole:
        rows.refuse_immutable("project", row)
    return whole


async def update(request: Request, op: Op) -> Reply:
    wanted, _ = await load(request, "project", CascadeProject)
    async with op.db.begin() as session:
        await bump(op, session)
        whole = await _tree(session, op, request, "identity:update_project")
        if wanted.enabled and not all(row.enabled for row in await tree.above(session, whole[0])):
            raise Forbidden("Cannot enable a project below one that is disabled.")
        changing = [row.id for row in whole if row.enabled != wanted.enabled]
        values = {"enabled": wanted.enabled} | ({} if wanted.enabled else {"tokens_from": op.clock.now()})
        await session.run(sql_update(project).where(project.c.id.in_(changing)).values(**values))
        top = await rows.found(session, project, "project", whole[0].id)
        return json({"project": await shown(session, lists.api_base(request), top)})


async def remove(request: Request, op: Op) -> Reply:
    async with op.db.begin() as session:
        await bump(op, session)
        whole = await _tree(session, op, request, "identity:delete_project")
        if any(row.enabled for row in whole):
            raise Forbidden("Cannot delete projects that are enabled, please disable them first.")
        ids = [row.id for row in whole]
        await tree.forget_targets(session, ids)
        await session.run(delete(project).where(project.c.id.in_(ids)))
        await revocations.note(op, session, *({"project_id": id_} for id_ in ids))
    return empty()
