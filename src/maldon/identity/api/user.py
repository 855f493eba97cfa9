"""Users. A password is hashed before the transaction begins; changing it kills the tokens that the user has."""

from typing import Any

from msgspec import UnsetType
from sqlalchemy import delete, select

from maldon.identity import lists, revocations, rows, tree
from maldon.identity.accounts import today
from maldon.identity.models.group import group, membership
from maldon.identity.models.project import project
from maldon.identity.models.role import assignment
from maldon.identity.models.user import failed_login, user
from maldon.identity.new_password import NO_PASSWORD, columns, keep_past, new_hash
from maldon.identity.plan.mirror import USER
from maldon.identity.schemas.fields import given, load, options
from maldon.identity.schemas.user import CreateUser, UpdateUser
from maldon.identity.verbs import directory
from maldon.identity.verifier import bump
from maldon.identity.views.group import show as group_view
from maldon.identity.views.user import LISTED, listed
from maldon.identity.views.user import show as view
from maldon.kernel.errors import BadRequest
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {
    "name": user.c.name,
    "enabled": user.c.enabled,
    "domain_id": user.c.domain_id,
    "default_project_id": user.c.default_project_id,
    "password_expires_at": user.c.password_expires_at,
}
_FIELDS = ("name", "enabled", "default_project_id")


async def index(request: Request, op: Op) -> Reply:
    domain_id = tree.listing_domain(op, request.param("domain_id"))
    op.may("identity:list_users", {"target.domain_id": domain_id})
    await directory.look(op, domain_id, user_name=request.param("name"))
    wanted = select(*LISTED).where(*lists.conditions(request, _FILTERS))
    if op.actor.domain_id is not None:
        wanted = wanted.where(user.c.domain_id == op.actor.domain_id)
    async with op.db.read() as session:
        found = await lists.page(session, wanted, user, request)
    return lists.listed(request, "users", found, listed)


def target(row: Any) -> dict[str, Any]:
    """What a rule may ask about a user."""
    return {"target.user.id": row.id, "target.user.domain_id": row.domain_id}


async def guarded(session: Session, op: Op, request: Request, rule: str) -> Any:
    """The user of the path, if the rule allows; who may not see it learns nothing of it."""
    row = await rows.by_id(session, user, request.path["user_id"])
    op.may(rule, target(row) if row is not None else {})
    return row if row is not None else await rows.found(session, user, "user", request.path["user_id"])


async def show(request: Request, op: Op) -> Reply:
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:get_user")
    return json({"user": view(row, lists.api_base(request))})


async def create(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "user", CreateUser)
    domain_id = wanted.domain_id or tree.own_domain(op)
    op.may("identity:create_user", {"target.user.domain_id": domain_id})
    opts = options(wanted.options)
    sent = given(wanted, *_FIELDS) | {"extra": extra}
    if (id_ := await directory.add_user(op, domain_id, sent, wanted.password)) is not None:
        async with op.db.begin() as session:
            row = await rows.change(session, user, "user", id_, {"options": opts})
        return json({"user": view(row, lists.api_base(request))}, 201)
    values = new_user(wanted.name, domain_id) | {
        **given(wanted, *_FIELDS),
        **await _password(op, wanted.password, opts),
        "active_day": today(op),
        "options": opts,
        "extra": extra or None,
    }
    async with op.db.begin() as session:
        await tree.domain(session, domain_id)
        await _check_default(session, values)
        row = await rows.add(session, user, "user", values)
    return json({"user": view(row, lists.api_base(request))}, 201)


async def _password(op: Op, password: str | None, opts: Any) -> dict[str, Any]:
    """The columns of a password that the user has not chosen."""
    return NO_PASSWORD if password is None else columns(op, await new_hash(op, password), opts, own=False)


async def _check_default(session: Session, values: dict[str, Any]) -> None:
    """Raises BadRequest for a domain; a project need not exist."""
    chosen = values.get("default_project_id")
    if chosen is not None and await session.scalar(select(project.c.is_domain).where(project.c.id == chosen)):
        raise BadRequest(f"The default project of a user cannot be a domain: {chosen}.")


def new_user(name: str, domain_id: str) -> dict[str, Any]:
    """A user's row."""
    return {"id": new_hex_id(), "name": name, "domain_id": domain_id, "enabled": True, "tokens_from": 0}


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "user", UpdateUser)
    async with op.db.read() as session:
        old = await guarded(session, op, request, "identity:update_user")
    if given(wanted, "domain_id").get("domain_id", old.domain_id) != old.domain_id:
        raise BadRequest("domain_id cannot be changed.")
    values = given(wanted, *_FIELDS)
    outside = await directory.change_user(op, old, values | ({"extra": extra} if extra else {}), wanted.password)
    if outside and isinstance(wanted.password, str):
        values["tokens_from"] = op.clock.now()
    elif not isinstance(wanted.password, UnsetType):
        values |= await _password(op, wanted.password, options(wanted.options, old.options))
    if values.get("enabled") is False or "password" in values:
        values["tokens_from"] = op.clock.now()
    async with op.db.begin() as session:
        await bump(op, session)
        old = await rows.found(session, user, "user", old.id)
        await _check_default(session, values)
        if values.get("enabled") and not old.enabled:
            values["active_day"] = today(op)
        if "password" in values:
            await keep_past(op, session, old)
        if "password" in values or values.get("enabled"):
            await session.run(delete(failed_login).where(failed_login.c.user_id == old.id))
        values |= {"options": options(wanted.options, old.options), "extra": rows.merged(old.extra, extra)}
        row = await rows.change(session, user, "user", old.id, values)
    return json({"user": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    """With every role and membership."""
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:delete_user")
    await directory.remove_user(op, row.id)
    async with op.db.begin() as session:
        await bump(op, session)
        held = (assignment.c.actor_kind == "user") & (assignment.c.actor_id == row.id)
        await session.run(delete(assignment).where(held))
        await session.run(delete(failed_login).where(failed_login.c.user_id == row.id))
        await rows.remove(session, user, "user", row.id)
        await revocations.note(op, session, {"user_id": row.id})
    return empty()


async def groups(request: Request, op: Op) -> Reply:
    """The groups that a user is in."""
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:list_groups_for_user")
    await directory.look_around(op, USER, row.id)
    async with op.db.read() as session:
        wanted = select(group).where(
            group.c.id.in_(select(membership.c.group_id).where(membership.c.user_id == row.id)),
            *lists.conditions(request, {"name": group.c.name}),
        )
        found = await lists.page(session, wanted, group, request)
    return lists.listed(
        request, "groups", found, lambda row, base: group_view(row, base) | {"membership_expires_at": None}
    )
