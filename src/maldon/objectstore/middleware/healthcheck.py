"""GET /healthcheck: OK while the proxy serves, 503 while a file says that it shall get no more work.

A load balancer asks here; an operator who drains a proxy makes the file.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

from maldon.kernel.settings import option
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store


@dataclass(frozen=True, slots=True)
class HealthcheckSettings:
    disable_path: str = option("", "File whose presence makes /healthcheck answer 503.")


def make(store: Store, below: Handler) -> Handler:
    disabled = Path(path) if (path := store.option(HealthcheckSettings).disable_path) else None

    async def _health() -> Response:
        text = {"content-type": "text/plain; charset=UTF-8"}
        if disabled is not None and disabled.exists():
            return Response(503, text, b"DISABLED BY FILE")
        return Response(200, text, b"OK")

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.where == "/healthcheck" and request.method in {"GET", "HEAD"}:
            return _health()
        return below(request)

    return handle


LAYER = Layer("healthcheck", make, settings=HealthcheckSettings, marks=lambda _store: Marks())
