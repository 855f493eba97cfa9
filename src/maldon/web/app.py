"""Makes a `Service` answer over ASGI: one wrapper around every handler, one translation of every error.

The wrapper gives the request an id, negotiates the microversion, turns the token into an Actor, calls the handler with
an Op, sees to it that the route's rule was asked, counts and logs. A Stale error, somebody else having been quicker, is
tried again before the client hears of it. Whatever else escapes a handler is our bug: 500, a log line, no details.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import structlog
from falcon.routing import CompiledRouter

from maldon.kernel.clock import Clock
from maldon.kernel.errors import CloudError, MethodNotAllowed, NotFound, Stale, Unauthorized
from maldon.kernel.ids import new_request_id
from maldon.kernel.op import NOBODY, Actor, Database, Op, Rules
from maldon.web import metrics
from maldon.web.dialects import IDENTITY
from maldon.web.request import Reply, Request, no_such_path
from maldon.web.service import AUTHENTICATED, PUBLIC, Handler, Service

log = structlog.get_logger("http")
REPEATS = 5
BODILESS = frozenset({204, 304})


class Verifier(Protocol):
    """Turns a token into whoever holds it."""

    async def actor(self, token: str, service: str = "", method: str = "", path: str = "") -> Actor:
        """Whoever makes this call to one of our services.

        Raises Unauthorized for a token that is unknown, expired, revoked or not meant for such calls.
        """


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every request's Op is made of. `auth_url` is told to those who come without a token."""

    db: Database
    wake: Callable[[str], None]
    clock: Clock
    policy: Rules
    verifier: Verifier
    auth_url: str = ""
    kit: Mapping[type, Any] = field(default_factory=dict)


class App:
    """One service as an ASGI application. Paths are found by falcon's compiled tree; nothing else stands in between."""

    def __init__(self, service: Service, around: Surroundings) -> None:
        self._service, self._tree = service, CompiledRouter()
        for path, methods in service.routes.items():
            self._tree.add_route(path, _Resource(service, around, path, methods))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if self._service.ends_in_slash and path.endswith("/") and path != "/":
            path = scope["path"] = path[:-1]
        found = self._tree.find(path)
        if found is None:
            await self._refuse(scope, receive, send, no_such_path(path))
            return
        resource: Any = found[0]
        respond = resource.methods.get(scope["method"])
        if respond is not None:
            await respond(scope, receive, send, found[2])
        elif scope["method"] == "OPTIONS":
            reply = Reply(200, content_type="text/plain")
            await _deliver(send, reply, {"allow": resource.allow}, Request(scope, receive, {}))
        else:
            error = MethodNotAllowed("The method is not allowed for this resource.")
            error.headers = (("Allow", resource.allow),)
            await self._refuse(scope, receive, send, error)

    async def _refuse(self, scope: Any, receive: Any, send: Any, error: CloudError) -> None:
        request_id = new_request_id()
        request = Request(scope, receive, {})
        reply = _refusal(self._service, error, request_id, request)
        await _deliver(send, reply, _headers(self._service, reply, request_id), request)


class _Resource:
    """What stands at one path."""

    def __init__(
        self, service: Service, around: Surroundings, path: str, methods: Mapping[str, tuple[Handler, str]]
    ) -> None:
        self.methods = {m: _responder(service, around, path, *answered) for m, answered in methods.items()}
        self.allow = ", ".join(sorted({*methods, "OPTIONS"}))


def _bug(error: Exception) -> CloudError:
    """What is no refusal is our fault: noted, and answered without details."""
    log.error("bug", exc_info=error)
    return CloudError("An unexpected error prevented the server from fulfilling your request.", internal=repr(error))


def _refusal(service: Service, error: CloudError, request_id: str, request: Request) -> Reply:
    """An error as the service's API says it; who is not known hears it in identity's way everywhere."""
    status = service.dialect.status(error)
    shape = IDENTITY.shape if status == 401 else service.dialect.shape
    body, content_type = shape(status, error, request.header("Accept"), request_id)
    shaped = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    return Reply(status, shaped, (("X-Maldon-Error", error.code), *error.headers), content_type)


Responder = Callable[[Any, Any, Any, Mapping[str, str]], Awaitable[None]]


