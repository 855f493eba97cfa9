"""How the proxy is put together: layers around a core, each a handler around a handler.

    def make(store: Store, below: Handler) -> Handler:
        def handle(request):  # not async: for requests that only pass no coroutine is made
            if request.method != "COPY":
                return below(request)
            return _copy(store, below, request)  # the async function that does the work
        return handle

    LAYER = Layer("copy", make)

A layer is made once per process. `store` has the settings, the policies, what is known of accounts and containers, the
verifier of tokens and the placing. `chain.py` has the order. A layer's `info` is its section of /info.

*Subrequests.* `below(request.derive("GET", path, ...))` asks the layers below with the same asker, so that one needs
the permission; `trusted=True` when the layer answers for it. `headers` are lower-case names. Refusals of the
core are raised as CloudErrors and pass through layers; whoever wants a Response in any case calls
`await answered(below, request)`.

*Bodies.* `request.body` is read once: `await request.body.whole(limit)` or `async for piece in request.body`; to
replace it, set `request.body = Given(iterator, length)`. A response's `body` is bytes, or an async iterator that is
closed whether or not it was read to its end; `Response.close()` for one that is thrown away. Set `content-length` too.

*Listings.* A GET of an account or container comes up as a `Listing`: rows, not yet text. Layers change its `rows`
(dicts as JSON shows them); `listing_formats` writes them.

*Facts about a container or account* (settings kept as metadata): the Book `await store.known.container(request.path)`
has headers that map `x-container-sysmeta-…` to (value, timestamp). What clients must not set or see is sysmeta:
`gatekeeper` takes it off at the front door, in both directions.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maldon.kernel.errors import CloudError
from maldon.objectstore.proxy.reply import Response, refusal
from maldon.objectstore.proxy.request import ObjectRequest

if TYPE_CHECKING:
    from maldon.objectstore.proxy.store import Store

Handler = Callable[[ObjectRequest], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Marks:
    """By what a layer knows a request for an object that is its business, parameters and methods beside PUT, GET, HEAD
    and DELETE apart: names of headers `asked` with, names (or how they begin) of those kept with the `account` or the
    `container`, names of those kept with an `object` that is read.
    """

    asked: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    container: tuple[str, ...] = ()
    object: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """`info` gives the layer's section of /info; without it, or where it gives None, there is none. `settings` is the
    class of its options: they are the section [object-<name>] of the settings file and come by `store.option(…)`.
    `marks` says what is the layer's business, so that the rest may pass it by (`passing.py`); everything is, where
    there is none or it gives None.
    """

    name: str
    make: "Callable[[Store, Handler], Handler]"
    info: "Callable[[Store], dict[str, Any] | None] | None" = None
    settings: type[Any] | None = None
    marks: "Callable[[Store], Marks | None] | None" = None


async def answered(handler: Handler, request: ObjectRequest) -> Response:
    """The answer, a refusal too."""
    try:
        return await handler(request)
    except CloudError as error:
        return refused(error)


def refused(error: CloudError) -> Response:
    """A refusal as an answer. Of an error that is ours the page says nothing more."""
    headers = {"x-maldon-error": error.code, **{name.lower(): value for name, value in error.headers}}
    return refusal(error.status, "" if error.status >= 500 and error.status != 507 else error.public, headers)
