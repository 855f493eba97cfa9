"""GET /crossdomain.xml: which other domains may use the store from a browser's plug-in."""

from collections.abc import Awaitable
from dataclasses import dataclass

from maldon.kernel.settings import option
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store


@dataclass(frozen=True, slots=True)
class CrossdomainSettings:
    policy: str = option('<allow-access-from domain="*" secure="false" />', "What stands in the cross-domain policy.")


def make(store: Store, below: Handler) -> Handler:
    policy = store.option(CrossdomainSettings).policy
    page = (
        '<?xml version="1.0"?>\n'
        '<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd" >\n'
        f"<cross-domain-policy>\n{policy}\n</cross-domain-policy>"
    ).encode()

    async def _page() -> Response:
        return Response(200, {"content-type": "application/xml"}, page)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.where == "/crossdomain.xml" and request.method in {"GET", "HEAD"}:
            return _page()
        return below(request)

    return handle


LAYER = Layer("crossdomain", make, lambda _store: {}, settings=CrossdomainSettings, marks=lambda _store: Marks())
