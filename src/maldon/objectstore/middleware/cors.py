"""Cross-origin requests of browsers: the preflight OPTIONS, and the headers that let a script see an answer.

A container lets origins in by its metadata X-Container-Meta-Access-Control-Allow-Origin (words between blanks, or `*`),
-Expose-Headers, -Max-Age and, for origins that it names, -Allow-Credentials; the settings may let some in everywhere.
In strict mode other origins get no CORS headers.
"""

from collections.abc import Awaitable

from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered
from maldon.objectstore.node import Book
from maldon.objectstore.proxy.core import allowed
from maldon.objectstore.proxy.reply import Response, refusal
from maldon.objectstore.proxy.request import TRUE, ObjectRequest
from maldon.objectstore.proxy.store import Store

META = "x-container-meta-access-control-"
SIMPLE = (
    "cache-control", "content-language", "content-type", "expires", "last-modified", "pragma",
    "etag", "x-timestamp", "x-trans-id", "x-openstack-request-id",
)  # fmt: skip


def make(store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.method == "OPTIONS" and request.path.account:
            return _preflight(request)
        if "origin" in request.headers and request.path.container:
            return _shared(request)
        return below(request)

    async def _preflight(request: ObjectRequest) -> Response:
        headers = {"allow": allowed(store, request)}
        origin = request.headers.get("origin")
        if not origin or not request.path.container:
            return Response(200, headers)
        book = await store.known.container(request.path)
        method = request.headers.get("access-control-request-method", "")
        admitted = _admitted(store, book, origin)
        if not admitted or method not in headers["allow"].split(", "):
            return refusal(401, "", headers)
        headers |= {
            "access-control-allow-origin": admitted,
            "access-control-allow-methods": headers["allow"],
            "vary": "Origin, Access-Control-Request-Headers",
        }
        headers |= _credentials(book, admitted)
        if asked := request.headers.get("access-control-request-headers"):
            headers["access-control-allow-headers"] = ", ".join(w.strip() for w in asked.split(",") if w.strip())
        if age := _meta(book, "max-age"):
            headers["access-control-max-age"] = age
        return Response(200, headers)

    async def _shared(request: ObjectRequest) -> Response:
        response = await answered(below, request)
        book = await store.known.container(request.path)
        origin = request.headers["origin"]
        admitted = _admitted(store, book, origin)
        if not admitted and store.settings.strict_cors_mode:
            return response
        seen = [*SIMPLE, *(n for n in response.headers if n.startswith(("x-object-meta-", "x-container-meta-")))]
        seen += [name.strip().lower() for name in store.settings.cors_expose_headers]
        seen += _meta(book, "expose-headers").lower().replace(",", " ").split()
        response.headers.setdefault("access-control-expose-headers", ", ".join(dict.fromkeys(seen)))
        response.headers.setdefault("access-control-allow-origin", admitted or origin)
        response.headers |= _credentials(book, admitted)
        if admitted != "*":
            response.headers.setdefault("vary", "Origin")
        return response

    return handle


def _meta(book: Book | None, name: str) -> str:
    return book.headers[META + name][0] if book is not None and META + name in book.headers else ""


def _admitted(store: Store, book: Book | None, origin: str) -> str:
    """The Access-Control-Allow-Origin for an origin, "" when it is not let in."""
    words = [*_meta(book, "allow-origin").split(), *store.settings.cors_allow_origin]
    return "*" if "*" in words else origin if origin in words else ""


def _credentials(book: Book | None, admitted: str) -> dict[str, str]:
    """Whether scripts may send what the browser knows of its user: never those of just any origin."""
    wanted = admitted not in {"", "*"} and _meta(book, "allow-credentials").lower() in TRUE
    return {"access-control-allow-credentials": "true"} if wanted else {}


LAYER = Layer("cors", make, marks=lambda _store: Marks(asked=("origin",)))
