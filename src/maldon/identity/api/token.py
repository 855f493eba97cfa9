"""Tokens: a login makes one, anybody entitled may look at one, its holder may revoke it."""

from sqlalchemy import delete, insert, select

from maldon.identity import lists, tree
from maldon.identity.api import project as projects
from maldon.identity.login import login
from maldon.identity.models.token import revoked
from maldon.identity.receipt import MoreNeeded
from maldon.identity.schemas.token import Login
from maldon.identity.settings import IdentitySettings
from maldon.identity.verifier import TokenVerifier, Verified, bump
from maldon.identity.views.project import show_domain
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import Forbidden, NotFound, Unauthorized
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, empty, json


async def create(request: Request, op: Op) -> Reply:
    wanted = await request.load(Login)
    try:
        text, verified = await login(op, request, wanted.auth)
    except MoreNeeded as more:
        asked = ("WWW-Authenticate", f'Keystone uri="{request.base}"')
        return json(more.body, 401, [asked, ("Openstack-Auth-Receipt", more.receipt)])
    body = verified.body(catalog=request.param("nocatalog") is None)
    return Reply(201, body, [("X-Subject-Token", text)])


async def show(request: Request, op: Op) -> Reply:
    return await _look(request, op, "identity:validate_token")


async def check(request: Request, op: Op) -> Reply:
    return await _look(request, op, "identity:check_token")


async def _look(request: Request, op: Op, rule: str) -> Reply:
    verified = await _subject(request, op)
    op.may(rule, {"target.token.user_id": verified.token.user_id})
    if verified.meaning.rules is not None and not request.header("OpenStack-Identity-Access-Rules"):
        raise NotFound("Could not find token.", internal="whoever asks does not say that it obeys access rules")
    catalog = not request.query_string or request.param("nocatalog") is None
    return Reply(200, verified.body(catalog=catalog), [("X-Subject-Token", request.header("X-Subject-Token"))])


async def _subject(request: Request, op: Op) -> Verified:
    """The token that is asked about. Raises NotFound for one that is not valid."""
    verifier, text = op.use(TokenVerifier), request.header("X-Subject-Token")
    if not text:
        raise NotFound("There is no header X-Subject-Token.")
    try:
        if request.query_string and lists.flag(request, "allow_expired"):
            return await verifier.verified_though_expired(text)
        return await verifier.verified(text)
    except Unauthorized as error:
        raise NotFound("Could not find token.", internal=error.internal) from error


async def revoke(request: Request, op: Op) -> Reply:
    token = (await _subject(request, op)).token
    op.may("identity:revoke_token", {"target.token.user_id": token.user_id})
    audit_id = token.audit_ids[0]
    async with op.db.begin() as session:
        await bump(op, session)
        past = op.clock.now() - op.use(IdentitySettings).expired_window_s * SECOND  # no look-up reaches further back
        await session.run(delete(revoked).where(revoked.c.expires_at < past))
        if await session.first(select(revoked).where(revoked.c.audit_id == audit_id)) is None:
            made = {"audit_id": audit_id, "expires_at": token.expires_at, "revoked_at": op.clock.now()}
            await session.run(insert(revoked).values(**made))
    return empty()


async def catalog(request: Request, op: Op) -> Reply:
    op.may("identity:get_auth_catalog")
    own = await op.use(TokenVerifier).verified(request.header("X-Auth-Token"))
    if own.token.scope.kind == "unscoped":
        raise Forbidden("A token for a project, a domain or the system is needed to see the catalog.")
    return json({"catalog": own.catalog(), "links": lists.links(request)})


async def own_projects(request: Request, op: Op) -> Reply:
    op.may("identity:get_auth_projects")
    async with op.db.read() as session:
        found = await tree.projects_of(session, op.actor.user_id, enabled=True)
        return await projects.listed(session, request, found)


async def own_domains(request: Request, op: Op) -> Reply:
    op.may("identity:get_auth_domains")
    async with op.db.read() as session:
        found = await tree.domains_of(session, op.actor.user_id)
    return lists.listed(request, "domains", found, show_domain)


async def own_system(request: Request, op: Op) -> Reply:
    op.may("identity:get_auth_system")
    async with op.db.read() as session:
        may = await tree.has_system(session, op.actor.user_id)
    return json({"system": [{"all": True}] if may else [], "links": lists.links(request)})
