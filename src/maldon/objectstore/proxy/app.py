"""The proxy as an ASGI application: reads a request, has the chain answer it, writes the answer.

Every answer has a transaction id. A refusal becomes its page here, an exception that is none becomes 500 and a line in
the log. A body in pieces ends when the client hangs up; when it cannot be read to its end the connection is closed, so
that nobody takes a part for the whole.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import structlog

from maldon.kernel.errors import CloudError
from maldon.objectstore.middleware.chain import chain, layers_on
from maldon.objectstore.middleware.layer import Handler, refused
from maldon.objectstore.proxy.core import core
from maldon.objectstore.proxy.information import Information
from maldon.objectstore.proxy.reply import Response, refusal, wire_name
from maldon.objectstore.proxy.request import new_trans_id, read_request
from maldon.objectstore.proxy.store import Store
from maldon.web import metrics

log = structlog.get_logger("object.proxy")
BODILESS = {204, 304}
TRANS_ID, REQUEST_ID = wire_name("x-trans-id"), wire_name("x-openstack-request-id")


class Proxy:
    """See the module."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.handler: Handler = chain(store, core(store))
        self._information = Information(store, layers_on(store))
        self._timeout_s = store.settings.client_timeout_s
        self._logs = store.settings.access_log

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        begun = time.perf_counter()
        trans_id, where = "", ""
        try:
            request = read_request(scope, receive, self._timeout_s)
            where = request.where
            trans_id = request.trans_id = new_trans_id(request.headers.get("x-trans-id-extra", ""))
            response = self._information(request) if where == "/info" else await self.handler(request)
            if request.headers.get("connection", "").lower() == "keep-alive":
                response.headers["connection"] = "keep-alive"
        except CloudError as error:
            response = refused(error)
            self._note(error, trans_id, where)
        except (OSError, TimeoutError) as error:  # a node, or a disk
            response = refusal(503)
            log.warning("failed", trans_id=trans_id, path=where, error=repr(error))
        except Exception:
            log.exception("bug", trans_id=trans_id, method=scope["method"], path=where)
            response = refusal(500)
        trans_id = trans_id or new_trans_id()
        await self._send(scope["method"], response, trans_id, receive, send)
        taken = time.perf_counter() - begun
        metrics.observe("object-store", scope["method"], "", response.status, taken)
        if self._logs:
            log.info(
                "request", trans_id=trans_id, method=scope["method"], path=where, status=response.status,
                ms=round(taken * 1000, 2),
            )  # fmt: skip

    def _note(self, error: CloudError, trans_id: str, where: str) -> None:
        if error.internal or (error.status >= 500 and error.status != 501):
            log.warning("refused", trans_id=trans_id, path=where, status=error.status, internal=error.internal)

    async def _send(self, method: str, response: Response, trans_id: str, receive: Any, send: Any) -> None:
        headers, body = response.headers, response.body
        if response.status == 204:
            headers["content-length"] = "0"  # as Swift has it
        elif response.status not in BODILESS and isinstance(body, bytes) and "content-length" not in headers:
            headers["content-length"] = str(len(body))
        try:
            wire = [(wire_name(name), value.encode()) for name, value in headers.items()]
        except UnicodeEncodeError:  # bytes that were no text when they came in
            wire = [(wire_name(name), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]
        tid = trans_id.encode()
        wire += ((TRANS_ID, tid), (REQUEST_ID, tid))
        await send({"type": "http.response.start", "status": response.status, "headers": wire})
        if method == "HEAD" or response.status in BODILESS:
            await response.close()
            body = b""
        if isinstance(body, bytes):
            await send({"type": "http.response.body", "body": body})
        else:
            await _stream(body, receive, send)


async def _hang_up(receive: Any) -> None:
    """Until the client does; what it still sends is not wanted."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(body: AsyncIterator[bytes], receive: Any, send: Any) -> None:
    """Piece by piece, until it ends or nobody listens."""
    hung_up = asyncio.ensure_future(_hang_up(receive))
    try:
        async for piece in body:
            if hung_up.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        hung_up.cancel()
        if close := getattr(body, "aclose", None):
            await close()
