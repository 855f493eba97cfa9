"""Makes a `Service` answer over ASGI: one wrapper around every handler, one translation of every error.

The wrapper gives the request an id, negotiates the microversion, turns the token into an Actor, calls the handler with
an Op, sees to it that the route's rule was asked, counts and logs. A Stale error, somebody else having been quicker, is
tried again before the client hears of it. Whatever else escapes a handler is our bug: 500, a log line, no details.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import falcon
import falcon.asgi
import msgspec
import structlog

from maldon.kernel.clock import Clock
from maldon.kernel.errors import (
    BadRequest,
    CloudError,
    MethodNotAllowed,
    NotFound,
    Stale,
    TooLarge,
    Unauthorized,
    UnsupportedMedia,
)
from maldon.kernel.ids import new_request_id
from maldon.kernel.op import NOBODY, Actor, Database, Op, Rules
from maldon.web import metrics
from maldon.web.dialects import IDENTITY
from maldon.web.request import Reply, Request, no_such_path
from maldon.web.service import AUTHENTICATED, PUBLIC, Handler, Service

log = structlog.get_logger("http")
REPEATS = 5


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


def build(service: Service, around: Surroundings) -> falcon.asgi.App:  # type: ignore[type-arg]
    """The ASGI application of one service."""
    app: Any = falcon.asgi.App(media_type=falcon.MEDIA_JSON)
    app.req_options.strip_url_path_trailing_slash = service.ends_in_slash
    app.req_options.auto_parse_form_urlencoded = False
    app.resp_options.secure_cookies_by_default = True
    for path, methods in service.routes.items():
        resource = type("Resource", (), {})()
        for method, (handler, rule) in methods.items():
            setattr(resource, f"on_{method.lower()}", _responder(service, around, path, handler, rule))
        app.add_route(path, resource)

    async def refuse(_request: Any, response: Any, error: Exception, _params: Any, **_: Any) -> None:
        _say(service, response, _translated(error), new_request_id(), _request)

    async def absent(request: Any, _response: Any, **_: Any) -> None:
        raise no_such_path(request.path)

    app.add_sink(absent)
    app.add_error_handler((falcon.HTTPError, Exception), refuse)
    return app  # type: ignore[no-any-return]


def _translated(error: Exception) -> CloudError:
    """Falcon's own refusals in our words; anything unknown is a bug."""
    match error:
        case CloudError():
            return error
        case falcon.HTTPMethodNotAllowed():
            return MethodNotAllowed("The method is not allowed for this resource.")
        case falcon.HTTPNotFound() | falcon.HTTPRouteNotFound():
            return NotFound("The resource could not be found.")
        case falcon.HTTPPayloadTooLarge():
            return TooLarge("The body is too large.")
        case falcon.HTTPUnsupportedMediaType():
            return UnsupportedMedia("The media type is not supported here.")
        case falcon.HTTPError() if error.status_code < 500:
            return BadRequest(error.title or "The request cannot be understood.")
    log.error("bug", exc_info=error)
    return CloudError("An unexpected error prevented the server from fulfilling your request.", internal=repr(error))


def _say(service: Service, response: Any, error: CloudError, request_id: str, request: Any) -> None:
    """Shape an error the way the service's API does; who is not known hears it in identity's way everywhere."""
    status = service.dialect.status(error)
    shape = IDENTITY.shape if status == 401 else service.dialect.shape
    body, content_type = shape(status, error, request.get_header("Accept", default="") or "", request_id)
    response.status = falcon.code_to_http_status(status)
    response.data = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    response.content_type = content_type
    response.set_header("X-Maldon-Error", error.code)
    for name, value in error.headers:
        response.set_header(name, value)
    for name in service.dialect.request_id_headers:
        response.set_header(name, request_id)


def _responder(service: Service, around: Surroundings, path: str, handler: Handler, rule: str) -> Any:
    """The falcon responder around one handler."""
    dialect, versions = service.dialect, service.versions
    unguarded = rule in {PUBLIC, AUTHENTICATED}

    async def respond(falcon_request: Any, response: Any, **variables: str) -> None:
        begun = time.perf_counter()
        request_id, actor = new_request_id(), NOBODY
        request = Request(falcon_request, variables)
        try:
            version = (0, 0)
            if versions is not None:
                version = versions.negotiate(
                    request.header("OpenStack-API-Version"),
                    request.header(versions.legacy_header) if versions.legacy_header else "",
                )
                request.version = version
                for name, value in versions.headers(version):
                    response.set_header(name, value)
            if rule != PUBLIC:
                actor = await _whoever(request, around.verifier, service.name)
            _check_path(variables)
            reply = await _answered(request, around, actor, request_id, version)
            _send(response, reply, request)
            status = reply.status
        except CloudError as error:
            status = dialect.status(error)
            if error.internal:
                log.info("refused", request_id=request_id, why=error.public, internal=error.internal)
            _say(service, response, error, request_id, falcon_request)
            if status == 401:
                response.set_header("WWW-Authenticate", f'Keystone uri="{around.auth_url or request.base}"')
        except Exception as error:  # noqa: BLE001 - the last resort: translated, logged, answered
            fault = _translated(error)
            status = dialect.status(fault)
            _say(service, response, fault, request_id, falcon_request)
        for name in dialect.request_id_headers:
            response.set_header(name, request_id)
        if dialect.vary:
            response.append_header("Vary", dialect.vary)
        taken = time.perf_counter() - begun
        metrics.observe(service.name, falcon_request.method, path, status, taken)
        log.info(
            "request",
            request_id=request_id,
            method=falcon_request.method,
            path=falcon_request.path,
            status=status,
            ms=round(taken * 1000, 2),
            user=actor.user_id,
            project=actor.project_id,
        )

    async def _answered(
        request: Request, around: Surroundings, actor: Actor, request_id: str, version: tuple[int, int]
    ) -> Reply:
        for tried in range(REPEATS):
            op = Op(actor, request_id, around.db, around.wake, around.clock, around.policy, around.kit, version)
            try:
                reply = await handler(request, op)
            except Stale:
                if tried + 1 == REPEATS:
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


def _check_path(variables: dict[str, str]) -> None:
    for value in variables.values():
        if not value or "\x00" in value or "\ufffd" in value or len(value) > 255:
            raise NotFound("The resource could not be found.")


def _send(response: Any, reply: Reply, request: Request) -> None:
    response.status = falcon.code_to_http_status(reply.status)
    for name, value in reply.headers:
        response.set_header(name, value)
    if reply.content_type:
        response.content_type = reply.content_type
    if reply.stream is not None:
        response.stream = request.while_wanted(reply.stream)
    else:
        response.data = reply.body
