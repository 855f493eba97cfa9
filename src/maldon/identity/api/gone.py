"""What the API had while tokens were signed documents: the calls are known, and answered as gone."""

from maldon.kernel.errors import Gone
from maldon.kernel.op import Op
from maldon.web.request import Reply, Request


async def certificates(_request: Request, _op: Op) -> Reply:
    """The certificates that such tokens were checked with."""
    raise Gone("There are no signed tokens any more, so there are no certificates to check them with.")


async def revocations(_request: Request, op: Op) -> Reply:
    """The list of such tokens that were revoked."""
    op.may("identity:revocation_list")
    raise Gone("There are no signed tokens any more. /v3/OS-REVOKE/events lists what was revoked.")
