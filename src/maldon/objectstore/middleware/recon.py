"""GET /recon/…: what this node says of itself, as storage nodes do: see recon/answers. Off unless asked for, because a
proxy is asked by the whole world.
"""

from collections.abc import Awaitable

from maldon.kernel.errors import MethodNotAllowed, NotFound
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.recon.answers import PREFIX


def make(store: Store, below: Handler) -> Handler:
    async def _answer(request: ObjectRequest) -> Response:
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed("")
        found = None if store.recon is None else await store.recon.answer(request.where.removeprefix(PREFIX))
        if found is None:
            raise NotFound("")
        return Response(200, {"content-type": "application/json"}, found)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.where.startswith(PREFIX):
            return _answer(request)
        return below(request)

    return handle


LAYER = Layer("recon", make, marks=lambda _store: Marks())
