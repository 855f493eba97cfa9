"""OAuth 2.0 client credentials (RFC 6749, 4.4): an application credential is the client, a token of ours what it gets.

The client is named and proven in a Basic header or in the form. Refusals are in this API's own shape, not the RFC's.
"""

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

from maldon.identity.login import login
from maldon.identity.schemas.token import Auth, ByApplicationCredential, Proof
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request, json

_FORM = "application/x-www-form-urlencoded"
_MOST, _LONGEST_ID, _LONGEST_SECRET = 16_384, 255, 4096


async def create(request: Request, op: Op) -> Reply:
    form = await _form(request)
    if form.get("grant_type") != "client_credentials":
        raise BadRequest("grant_type must be client_credentials.")
    id_, secret = _client(request.header("Authorization"), form)
    if not 0 < len(id_) <= _LONGEST_ID or not 0 < len(secret) <= _LONGEST_SECRET:
        raise BadRequest("The client is named and proven by the id and the secret of an application credential.")
    shown = ByApplicationCredential(secret=secret, id=id_)
    proof = Proof(["application_credential"], application_credential=shown)
    text, verified = await login(op, request, Auth(proof))
    lasts = (verified.token.expires_at - op.clock.now()) // SECOND
    body = {"access_token": text, "expires_in": lasts, "token_type": "Bearer"}
    return json(body, headers=[("Cache-Control", "no-store"), ("Pragma", "no-cache")])


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
    """The client's id and secret. Raises BadRequest when it shows them in two ways, or in none that can be read."""
    kind, _, coded = header.partition(" ")
    in_form = "client_id" in form or "client_secret" in form
    if kind.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    if in_form:
        raise BadRequest("The client must show its secret in the header Authorization or in the form, not in both.")
    try:
        id_, _, secret = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
        return unquote_plus(id_, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeError) as error:
        raise BadRequest("The header Authorization is no Basic authentication.") from error
