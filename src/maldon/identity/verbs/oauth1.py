"""OAuth 1.0a, step by step: a consumer asks, a user authorizes, the consumer exchanges, then acts.

Every signed request is taken once and near its time. A wrong signature and an unknown key are told alike.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, delete, insert, update

from maldon.identity import rows
from maldon.identity.credential_keys import CredentialKeys
from maldon.identity.models.oauth1 import access_token, consumer, request_token, used_nonce
from maldon.identity.models.project import project
from maldon.identity.plan import oauth1 as plan
from maldon.identity.settings import IdentitySettings
from maldon.identity.standing import REFUSED
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest, Duplicate, Forbidden, NotFound, Unauthorized
from maldon.kernel.ids import new_hex_id
from maldon.kernel.op import Op, Session
from maldon.web.request import Request

_NOTHING = "0" * 64


@dataclass(frozen=True, slots=True)
class Issued:
    """A token of either kind, with its secret."""

    id: str
    secret: str
    expires_at: int


def read(request: Request) -> plan.Signed:
    """The request as it was signed. Raises BadRequest."""
    query = f"?{request.query_string}" if request.query_string else ""
    return plan.read(request.method, f"{request.base}{request.url}{query}", request.header("Authorization"))


def new_secret() -> str:
    """What requests are signed with."""
    return secrets.token_hex(32)


async def check(op: Op, session: Session, asked: plan.Signed, kind: Table | None = None) -> Any:
    """The row of the token that the request was signed with, a row of `kind`; that of its consumer without one.

    Raises Unauthorized.
    """
    client = await rows.first(session, consumer, {"id": asked.said["consumer_key"]})
    token = None if kind is None else await _token(op, session, kind, asked)
    hidden = [row.sealed if row is not None else None for row in (client, token)]
    known = client is not None and (kind is None or token is not None)
    opened = [_opened(op, sealed) for sealed in (hidden if kind is not None else hidden[:1])]
    if not plan.right(asked, opened[0], opened[1] if kind is not None else "") or not known:
        raise Unauthorized(REFUSED, internal=f"no consumer {asked.said['consumer_key'][:40]} has signed this")
    await _take_once(op, session, asked)
    return client if kind is None else token


def _opened(op: Op, sealed: str | None) -> str:
    return op.use(CredentialKeys).reveal(sealed) or _NOTHING


async def _token(op: Op, session: Session, kind: Table, asked: plan.Signed) -> Any:
    """The consumer's token that the request names and that has not expired, or None."""
    key = {"id": asked.said.get("token", ""), "consumer_id": asked.said["consumer_key"]}
    row = await rows.first(session, kind, key)
    return None if row is None or row.expires_at <= op.clock.now() else row


async def _take_once(op: Op, session: Session, asked: plan.Signed) -> None:
    """Refuse a request that is out of its time or came before."""
    now, window = op.clock.now(), op.use(IdentitySettings).signature_window_s * SECOND
    if abs(now - asked.timestamp * SECOND) > window:
        raise Unauthorized("The request was signed too long ago, or in the future. Check the clock, and sign it anew.")
    await session.run(delete(used_nonce).where(used_nonce.c.expires_at < now))
    named = (asked.said["consumer_key"], asked.said.get("token", ""), asked.said["timestamp"], asked.said["nonce"])
    id_ = hashlib.sha256("\n".join(named).encode()).hexdigest()
    try:
        await session.run(insert(used_nonce).values(id=id_, expires_at=now + 2 * window))
    except Duplicate as error:
        raise Unauthorized("This very request was made before. Sign it anew.") from error


async def ask(op: Op, session: Session, asked: plan.Signed, project_id: str) -> Issued:
    """A request token for a project. Raises Unauthorized, NotFound."""
    client = await check(op, session, asked)
    await rows.found(session, project, "project", project_id)
    lifetime = op.use(IdentitySettings).request_token_s
    await session.run(delete(request_token).where(request_token.c.expires_at < op.clock.now()))
    return await _issue(op, session, request_token, lifetime, {"consumer_id": client.id, "project_id": project_id})


async def _issue(op: Op, session: Session, kind: Table, lifetime_s: int, values: Mapping[str, Any]) -> Issued:
    made = Issued(new_hex_id(), new_secret(), op.clock.now() + lifetime_s * SECOND)
    sealed = op.use(CredentialKeys).hide(made.secret)
    await session.run(insert(kind).values(id=made.id, sealed=sealed, expires_at=made.expires_at, **values))
    return made


async def authorize(op: Op, session: Session, id_: str, user_id: str, wanted: Iterable[str], held: set[str]) -> str:
    """The verifier with which the consumer gets its access token. `held` are the roles the user has on the project."""
    row = await pending(op, session, id_)
    role_ids = sorted(set(wanted))
    if missing := set(role_ids) - held:
        raise Unauthorized(f"You do not have the role {min(missing)} on the project of the request token.")
    verifier = secrets.token_hex(8)
    values = {"user_id": user_id, "role_ids": role_ids, "verifier_hash": _hash(verifier)}
    await session.run(update(request_token).where(request_token.c.id == row.id).values(**values))
    return verifier


async def pending(op: Op, session: Session, id_: str) -> Any:
    """The row of a request token that can still be authorized. Raises NotFound, Forbidden."""
    row = await rows.first(session, request_token, {"id": id_})
    if row is None or row.expires_at <= op.clock.now():
        raise NotFound(f"Could not find request token: {id_[:64]}.")
    if row.user_id is not None:
        raise Forbidden("This request token was authorized already. Ask for another.")
    return row


def _hash(verifier: str) -> str:
    return hashlib.sha256(verifier.encode()).hexdigest()


async def exchange(op: Op, session: Session, asked: plan.Signed) -> Issued:
    """An access token for an authorized request token, which is used up by that. Raises BadRequest, Unauthorized."""
    if "verifier" not in asked.said:
        raise BadRequest("oauth_verifier is missing in the header Authorization.")
    row = await check(op, session, asked, request_token)
    if not hmac.compare_digest(row.verifier_hash or "", _hash(asked.said["verifier"])):
        raise Unauthorized(REFUSED, internal=f"request token {row.id} has another verifier, or none")
    if not await session.run(delete(request_token).where(request_token.c.id == row.id)):
        raise Unauthorized(REFUSED, internal=f"request token {row.id} has just been used")
    values = {name: getattr(row, name) for name in ("consumer_id", "project_id", "user_id", "role_ids")}
    return await _issue(op, session, access_token, op.use(IdentitySettings).access_token_s, values)


async def granted(session: Session, user_id: str, id_: str) -> Any:
    """The row of an access token that the user has authorized. Raises NotFound."""
    missing = f"Could not find access token: {id_[:64]}."
    return await rows.need(session, access_token, {"id": id_, "user_id": user_id}, missing)
