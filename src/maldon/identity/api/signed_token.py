"""Tokens for signed requests, asked for by the EC2 and S3 services that received those."""

from maldon.identity.plan import signature, signed_time
from maldon.identity.schemas.credential import Ec2Login, S3Login
from maldon.identity.schemas.credential import Signed as Shown
from maldon.identity.settings import IdentitySettings
from maldon.identity.signed_login import login_signed
from maldon.identity.verifier import Verified
from maldon.kernel.clock import SECOND
from maldon.kernel.errors import BadRequest
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request


async def ec2(request: Request, op: Op) -> Reply:
    wanted = await request.load(Ec2Login)
    op.may("identity:ec2tokens_validate")
    shown = wanted.credentials or wanted.ec2_credentials
    if shown is None:
        raise BadRequest("Expecting to find credentials in request body.")
    asked = _signed(shown)
    made = await login_signed(op, asked.access, lambda secret: signature.right(secret, asked))
    signed_time.check_request(asked, op.clock.now(), _window(op))
    return _token(*made)


async def s3(request: Request, op: Op) -> Reply:
    shown = (await request.load(S3Login)).credentials
    op.may("identity:s3tokens_validate")
    text = signature.decoded(shown.token)
    made = await login_signed(op, shown.access, lambda secret: signature.right_text(secret, text, shown.signature))
    signed_time.check_text(text, op.clock.now(), _window(op))
    return _token(*made)


def _signed(shown: Shown) -> signature.Signed:
    headers = {name.lower(): value for name, value in shown.headers.items()}
    return signature.Signed(
        shown.access,
        shown.signature,
        shown.host,
        shown.verb,
        shown.path,
        shown.params,
        headers,
        shown.body_hash or "",
    )


def _window(op: Op) -> int:
    return op.use(IdentitySettings).signature_window_s * SECOND


def _token(text: str, verified: Verified) -> Reply:
    return Reply(200, verified.body(catalog=True), [("X-Subject-Token", text)])
