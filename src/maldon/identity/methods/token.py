"""A token that somebody has already. The new one has its end and descends from it.

What is delegated stays what it is: a token of a trust makes no other, one of an application credential only its like.
"""

from maldon.identity.methods.proven import Proven
from maldon.identity.schemas.token import Proof
from maldon.identity.verifier import TokenVerifier
from maldon.kernel.errors import Forbidden, NotFound, Unauthorized
from maldon.kernel.op import Op
from maldon.web.request import Request


async def prove(op: Op, _request: Request, proof: Proof) -> Proven:
    """The user of the token."""
    assert proof.token is not None
    try:
        held = (await op.use(TokenVerifier).verified(proof.token.id)).token
    except Unauthorized as error:
        raise NotFound("Could not find token.", internal=error.internal) from error
    handed = held.delegation
    if handed is not None and handed.kind != "application_credential":
        raise Forbidden("A token that was delegated cannot be used to make another token.")
    return Proven(held.user_id, held.expires_at, held, handed, held.scope if handed is not None else None)
