"""What only the store itself may say does not come in, and does not go out: sysmeta and the headers of the inside.

A container's metadata names starting `x-container-sysmeta-` and their kin belong to layers. A client's X-Timestamp is
kept aside as `x-backend-inbound-x-timestamp`, for container sync.
"""

from collections.abc import Awaitable
from functools import lru_cache

from maldon.objectstore.middleware.layer import Handler, Layer
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

INSIDE = (
    "x-account-sysmeta-", "x-container-sysmeta-", "x-object-sysmeta-", "x-object-transient-sysmeta-", "x-backend",
)  # fmt: skip


@lru_cache(maxsize=1024)
def is_inside(name: str) -> bool:
    """Whether a header is none of the outside's business: the same few names are asked for again and again."""
    return name.startswith(INSIDE)


def make(_store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        headers = request.headers
        for name in [name for name in headers if is_inside(name)]:
            del headers[name]
        if (said := headers.pop("x-timestamp", None)) is not None:
            headers["x-backend-inbound-x-timestamp"] = said
        return _without_inside(request)

    async def _without_inside(request: ObjectRequest) -> Response:
        response = await below(request)
        headers = response.headers
        for name in [name for name in headers if is_inside(name)]:
            del headers[name]
        return response

    return handle


LAYER = Layer("gatekeeper", make)
