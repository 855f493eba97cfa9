"""Users. A password is hashed before the transaction begins; changing it kills the tokens that the user has."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy import update as sql_update

from maldon.identity import lists, rows, tree
from maldon.identity.models.group import group, membership
from maldon.identity.models.role import assignment
from maldon.identity.models.user import user
from maldon.identity.passwords import Passwords
from maldon.identity.schemas.fields import given, load, options
from maldon.identity.schemas.user import ChangePassword, CreateUser, UpdateUser
from maldon.identity.verifier import bump
from maldon.identity.views.group import show as group_view
from maldon.identity.views.user import LISTED, listed
from maldon.identity.views.user import show as view
from maldon.kernel.errors import BadRequest, Stale, Unauthorized
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, empty, json

_FILTERS = {
    "name": user.c.name,
    "enabled": user.c.enabled,
    "domain_id": user.c.domain_id,
    "default_project_id": user.c.default_project_id,
}
_FIELDS = ("name", "enabled", "default_project_id")


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_users", {"target.domain_id": tree.listing_domain(op, request.param("domain_id"))})
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
    row = await session.first(select(user).where(user.c.id == request.path["user_id"]))
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
    password = None if wanted.password is None else await op.use(Passwords).hash(wanted.password)
    values = new_user(wanted.name, domain_id, password) | {
        **given(wanted, *_FIELDS),
        "options": options(wanted.options),
        "extra": extra or None,
    }
    async with op.db.begin() as session:
        await tree.domain(session, domain_id)
        row = await rows.add(session, user, "user", values)
    return json({"user": view(row, lists.api_base(request))}, 201)


def new_user(name: str, domain_id: str, password: str | None) -> dict[str, Any]:
    """A user's row; `password` is hashed."""
    return {
        "id": new_hex_id(),
        "name": name,
        "domain_id": domain_id,
        "enabled": True,
        "password": password,
        "tokens_from": 0,
    }


async def update(request: Request, op: Op) -> Reply:
    wanted, extra = await load(request, "user", UpdateUser)
    async with op.db.read() as session:
        old = await guarded(session, op, request, "identity:update_user")
    if given(wanted, "domain_id").get("domain_id", old.domain_id) != old.domain_id:
        raise BadRequest("domain_id cannot be changed.")
    values = given(wanted, *_FIELDS)
    if isinstance(wanted.password, str):
        values["password"] = await op.use(Passwords).hash(wanted.password)
    elif wanted.password is None:
        values["password"] = None
    if values.get("enabled") is False or "password" in values:
        values["tokens_from"] = op.clock.now()
    async with op.db.begin() as session:
        await bump(op, session)
        old = await rows.found(session, user, "user", old.id)
        values |= {"options": options(wanted.options, old.options), "extra": rows.merged(old.extra, extra)}
        row = await rows.change(session, user, "user", old.id, values)
    return json({"user": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    """With every role and membership."""
    async with op.db.begin() as session:
        await bump(op, session)
        row = await guarded(session, op, request, "identity:delete_user")
        held = (assignment.c.actor_kind == "user") & (assignment.c.actor_id == row.id)
        await session.run(delete(assignment).where(held))
        await rows.remove(session, user, "user", row.id)
    return empty()


async def change_password(request: Request, op: Op) -> Reply:
    """Whoever knows the old password may set a new one. It takes as long, and says as little, as a login."""
    wanted, _ = await load(request, "user", ChangePassword)
    passwords, id_ = op.use(Passwords), request.path["user_id"]
    async with op.db.read() as session:
        row = await session.first(select(user).where(user.c.id == id_))
    right, _ = await passwords.check(row.password if row is not None else None, wanted.original_password)
    if not right or row is None or not row.enabled:
        raise Unauthorized("The request you have made requires authentication.", internal=f"no such password: {id_}")
    if (row.options or {}).get("lock_password"):
        raise BadRequest("The password of this user is locked.")
    if wanted.password == wanted.original_password:
        raise BadRequest("The new password cannot be identical to the original password.")
    hashed = await passwords.hash(wanted.password)
    async with op.db.begin() as session:
        await bump(op, session)
        changed = sql_update(user).where(user.c.id == id_, user.c.password == row.password)
        if not await session.run(changed.values(password=hashed, tokens_from=op.clock.now())):
            raise Stale("The password has just been changed by somebody else.")
    return empty()


async def groups(request: Request, op: Op) -> Reply:
    """The groups that a user is in."""
    async with op.db.read() as session:
        row = await guarded(session, op, request, "identity:list_groups_for_user")
        wanted = select(group).where(
            group.c.id.in_(select(membership.c.group_id).where(membership.c.user_id == row.id)),
            *lists.conditions(request, {"name": group.c.name}),
        )
        found = await lists.page(session, wanted, group, request)
    return lists.listed(
        request, "groups", found, lambda row, base: group_view(row, base) | {"membership_expires_at": None}
    )
