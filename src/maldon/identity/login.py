"""From what a client shows to a token.

A password is checked as long, and answered as shortly, whether the user exists or not. The token is dated before the
password was read, so that a change of it meanwhile kills the token too.
"""

from typing import Any

from sqlalchemy import Select, select

from maldon.identity.accounts import ACCOUNTS, DOMAIN, proven
from maldon.identity.meaning import REFUSED
from maldon.identity.models.project import project
from maldon.identity.models.user import user
from maldon.identity.schemas.token import Auth, DomainRef, ProjectRef, ScopeRef, UserRef
from maldon.identity.settings import IdentitySettings
from maldon.identity.token import METHODS, UNSCOPED, Scope, Token, new_audit_id
from maldon.identity.verifier import TokenVerifier, Verified
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest, NotFound, NotOffered, Unauthorized
from maldon.kernel.op import Op


async def login(op: Op, auth: Auth) -> tuple[str, Verified]:
    """A new token. Raises Unauthorized, never saying why."""
    now = op.clock.now()
    verifier, lifetime = op.use(TokenVerifier), op.use(IdentitySettings).token_lifetime_s
    methods = _methods(auth)
    parent = await _parent(verifier, auth) if "token" in methods else None
    user_id = await _by_password(op, auth) if "password" in methods else None
    if parent is not None and user_id not in {None, parent.token.user_id}:
        raise Unauthorized(REFUSED, internal="the token and the password are of two users")
    token = Token(
        parent.token.user_id if parent is not None else user_id or "",
        tuple(m for m in METHODS if m in methods or (parent is not None and m in parent.token.methods)),
        UNSCOPED,
        now,
        parent.token.expires_at if parent is not None else now + lifetime * SECOND,
        (new_audit_id(), *(parent.token.audit_ids[-1:] if parent is not None else ())),
    )
    if auth.scope is None:
        return await _by_default(op, verifier, token)
    return await verifier.issue(_scoped(token, await _scope(op, auth.scope)))


def _scoped(token: Token, scope: Scope) -> Token:
    return Token(token.user_id, token.methods, scope, token.issued_at, token.expires_at, token.audit_ids)


def _methods(auth: Auth) -> set[str]:
    proof = auth.identity
    for name in proof.methods:
        if name not in type(proof).__struct_fields__ or name not in METHODS:
            raise Unauthorized("Attempted to authenticate with an unsupported method.")
        if getattr(proof, name) is None:
            raise BadRequest(f"Expecting to find {name} in identity.")
    return set(proof.methods)


async def _parent(verifier: TokenVerifier, auth: Auth) -> Verified:
    assert auth.identity.token is not None
    try:
        return await verifier.verified(auth.identity.token.id)
    except Unauthorized as error:
        raise NotFound("Could not find token.", internal=error.internal) from error


async def _by_password(op: Op, auth: Auth) -> str:
    """The id of the user whose password it is. Raises Unauthorized; whether the user is enabled is seen later."""
    assert auth.identity.password is not None
    shown = auth.identity.password.user
    return str((await proven(op, _chosen_user(shown), shown.password)).id)


def _chosen_user(shown: UserRef) -> Select[Any]:
    if shown.id is not None:
        return ACCOUNTS.where(user.c.id == shown.id)
    if shown.name is None or shown.domain is None:
        raise BadRequest("Expecting to find id, or name and domain, in user.")
    return ACCOUNTS.where(user.c.name == shown.name, _in_domain(shown.domain))


def _in_domain(shown: DomainRef) -> Any:
    if shown.id is not None:
        return DOMAIN.c.id == shown.id
    if shown.name is None:
        raise BadRequest("Expecting to find id or name in domain.")
    return (DOMAIN.c.name == shown.name) & DOMAIN.c.is_domain.is_(True)


async def _by_default(op: Op, verifier: TokenVerifier, token: Token) -> tuple[str, Verified]:
    """A token for the user's default project, or without a scope where there is none that can be used."""
    async with op.db.read() as session:
        chosen = await session.scalar(select(user.c.default_project_id).where(user.c.id == token.user_id))
    if chosen is not None:
        try:
            return await verifier.issue(_scoped(token, Scope("project", chosen)))
        except Unauthorized:
            return await verifier.issue(token)
    return await verifier.issue(token)


async def _scope(op: Op, shown: ScopeRef | str) -> Scope:
    """What the scope of a request names. Raises BadRequest, Unauthorized."""
    if isinstance(shown, str):
        return UNSCOPED
    if shown.trust is not None:
        raise NotOffered("Trusts are not offered by this cloud.")
    given = [s for s in (shown.project, shown.domain, shown.system, shown.unscoped) if s is not None]
    if len(given) != 1:
        raise BadRequest("A scope is exactly one of project, domain, system or unscoped.")
    if shown.system is not None:
        if not shown.system.all:
            raise BadRequest("The scope of the system is all of it.")
        return Scope("system")
    if shown.project is not None:
        return Scope("project", await _place(op, _chosen_project(shown.project)))
    if shown.domain is not None:
        chosen = select(DOMAIN.c.id).where(_in_domain(shown.domain), DOMAIN.c.is_domain.is_(True))
        return Scope("domain", await _place(op, chosen))
    return UNSCOPED


def _chosen_project(shown: ProjectRef) -> Select[Any]:
    if shown.id is not None:
        return select(project.c.id).where(project.c.id == shown.id)
    if shown.name is None or shown.domain is None:
        raise BadRequest("Expecting to find id, or name and domain, in project.")
    return (
        select(project.c.id)
        .join_from(project, DOMAIN, DOMAIN.c.id == project.c.domain_id)
        .where(project.c.name == shown.name, _in_domain(shown.domain))
    )


async def _place(op: Op, chosen: Select[Any]) -> str:
    async with op.db.read() as session:
        id_ = await session.scalar(chosen)
    if id_ is None:
        raise Unauthorized(REFUSED, internal="there is no such project or domain")
    return str(id_)