def _responder(service: Service, around: Surroundings, path: str, handler: Handler, rule: str) -> Responder:
    """What answers a method at a path, around one handler."""
    versions, say = service.versions, log.bind()
    unguarded = rule in {PUBLIC, AUTHENTICATED}

    async def respond(scope: Any, receive: Any, send: Any, variables: Mapping[str, str]) -> None:
        begun = time.perf_counter()
        request_id, actor = new_request_id(), NOBODY
        request = Request(scope, receive, variables)
        version = (0, 0)
        try:
            if versions is not None:
                version = versions.negotiate(
                    request.header("OpenStack-API-Version"),
                    request.header(versions.legacy_header) if versions.legacy_header else "",
                )
                request.version = version
            if rule != PUBLIC:
                actor = await _whoever(request, around.verifier, service.name)
            if variables:
                _check_path(variables)
            reply = await _answered(request, around, actor, request_id, version)
        except CloudError as error:
            if error.internal:
                log.info("refused", request_id=request_id, why=error.public, internal=error.internal)
            reply = _refusal(service, error, request_id, request)
            if reply.status == 401:
                asked = ("WWW-Authenticate", f'Keystone uri="{around.auth_url or request.base}"')
                reply.headers = (*reply.headers, asked)
        except Exception as error:  # noqa: BLE001 - the last resort: translated, logged, answered
            reply = _refusal(service, _bug(error), request_id, request)
        taken = time.perf_counter() - begun
        metrics.observe(service.name, request.method, path, reply.status, taken)
        say.info(
            "request",
            request_id=request_id,
            method=request.method,
            path=scope["path"],
            status=reply.status,
            ms=round(taken * 1000, 2),
            user=actor.user_id,
            project=actor.project_id,
        )
        await _deliver(send, reply, _headers(service, reply, request_id, version), request)

    async def _answered(
        request: Request, around: Surroundings, actor: Actor, request_id: str, version: tuple[int, int]
    ) -> Reply:
        for tried in range(REPEATS):
            op = Op(actor, request_id, around.db, around.wake, around.clock, around.policy, around.kit, version)
            try:
                reply = await handler(request, op)
            except Stale:
                if request.spent or tried + 1 == REPEATS:
                    raise
            else:
                if not unguarded and rule not in op.asked:
                    raise CloudError("The request was not authorized by a rule.", internal=f"{path} did not ask {rule}")
                return reply
        raise AssertionError

    return respond


async def _whoever(request: Request, verifier: Verifier, service: str) -> Actor:
    token = request.header("X-Auth-Token")
    if not token:
        raise Unauthorized("The request you have made requires authentication.")
    return await verifier.actor(token, service, request.method, request.plain_path)


def _check_path(variables: Mapping[str, str]) -> None:
    for value in variables.values():
        if not value or "\x00" in value or "\ufffd" in value or len(value) > 255:
            raise NotFound("The resource could not be found.")


def _headers(service: Service, reply: Reply, request_id: str, version: tuple[int, int] = (0, 0)) -> dict[str, str]:
    """All of an answer's headers but those of its body; names in lower case."""
    headers: dict[str, str] = {}
    if service.versions is not None and version != (0, 0):
        headers.update(service.versions.headers(version))
    for name, value in reply.headers:
        headers[name.lower()] = value
    for name in service.dialect.request_id_headers:
        headers[name.lower()] = request_id
    if vary := service.dialect.vary:
        headers["vary"] = f"{headers['vary']}, {vary}" if "vary" in headers else vary
    return headers


async def _deliver(send: Any, reply: Reply, headers: dict[str, str], request: Request) -> None:
    """The answer as ASGI messages. A HEAD is told the length of what a GET would bring."""
    stream = None if reply.stream is None else request.while_wanted(reply.stream)
    if reply.status not in BODILESS:
        headers["content-type"] = reply.content_type or "application/json"
        if stream is None:
            headers["content-length"] = str(len(reply.body))
    start = {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    if stream is None:
        await send(start)
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else reply.body})
        return
    try:
        await send(start)
        if request.method != "HEAD":
            async for piece in stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    finally:
        await stream.close()
