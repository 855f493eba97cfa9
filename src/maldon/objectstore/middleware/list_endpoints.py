"""GET /endpoints/…: on which disks an account, a container or an object is, for programs that work next to the data.

/endpoints/<a>[/<c>[/<o>]] and /endpoints/v1/… answer a list of addresses, /endpoints/v2/… that list and the headers a
storage node wants. It tells where everything is: off unless asked for.
"""

from collections.abc import Awaitable
from urllib.parse import quote

import msgspec

from maldon.kernel.errors import BadRequest, MethodNotAllowed, NotFound
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store


def make(store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.where.startswith("/endpoints/"):
            return _endpoints(request)
        return below(request)

    async def _endpoints(request: ObjectRequest) -> Response:
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed("")
        version, path = _path(request.where)
        policy = 0
        if path.object:
            container = await store.known.container(path)
            if container is None:
                raise NotFound("")
            policy = container.policy
        place = store.placing.object(path, policy) if path.object else store.placing.book(path)
        found = [
            f"http://{device.address}/{device.device}/{place.spot(device).partition}{quote(str(path))}"
            for device in place.primaries
        ]
        headers = {"X-Backend-Storage-Policy-Index": str(policy)} if path.object else {}
        body = msgspec.json.encode(found if version == "v1" else {"endpoints": found, "headers": headers})
        return Response(200, {"content-type": "application/json"}, body)

    return handle


def _path(where: str) -> tuple[str, Path]:
    """The version of the answer, and the path asked about. Raises BadRequest."""
    parts = where.split("/")[2:]
    version = parts.pop(0) if parts and parts[0] in {"v1", "v1.0", "v2", "v2.0"} else "v1"
    account, container, name = (*parts[:2], "/".join(parts[2:])) if len(parts) > 2 else (*parts, "", "")[:3]
    if not account or (name and not container):
        raise BadRequest("No account specified")
    return version[:2], Path(account, container, name)


LAYER = Layer("list_endpoints", make, marks=lambda _store: Marks())
