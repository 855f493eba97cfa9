"""An application credential: its secret, and its id or its name and user.

Its check costs as much as that of a password, whether there is such a credential or not. It brings its scope along.
"""

from sqlalchemy import ColumnElement, select

from maldon.identity.methods.proven import Proven
from maldon.identity.models.application_credential import application_credential
from maldon.identity.named import chosen_user
from maldon.identity.passwords import Passwords
from maldon.identity.schemas.token import ByApplicationCredential, Proof
from maldon.identity.standing import REFUSED
from maldon.identity.token import Delegation, Scope
from maldon.kernel.errors import BadRequest, Unauthorized
from maldon.kernel.op import Op
from maldon.web.request import Request

_t = application_credential


async def prove(op: Op, _request: Request, proof: Proof) -> Proven:
    """The user of the credential, for the credential's project."""
    assert proof.application_credential is not None
    shown = proof.application_credential
    async with op.db.read() as session:
        row = await session.first(select(_t).where(_chosen(shown)))
    right, _ = await op.use(Passwords).check(row.secret if row is not None else None, shown.secret)
    if row is None or not right:
        raise Unauthorized(REFUSED, internal=f"no such application credential and secret: {shown.id or shown.name}")
    if row.expires_at is not None and row.expires_at <= op.clock.now():
        raise Unauthorized(REFUSED, internal=f"application credential {row.id} has expired")
    handed = Delegation("application_credential", row.id)
    return Proven(row.user_id, row.expires_at, delegation=handed, scope=Scope("project", row.project_id))


def _chosen(shown: ByApplicationCredential) -> ColumnElement[bool]:
    if shown.id is not None:
        return _t.c.id == shown.id
    if shown.name is None or shown.user is None:
        raise BadRequest("Expecting to find id, or name and user, in application_credential.")
    return (_t.c.name == shown.name) & _t.c.user_id.in_(chosen_user(shown.user))
