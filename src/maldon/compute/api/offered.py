"""What a microversion has: calls that came later or went, and query parameters that are refused since 2.75."""

from collections.abc import Collection

from maldon.kernel.errors import BadRequest, NotFound
from maldon.kernel.op import Op
from maldon.web.microversion import Version, text
from maldon.web.request import Request

STRICT = (2, 75)


def offered(op: Op, since: Version = (2, 1), until: Version = (9, 9)) -> None:
    """Go on if the version in force has the call. Raises NotFound."""
    if not since <= op.version <= until:
        span = f"since {text(since)}" if op.version < since else f"until {text(until)}"
        raise NotFound(f"The resource could not be found: this call is there {span}, not in {text(op.version)}.")


def only_parameters(request: Request, op: Op, known: Collection[str], since: Version = STRICT) -> None:
    """Refuse query parameters that the call does not know; earlier versions overlook them. Raises BadRequest."""
    unknown = {name for name, _ in request.query} - set(known) if op.version >= since else set()
    if unknown:
        raise BadRequest(
            f"Invalid input for query parameters. Additional properties are not allowed ({min(unknown)[:60]!r} was "
            "unexpected)"
        )
