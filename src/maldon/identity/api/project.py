"""Projects: what everything belongs to. They form a tree below their domain."""

from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select

from maldon.identity import limit_tree, lists, revocations, rows, tree
from maldon.identity.api.domain import changed, new_domain, remove_domain
from maldon.identity.models.project import project, project_tag
from maldon.identity.models.user import user
from maldon.identity.schemas.fields import given, load, options
from maldon.identity.schemas.project import CreateProject, UpdateProject
from maldon.identity.verifier import bump
from maldon.identity.views.project import show as view
from maldon.kernel.errors import BadRequest, Forbidden, NotFound
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {
    "name": project.c.name,
    "enabled": project.c.enabled,
    "domain_id": project.c.domain_id,
    "parent_id": project.c.parent_id,
}


async def index(request: Request, op: Op) -> Reply:
    domain_id = tree.listing_domain(op, request.param("domain_id"))
    op.may("identity:list_projects", {"target.domain_id": domain_id})
    wanted = select(project).where(
        project.c.is_domain.is_(lists.flag(request, "is_domain")),
        *lists.conditions(request, _FILTERS),
        *_tagged(request),
    )
    if op.actor.domain_id is not None:
        wanted = wanted.where(project.c.domain_id == op.actor.domain_id)
    async with op.db.read() as session:
        found = await lists.page(session, wanted, project, request)
        return await listed(session, request, found)


def _tagged(request: Request) -> list[ColumnElement[bool]]:
    """tags: all of them; tags-any: one of them; not-…: the contrary."""
    conditions: list[ColumnElement[bool]] = []
    for key in ("tags", "tags-any", "not-tags", "not-tags-any"):
        names = {name for text in request.params(key) for name in text.split(",") if name}
        if not names:
            continue
        least = 1 if key.endswith("any") else len(names)
        having = select(project_tag.c.project_id).where(project_tag.c.name.in_(names))
        having = having.group_by(project_tag.c.project_id).having(func.count() >= least)
        conditions.append(project.c.id.not_in(having) if key.startswith("not") else project.c.id.in_(having))
    return conditions


async def listed(session: Session, request: Request, found: list[Any]) -> Reply:
    """A list of projects with their tags."""
    tags = await tags_of(session, [row.id for row in found])
    return lists.listed(request, "projects", found, lambda row, base: view(row, base, tags.get(row.id, [])))


async def tags_of(session: Session, ids: list[str]) -> dict[str, list[str]]:
    """The tags by project, in order."""
    tags: dict[str, list[str]] = {}
    chosen = select(project_tag).order_by(project_tag.c.name)
    for row in await rows.among(session, chosen, project_tag.c.project_id, ids):
        tags.setdefault(row.project_id, []).append(row.name)
    return tags


async def shown(session: Session, base: str, row: Any) -> dict[str, Any]:
    """One project with its tags."""
    return view(row, base, (await tags_of(session, [row.id])).get(row.id, []))


async def of_user(request: Request, op: Op) -> Reply:
    """The projects on which a user has a role."""
    id_ = request.path["user_id"]
    async with op.db.read() as session:
        holder = await session.first(select(user.c.domain_id).where(user.c.id == id_))
        op.may("identity:list_user_projects", {"target.user.id": id_, "target.user.domain_id": holder and holder[0]})
        await rows.found(session, user, "user", id_)
        return await listed(session, request, await tree.projects_of(session, id_))


def target(row: Any) -> dict[str, Any]:
    """What a rule may ask about a project; a domain belongs to itself."""
    return {"target.project.id": row.id, "target.project.domain_id": row.domain_id or row.id}


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:get_project")
        base = lists.api_base(request)
        body = await shown(session, base, row)
        if lists.flag(request, "parents_as_list"):
            body["parents"] = [{"project": view(r, base, [])} for r in await tree.above(session, row)]
        elif lists.flag(request, "parents_as_ids"):
            body["parents"] = _chain([r.id for r in await tree.above(session, row)])
        if lists.flag(request, "subtree_as_list"):
            body["subtree"] = [{"project": view(r, base, [])} for r in await tree.below(session, [row.id])]
        elif lists.flag(request, "subtree_as_ids"):
            body["subtree"] = _branches(row.id, await tree.below(session, [row.id]))
    return json({"project": body})


def _chain(ids: list[str]) -> dict[str, Any] | None:
    chain: dict[str, Any] | None = None
    for id_ in reversed(ids):
        chain = {id_: chain}
    return chain


def _branches(id_: str, below: list[Any]) -> dict[str, Any] | None:
    return {row.id: _branches(row.id, below) for row in below if row.parent_id == id_} or None


