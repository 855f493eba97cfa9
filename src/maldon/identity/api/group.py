"""Groups and their members."""

from typing import Any

from sqlalchemy import delete, select

from maldon.identity import lists, revocations, rows, tree
from maldon.identity.models.group import group, membership
from maldon.identity.models.role import assignment
from maldon.identity.models.user import user
from maldon.identity.plan.mirror import GROUP
from maldon.identity.schemas.fields import given, load
from maldon.identity.schemas.group import CreateGroup, UpdateGroup
from maldon.identity.verbs import directory
from maldon.identity.verifier import bump
from maldon.identity.views.group import show as view
from maldon.identity.views.user import LISTED, listed
from maldon.kernel.errors import BadRequest
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_NOT_IN = "The user is not in the group."
_FILTERS = {"name": group.c.name, "domain_id": group.c.domain_id}
_USER_FILTERS = {"name": user.c.name, "enabled": user.c.enabled, "password_expires_at": user.c.password_expires_at}


async def index(request: Request, op: Op) -> Reply:
    domain_id = tree.listing_domain(op, request.param("domain_id"))
    op.may("identity:list_groups", {"target.domain_id": domain_id})
    await directory.look(op, domain_id)
    wanted = select(group).where(*lists.conditions(request, _FILTERS))
    if op.actor.domain_id is not None:
        wanted = wanted.where(group.c.domain_id == op.actor.domain_id)
    async with op.db.read() as session:
        found = await lists.page(session, wanted, group, request)
    return lists.listed(request, "groups", found, view)


async def guarded(session: Session, op: Op, request: Request, rule: str, member: Any = None) -> Any:
    """The group of the path, if the rule allows; who may not see it learns nothing of it."""
    row = await rows.by_id(session, group, request.path["group_id"])
    target = {} if row is None else {"target.group.id": row.id, "target.group.domain_id": row.domain_id}
    if member is not None:
        target |= {"target.user.id": member.id, "target.user.domain_id": member.domain_id}
    op.may(rule, target)
    return row if row is not None else await rows.found(session, group, "group", request.path["group_id"])


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:get_group")
    return json({"group": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "group", CreateGroup)
    domain_id = wanted.domain_id or tree.own_domain(op)
    op.may("identity:create_group", {"target.group.domain_id": domain_id})
    sent = given(wanted, "name", "description") | {"extra": extra}
    if (id_ := await directory.add_group(op, domain_id, sent)) is not None:
        async with op.db.read() as session:
            row = await rows.found(session, group, "group", id_)
        return json({"group": view(row, lists.api_base(request))}, 201)
    values = {"id": new_hex_id(), "name": wanted.name, "domain_id": domain_id, "extra": extra or None}
    async with op.db.begin() as session:
        await tree.domain(session, domain_id)
        row = await rows.add(session, group, "group", values | given(wanted, "description"))
    return json({"group": view(row, lists.api_base(request))}, 201)


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "group", UpdateGroup)
    async with op.db.read() as session:
        old = await guarded(session, op, request, "identity:update_group")
    if given(wanted, "domain_id").get("domain_id", old.domain_id) != old.domain_id:
        raise BadRequest("domain_id cannot be changed.")
    await directory.change_group(op, old, given(wanted, "name", "description") | ({"extra": extra} if extra else {}))
    async with op.db.begin() as session:
        old = await rows.found(session, group, "group", old.id)
        values = given(wanted, "name", "description") | {"extra": rows.merged(old.extra, extra)}
        row = await rows.change(session, group, "group", old.id, values)
    return json({"group": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    """With every role and membership."""
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:delete_group")
    await directory.remove_group(op, row.id)
    async with op.db.begin() as session:
        await bump(op, session)
        held = (assignment.c.actor_kind == "group") & (assignment.c.actor_id == row.id)
        await session.run(delete(assignment).where(held))
        members = await revocations.held_by(session, "group", row.id)
        await rows.remove(session, group, "group", row.id)
        await revocations.note(op, session, *revocations.users(members))
    return empty()


async def users(request: Request, op: Op) -> Reply:
    """The members."""
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:list_users_in_group")
    await directory.look_around(op, GROUP, row.id)
    async with op.db.read() as session:
        wanted = select(*LISTED).where(
            user.c.id.in_(select(membership.c.user_id).where(membership.c.group_id == row.id)),
            *lists.conditions(request, _USER_FILTERS),
        )
        found = await lists.page(session, wanted, user, request)
    return lists.listed(request, "users", found, listed)


async def _member(session: Session, op: Op, request: Request, rule: str) -> tuple[str, str]:
    """The ids of the path's group and user, if both exist and the rule allows."""
    chosen = await rows.by_id(session, user, request.path["user_id"])
    row = await guarded(session, op, request, rule, chosen)
    return row.id, (await rows.found(session, user, "user", request.path["user_id"])).id


async def _tell(op: Op, request: Request, rule: str, *, inside: bool) -> None:
    """Have the group's directory know first, if it has one."""
    if await directory.directory_of(op, GROUP, request.path["group_id"]) is not None:
        async with op.db.read() as session:
            ids = await _member(session, op, request, rule)
        await directory.change_member(op, *ids, inside=inside)


async def check(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        ids = await _member(session, op, request, "identity:check_user_in_group")
        await rows.need(session, membership, _pair(*ids), _NOT_IN)
    return empty()


async def put(request: Request, op: Op) -> Reply:
    await _tell(op, request, "identity:add_user_to_group", inside=True)
    async with op.db.begin() as session:
        await bump(op, session)
        group_id, user_id = await _member(session, op, request, "identity:add_user_to_group")
        await rows.ensure(session, membership, _pair(group_id, user_id))
    return empty()


async def take(request: Request, op: Op) -> Reply:
    await _tell(op, request, "identity:remove_user_from_group", inside=False)
    async with op.db.begin() as session:
        await bump(op, session)
        group_id, user_id = await _member(session, op, request, "identity:remove_user_from_group")
        await rows.drop(session, membership, _pair(group_id, user_id), _NOT_IN)
        await revocations.note(op, session, {"user_id": user_id})
    return empty()


def _pair(group_id: str, user_id: str) -> dict[str, str]:
    return {"group_id": group_id, "user_id": user_id}
