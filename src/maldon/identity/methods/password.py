"""A password: what it takes for one to be right is in `accounts`."""

from maldon.identity.accounts import ACCOUNTS, proven
from maldon.identity.methods.proven import Proven
from maldon.identity.named import is_user
from maldon.identity.schemas.token import Proof
from maldon.kernel.op import Op
from maldon.web.request import Request


async def prove(op: Op, _request: Request, proof: Proof) -> Proven:
    """The user whose password it is."""
    assert proof.password is not None
    shown = proof.password.user
    return Proven(str((await proven(op, ACCOUNTS.where(is_user(shown)), shown.password)).id))
