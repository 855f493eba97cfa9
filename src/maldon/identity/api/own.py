"""The token that a request comes with, for handlers to which it matters how its holder came by it."""

from maldon.identity.verifier import TokenVerifier, Verified
from maldon.kernel.errors import Forbidden
from maldon.kernel.op import Op
from maldon.web.request import Request


async def own_token(request: Request, op: Op) -> Verified:
    """The asker's token and what it means."""
    return await op.use(TokenVerifier).verified(request.header("X-Auth-Token"))


def refuse_restricted(own: Verified) -> None:
    """What was handed on may not be turned into something that outlives it. Raises Forbidden."""
    if own.meaning.restricted:
        raise Forbidden("A token of a restricted application credential, or one that was delegated, may not do this.")
