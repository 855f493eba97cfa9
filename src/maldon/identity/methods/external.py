"""Somebody else has looked: a web server in front of this one names the user in a header.

Off unless the operator names that header, for whoever can reach this API past the web server could write it too.
"""

from maldon.identity.methods.proven import Proven
from maldon.identity.named import chosen_user
from maldon.identity.schemas.token import DomainRef, NamedUser, Proof
from maldon.identity.settings import IdentitySettings
from maldon.identity.standing import REFUSED
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Op
from maldon.web.request import Request


async def prove(op: Op, request: Request, _proof: Proof) -> Proven:
    """The user whom the header names, in the domain that the settings name."""
    settings = op.use(IdentitySettings)
    name = request.header(settings.external_header) if settings.external_header else ""
    if not name:
        raise Unauthorized(REFUSED, internal="no web server in front has named a user")
    domain = DomainRef(id=settings.external_domain_id)
    async with op.db.read() as session:
        id_ = await session.scalar(chosen_user(NamedUser(name=name, domain=domain)))
    if id_ is None:
        raise Unauthorized(REFUSED, internal=f"the web server in front has named {name[:255]!r}, whom nobody knows")
    return Proven(str(id_))