async def guarded(session: Session, op: Op, request: Request, rule: str) -> Any:
    """The project of the path, if the rule allows; who may not see it learns nothing of it."""
    row = await rows.by_id(session, project, request.path["project_id"])
    op.may(rule, target(row) if row is not None else {})
    return row if row is not None else await rows.found(session, project, "project", request.path["project_id"])


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "project", CreateProject)
    domain_id = wanted.domain_id or (None if wanted.is_domain else tree.own_domain(op))
    async with op.db.begin() as session:
        await bump(op, session)
        if wanted.parent_id is not None and wanted.domain_id is None:
            parent = await rows.by_id(session, project, wanted.parent_id)
            domain_id = (parent.domain_id or parent.id) if parent is not None else domain_id
        op.may("identity:create_project", {"target.project.domain_id": domain_id})
        id_ = new_hex_id()
        values = await _place(op, session, id_, wanted, domain_id)
        values |= {"options": options(wanted.options), "extra": extra or None}
        row = await rows.add(session, project, "project", values | given(wanted, "description", "enabled"))
        if wanted.tags:
            await put_tags(session, id_, wanted.tags)
        body = await shown(session, lists.api_base(request), row)
    return json({"project": body}, 201)


async def _place(op: Op, session: Session, id_: str, wanted: CreateProject, domain_id: str | None) -> dict[str, Any]:
    """A row at its place in the tree: a domain at the root, a project below its parent or its domain."""
    if wanted.is_domain:
        if domain_id is not None or wanted.parent_id is not None:
            raise BadRequest("A project that acts as a domain has neither a domain nor a parent.")
        return new_domain(id_, wanted.name)
    try:
        domain = await tree.domain(session, domain_id or "")
        parent = await rows.found(session, project, "project", wanted.parent_id or domain.id)
    except NotFound as error:
        raise BadRequest(error.public) from error
    if (parent.domain_id or parent.id) != domain.id:
        raise BadRequest("The parent project is in another domain.")
    higher = [parent, *await tree.above(session, parent)]
    deepest = limit_tree.deepest(op)
    if len(higher) > deepest:
        raise Forbidden(f"Projects may lie {deepest} deep in this cloud and no deeper.")
    if not all(row.enabled for row in higher):
        raise BadRequest("Cannot create a project below one that is disabled.")
    return new_project(id_, wanted.name, domain.id) | {"parent_id": parent.id}


def new_project(id_: str, name: str, domain_id: str) -> dict[str, Any]:
    """A row of a project right below its domain."""
    return {
        "id": id_,
        "name": name,
        "name_scope": domain_id,
        "domain_id": domain_id,
        "parent_id": domain_id,
        "is_domain": False,
        "enabled": True,
        "description": "",
        "tokens_from": 0,
    }


def tags_lock(project_id: str) -> str:
    """What is held by whoever changes a project's tags, of which there is a most and none twice."""
    return f"identity.tags.{project_id}"


async def put_tags(session: Session, id_: str, tags: list[str]) -> None:
    """Exactly these tags. Raises BadRequest for one that comes twice."""
    if len(set(tags)) != len(tags):
        raise BadRequest("A tag may be there once only.")
    await session.lock(tags_lock(id_))
    await session.run(delete(project_tag).where(project_tag.c.project_id == id_))
    if tags:
        await session.run(insert(project_tag), [{"project_id": id_, "name": tag} for tag in tags])


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "project", UpdateProject)
    async with op.db.begin() as session:
        await bump(op, session)
        old = await guarded(session, op, request, "identity:update_project")
        await _check_change(session, old, given(wanted, "domain_id", "parent_id", "is_domain", "enabled"))
        values = given(wanted, "name", "description", "enabled")
        row = await changed(session, op, old, values, options(wanted.options, old.options), extra)
        if isinstance(wanted.tags, list):
            await put_tags(session, row.id, wanted.tags)
        body = await shown(session, lists.api_base(request), row)
    return json({"project": body})


async def _check_change(session: Session, old: Any, new: dict[str, Any]) -> None:
    """Projects do not move; a branch is enabled from the root and disabled from the leaves."""
    for field in ("domain_id", "is_domain"):
        if new.get(field, getattr(old, field)) != getattr(old, field):
            raise BadRequest(f"{field} cannot be changed.")
    if new.get("parent_id", old.parent_id) != old.parent_id:
        raise Forbidden("A project cannot be moved to another parent.")
    if old.is_domain or new.get("enabled", old.enabled) == old.enabled:
        return
    if new["enabled"]:
        if not all(row.enabled for row in await tree.above(session, old)):
            raise Forbidden("Cannot enable a project below one that is disabled.")
    elif any(row.enabled for row in await tree.below(session, [old.id])):
        raise Forbidden("Cannot disable a project above one that is enabled.")


async def remove(request: Request, op: Op) -> Reply:
    """A leaf of the tree, with every role on it."""
    async with op.db.begin() as session:
        await bump(op, session)
        row = await guarded(session, op, request, "identity:delete_project")
        if row.is_domain:
            await remove_domain(op, session, row)
            return empty()
        rows.refuse_immutable("project", row)
        if await session.first(select(project.c.id).where(project.c.parent_id == row.id).limit(1)) is not None:
            raise Forbidden(f"Cannot delete the project {row.id} since it is not a leaf. Delete those below it first.")
        await tree.forget_targets(session, [row.id])
        await rows.remove(session, project, "project", row.id)
        await revocations.note(op, session, {"project_id": row.id})
    return empty()
