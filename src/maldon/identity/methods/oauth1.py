"""OAuth 1.0a: a request signed with an access token, for the token's project with the token's roles."""

from maldon.identity.methods.proven import Proven
from maldon.identity.models.oauth1 import access_token
from maldon.identity.schemas.token import Proof
from maldon.identity.token import Delegation, Scope
from maldon.identity.verbs import oauth1 as verbs
from maldon.kernel.op import Op
from maldon.web.request import Request


async def prove(op: Op, request: Request, _proof: Proof) -> Proven:
    """The user who authorized the access token."""
    asked = verbs.read(request)
    async with op.db.begin() as session:
        row = await verbs.check(op, session, asked, access_token)
    handed = Delegation("oauth1", row.id)
    return Proven(row.user_id, row.expires_at, delegation=handed, scope=Scope("project", row.project_id))
