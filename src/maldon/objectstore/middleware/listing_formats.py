"""Listings become text here, above every layer that may have changed their rows."""

from collections.abc import Awaitable

from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.proxy.listings import Listing, chosen_format, write
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store


def make(_store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.is_object or request.method not in {"GET", "HEAD"}:
            return below(request)
        return _written(request)

    async def _written(request: ObjectRequest) -> Response:
        if request.path.account:
            chosen_format(request)  # before any work: who accepts nothing of ours hears it at once
        response = await below(request)
        return write(response, request) if isinstance(response, Listing) else response

    return handle


LAYER = Layer("listing_formats", make, marks=lambda _store: Marks())
