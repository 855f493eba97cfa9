"""The three steps by which a consumer gets an access token, and the access tokens of a user."""

from urllib.parse import urlencode

from sqlalchemy import delete, select

from maldon.identity import lists, revocations, rows
from maldon.identity.api.own import own_token, refuse_restricted
from maldon.identity.models.oauth1 import access_token
from maldon.identity.models.project import project
from maldon.identity.models.role import role
from maldon.identity.models.user import user
from maldon.identity.named import role_id
from maldon.identity.plan.effective import closure
from maldon.identity.schemas.oauth1 import Authorize
from maldon.identity.standing import roles_at
from maldon.identity.token import Scope
from maldon.identity.verbs import oauth1 as verbs
from maldon.identity.verifier import bump
from maldon.identity.views.oauth1 import access_token as view
from maldon.identity.views.role import brief
from maldon.kernel.clock import micros_text
from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json


async def ask(request: Request, op: Op) -> Reply:
    """A request token for the project in the header Requested-Project-Id, for whoever signs as a consumer."""
    project_id = request.header("Requested-Project-Id")
    if not project_id or len(project_id) > 64:
        raise BadRequest("The header Requested-Project-Id must name the project to act on.")
    asked = verbs.read(request)
    async with op.db.begin() as session:
        return _told(await verbs.ask(op, session, asked, project_id))


async def exchange(request: Request, op: Op) -> Reply:
    """An access token for a request token that a user has authorized."""
    asked = verbs.read(request)
    async with op.db.begin() as session:
        return _told(await verbs.exchange(op, session, asked))


def _told(made: verbs.Issued) -> Reply:
    """As the protocol tells it: a form."""
    body = {
        "oauth_token": made.id,
        "oauth_token_secret": made.secret,
        "oauth_expires_at": micros_text(made.expires_at) + "Z",
    }
    return Reply(201, urlencode(body).encode(), content_type="application/x-www-form-urlencoded")


async def authorize(request: Request, op: Op) -> Reply:
    """Let the consumer act for the asker, with roles that the asker has on the project."""
    op.may("identity:authorize_request_token")
    wanted, own = await request.load(Authorize), await own_token(request, op)
    refuse_restricted(own)
    id_, user_id = request.path["request_token_id"], own.token.user_id
    async with op.db.begin() as session:
        row = await verbs.pending(op, session, id_)
        parent_id = await session.scalar(select(project.c.parent_id).where(project.c.id == row.project_id))
        held = closure(await roles_at(session, user_id, Scope("project", row.project_id), parent_id), own.world.implied)
        roles = [await role_id(session, one) for one in wanted.roles]
        verifier = await verbs.authorize(op, session, id_, user_id, roles, held)
    return json({"token": {"oauth_verifier": verifier}})


async def index(request: Request, op: Op) -> Reply:
    op.may("identity:list_access_tokens")
    wanted = select(access_token).where(access_token.c.user_id == request.path["user_id"])
    async with op.db.read() as session:
        await rows.found(session, user, "user", request.path["user_id"])
        found = await lists.page(session, wanted, access_token, request)
    return lists.listed(request, "access_tokens", found, view)


async def show(request: Request, op: Op) -> Reply:
    op.may("identity:get_access_token")
    async with op.db.read() as session:
        row = await verbs.granted(session, request.path["user_id"], request.path["access_token_id"])
    return json({"access_token": view(row, lists.api_base(request))})


async def remove(request: Request, op: Op) -> Reply:
    """And whatever tokens were had for it."""
    op.may("identity:delete_access_token")
    async with op.db.begin() as session:
        await bump(op, session)
        row = await verbs.granted(session, request.path["user_id"], request.path["access_token_id"])
        await session.run(delete(access_token).where(access_token.c.id == row.id))
        await revocations.note(op, session, {"access_token_id": row.id})
    return empty()


async def roles(request: Request, op: Op) -> Reply:
    op.may("identity:list_access_token_roles")
    async with op.db.read() as session:
        row = await verbs.granted(session, request.path["user_id"], request.path["access_token_id"])
        found = await lists.page(session, select(role).where(role.c.id.in_(row.role_ids)), role, request)
    return lists.listed(request, "roles", found, _role)


def _role(row: object, base: str) -> dict[str, object]:
    return brief(row, base) | {"domain_id": getattr(row, "domain_id", None) or None}


async def role_of(request: Request, op: Op) -> Reply:
    op.may("identity:get_access_token_role")
    id_ = request.path["role_id"]
    async with op.db.read() as session:
        token = await verbs.granted(session, request.path["user_id"], request.path["access_token_id"])
        row = await session.first(select(role).where(role.c.id == id_)) if id_ in token.role_ids else None
    if row is None:
        raise NotFound(f"The access token does not give the role {id_[:64]}.")
    return json({"role": _role(row, lists.api_base(request))})
