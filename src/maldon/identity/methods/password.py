"""A password: what it takes for one to be right is in `accounts`, or with the domain's directory."""

from maldon.identity.accounts import ACCOUNTS, proven
from maldon.identity.methods.proven import Proven
from maldon.identity.named import is_user
from maldon.identity.schemas.token import Proof
from maldon.identity.verbs import directory
from maldon.kernel.op import Op
from maldon.web.request import Request


async def prove(op: Op, _request: Request, proof: Proof) -> Proven:
    """The user whose password it is."""
    assert proof.password is not None
    shown = proof.password.user
    if (outside := await directory.log_in(op, shown)) is not None:
        return Proven(outside)
    return Proven(str((await proven(op, ACCOUNTS.where(is_user(shown)), shown.password)).id))
