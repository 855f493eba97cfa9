"""How somebody may show who they are: one file for each method, and the table that a login looks in.

A method is given the request and what the body says for it, and returns who that is. It raises Unauthorized without a
reason for whoever is not, BadRequest for what makes no sense. Whether the user is enabled, and what the token means, is
seen later and is the same for all.
"""

from collections.abc import Awaitable, Callable, Mapping

from maldon.identity.methods import application_credential, external, oauth1, password, token, totp
from maldon.identity.methods.proven import Proven
from maldon.identity.schemas.token import Proof
from maldon.kernel.op import Op
from maldon.web.request import Request

Method = Callable[[Op, Request, Proof], Awaitable[Proven]]

METHODS: Mapping[str, Method] = {
    "password": password.prove,
    "token": token.prove,
    "totp": totp.prove,
    "application_credential": application_credential.prove,
    "external": external.prove,
    "oauth1": oauth1.prove,
}
