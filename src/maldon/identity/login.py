"""From what a client shows to a token.

Each method named in the body shows who it is (`methods`); all must show the same user, and be enough for the user's
rules (`receipt`). The token is dated before any of them looked, so that a change of a password meanwhile kills the
token too.
"""

from dataclasses import replace

from sqlalchemy import select

from maldon.identity.methods import METHODS as OFFERED
from maldon.identity.methods.proven import Proven
from maldon.identity.models.user import user
from maldon.identity.receipt import MoreNeeded, Receipt, rules_of, seal, show, suffices, unseal
from maldon.identity.schemas.token import Auth, Proof, ScopeRef
from maldon.identity.scopes import named_scope
from maldon.identity.settings import IdentitySettings
from maldon.identity.standing import REFUSED, USER, check_live
from maldon.identity.token import METHODS, UNSCOPED, Scope, Token, new_audit_id
from maldon.identity.verbs.trust import issue_by_trust
from maldon.identity.verifier import TokenVerifier, Verified
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest, Unauthorized
from maldon.kernel.op import Op
from maldon.web.request import Request


async def login(op: Op, request: Request, auth: Auth) -> tuple[str, Verified]:
    """A new token. Raises Unauthorized, never saying why."""
    now = op.clock.now()
    named = _named(auth.identity)
    proven = [await OFFERED[name](op, request, auth.identity) for name in named]
    if len({one.user_id for one in proven}) != 1 or len({one.delegation for one in proven} - {None}) > 1:
        raise Unauthorized(REFUSED, internal="the methods have shown several users or delegations")
    token = _token(op, now, named, proven)
    token = await _under_rules(op, token, request.header("OpenStack-Auth-Receipt"))
    return await _issue(op, token, proven, auth)


def _named(proof: Proof) -> list[str]:
    """The methods that the body names, each once."""
    for name in proof.methods:
        if name not in OFFERED:
            raise Unauthorized("Attempted to authenticate with an unsupported method.")
        if getattr(proof, name) is None:
            raise BadRequest(f"Expecting to find {name} in identity.")
    return list(dict.fromkeys(proof.methods))


def _token(op: Op, now: int, named: list[str], proven: list[Proven]) -> Token:
    """The token without a scope: it ends with whatever ends first of what was shown."""
    parent = next((one.parent for one in proven if one.parent is not None), None)
    lifetime = now + op.use(IdentitySettings).token_lifetime_s * SECOND
    return Token(
        proven[0].user_id,
        tuple(m for m in METHODS if m in named or (parent is not None and m in parent.methods)),
        UNSCOPED,
        now,
        min((lifetime, *(one.expires_at for one in proven if one.expires_at is not None))),
        (new_audit_id(), *(parent.audit_ids[-1:] if parent is not None else ())),
        next((one.delegation for one in proven if one.delegation is not None), None),
    )


async def _under_rules(op: Op, token: Token, receipt: str) -> Token:
    """The token with what the receipt says was shown before. Raises MoreNeeded when the user's rules ask for more."""
    keys = op.use(TokenVerifier).keys
    async with op.db.read() as session:
        holder = await session.first(USER, {"id": token.user_id})
    if receipt:
        before = unseal(keys, receipt, token.issued_at)
        if (
            before is None
            or before.user_id != token.user_id
            or holder is None
            or before.issued_at <= holder.tokens_from
        ):
            raise Unauthorized(REFUSED, internal="the receipt is none of ours, of somebody else, or out of date")
        token = replace(token, methods=tuple(m for m in METHODS if m in {*before.methods, *token.methods}))
    rules = rules_of(holder.options if holder is not None else None, OFFERED)
    if rules and not suffices(rules, token.methods):
        check_live(token, holder, "user")
        ends_at = token.issued_at + op.use(IdentitySettings).receipt_lifetime_s * SECOND
        given = Receipt(token.user_id, token.methods, token.issued_at, ends_at)
        raise MoreNeeded(seal(keys, given), show(given, holder, rules))
    return token


async def _issue(op: Op, token: Token, proven: list[Proven], auth: Auth) -> tuple[str, Verified]:
    """The token for the scope that was asked for, that a delegation brings along, or that is the user's default."""
    verifier, brought = op.use(TokenVerifier), next((one.scope for one in proven if one.scope is not None), None)
    if auth.scope is None:
        return await (_by_default(op, token) if brought is None else verifier.issue(replace(token, scope=brought)))
    if isinstance(auth.scope, ScopeRef) and auth.scope.trust is not None:
        return await issue_by_trust(op, token, auth.scope.trust.id)
    scope = await named_scope(op, auth.scope)
    if brought not in {None, scope}:
        raise Unauthorized("What was shown is for one project, and the scope asked for is another.")
    return await verifier.issue(replace(token, scope=scope))


async def _by_default(op: Op, token: Token) -> tuple[str, Verified]:
    """A token for the user's default project, or without a scope where there is none that can be used."""
    verifier = op.use(TokenVerifier)
    async with op.db.read() as session:
        chosen = await session.scalar(select(user.c.default_project_id).where(user.c.id == token.user_id))
    if chosen is not None:
        try:
            return await verifier.issue(replace(token, scope=Scope("project", chosen)))
        except Unauthorized:
            return await verifier.issue(token)
    return await verifier.issue(token)
