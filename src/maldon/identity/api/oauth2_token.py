"""OAuth 2.0 client credentials (RFC 6749, 4.4): an application credential is the client, a token of ours what it gets.

The client is named and proven in a Basic header or in the form. Refusals have the RFC's shape (5.2), not that of the
rest of this API.
"""

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

import structlog

from maldon.identity import lists
from maldon.identity.login import login
from maldon.identity.schemas.token import Auth, ByApplicationCredential, Proof
from maldon.identity.standing import REFUSED
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest, CloudError, Unauthorized
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json

log = structlog.get_logger("identity")
_FORM = "application/x-www-form-urlencoded"
_UNSUPPORTED = "unsupported_grant_type"
_MOST, _LONGEST_ID, _LONGEST_SECRET = 16_384, 255, 4096


_GRANT = "client_credentials"
_NO_CACHE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))


async def create(request: Request, op: Op) -> Reply:
    try:
        return await _token(request, op)
    except CloudError as error:
        if error.status not in {400, 401, 413}:
            raise
        log.info("refused", request_id=op.request_id, why=error.public, internal=error.internal)
        return _refusal(request, error)


def _refusal(request: Request, error: CloudError) -> Reply:
    if isinstance(error, Unauthorized):
        body = {"error": "invalid_client", "error_description": "Client authentication failed."}
        where = ("WWW-Authenticate", f'Keystone uri="{lists.api_base(request)}"')
        return json(body, 401, [where, *_NO_CACHE])
    kind = error.code if error.code == _UNSUPPORTED else "invalid_request"
    return json({"error": kind, "error_description": error.public}, error.status, _NO_CACHE)


async def _token(request: Request, op: Op) -> Reply:
    form = await _form(request)
    grant = form.get("grant_type")
    if grant is None:
        raise BadRequest("The parameter grant_type is required.")
    if grant != _GRANT:
        raise BadRequest(f"The parameter grant_type {grant[:64]} is not supported.", code=_UNSUPPORTED)
    id_, secret = _client(request.header("Authorization"), form)
    if not 0 < len(id_) <= _LONGEST_ID or not 0 < len(secret) <= _LONGEST_SECRET:
        raise Unauthorized(REFUSED, internal="no application credential has such an id or secret")
    shown = ByApplicationCredential(secret=secret, id=id_)
    proof = Proof(["application_credential"], application_credential=shown)
    text, verified = await login(op, request, Auth(proof))
    lasts = (verified.token.expires_at - op.clock.now()) // SECOND
    body = {"access_token": text, "expires_in": lasts, "token_type": "Bearer"}
    return json(body, headers=_NO_CACHE)


async def _form(request: Request) -> dict[str, str]:
    """The fields of the body, each of which may be there once. Raises BadRequest."""
    if request.header("Content-Type").split(";")[0].strip().lower() != _FORM:
        raise BadRequest(f"The body must be a form, {_FORM}.")
    try:
        pairs = parse_qsl((await request.body(_MOST)).decode(), keep_blank_values=True, errors="strict")
    except UnicodeError as error:
        raise BadRequest("The form is no text in UTF-8.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs) or any("\x00" in value for value in fields.values()):
        raise BadRequest("A field of the form is there twice, or holds the character U+0000.")
    return fields


def _client(header: str, form: dict[str, str]) -> tuple[str, str]:
    """The client's id and secret. Raises BadRequest when it shows them in two ways, Unauthorized for an unread way."""
    kind, _, coded = header.partition(" ")
    if not kind:
        return form.get("client_id", ""), form.get("client_secret", "")
    if "client_id" in form or "client_secret" in form:
        raise BadRequest("The client must show its secret in the header Authorization or in the form, not in both.")
    if kind.lower() != "basic":
        raise Unauthorized(REFUSED, internal="the header Authorization is of another kind than Basic")
    try:
        id_, _, secret = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
        return unquote_plus(id_, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeError) as error:
        raise Unauthorized(REFUSED, internal="the header Authorization holds no id and secret") from error
