"""The front of a process: which service answers a connection.

On the shared port the first path segment says it ("/compute/v2.1/…"); on a service's native port everything is its own.
Beside the services there are /healthz (the process runs), /readyz (it can serve) and /metrics.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from maldon.web import metrics

App = Callable[[Any, Any, Any], Awaitable[None]]


class Front:
    """An ASGI application over several. `by_prefix` maps "compute" to its app; `by_port` a native port to one."""

    def __init__(
        self, by_prefix: Mapping[str, App], by_port: Mapping[int, App], ready: Callable[[], dict[str, str]]
    ) -> None:
        self._by_prefix, self._by_port, self._ready = by_prefix, by_port, ready

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        app = self._by_port.get(scope["server"][1]) if scope["server"] else None
        if app is not None:
            await app(scope, receive, send)
            return
        _, segment, *rest = scope["path"].split("/", 2) if scope["path"].startswith("/") else ("", scope["path"])
        app = self._by_prefix.get(segment)
        if app is None:
            await self._own(segment, send)
            return
        scope["root_path"] = f"/{segment}"
        scope["path"] = "/" + (rest[0] if rest else "")
        await app(scope, receive, send)

    async def _own(self, segment: str, send: Any) -> None:
        match segment:
            case "healthz":
                await _answer(send, 200, b"ok\n", b"text/plain")
            case "readyz":
                problems = self._ready()
                await _answer(send, 503 if problems else 200, msgspec.json.encode(problems), b"application/json")
            case "metrics":
                await _answer(send, 200, metrics.page(), b"text/plain; version=0.0.4")
            case "":
                listing = {"services": {name: f"/{name}" for name in sorted(self._by_prefix)}}
                await _answer(send, 200, msgspec.json.encode(listing), b"application/json")
            case _:
                known = ", ".join(f"/{name}" for name in sorted(self._by_prefix))
                await _answer(send, 404, f"There is nothing here; there are {known}.\n".encode(), b"text/plain")


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Any, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
