"""What most requests are: a plain PUT, GET, HEAD or DELETE of an object that no layer has anything to do with.

They pass by all layers at once. A layer says by its `Marks` what its business is; a run of layers that do is left out
where none of their marks is on the request, on its account or on its container, and no parameter was given. What
an object is (a manifest, a link) shows when it has been read: a reading that finds a mark is done again through the
layers. What is known of an account or container by heart is enough here; who is met first goes through them all.
"""

from collections.abc import Awaitable, Sequence
from itertools import chain

from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.node import Book
from maldon.objectstore.proxy.object import PLAIN
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

READS, WRITES = {"GET", "HEAD"}, {"PUT", "DELETE"}


def around(store: Store, core: Handler, layers: Sequence[Layer]) -> Handler:
    """The core with layers around it, outermost first."""
    handler = base = core
    run: list[Marks] = []
    for layer in reversed(layers):
        marks = layer.marks(store) if layer.marks is not None else None
        if marks is not None:
            run.append(marks)
            handler = layer.make(store, handler)
            continue
        below = passing(store, base, handler, run) if run else handler
        made = layer.make(store, below)
        if made is not below:  # otherwise it has nothing to do, as it is set
            handler = base = made
            run = []
    return passing(store, base, handler, run) if run else handler


def passing(store: Store, base: Handler, layers: Handler, run: Sequence[Marks]) -> Handler:
    """`layers` around `base` where one of the marks of these layers is met, otherwise `base` alone."""
    asked, held = ({*chain(*found)} for found in ([one.asked for one in run], [one.object for one in run]))
    kept = tuple(chain(*(one.account + one.container for one in run)))

    def marked(book: Book | None) -> bool:
        return book is None or (bool(book.headers) and any(name.startswith(kept) for name in book.headers))

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        path, headers = request.path, request.headers
        if not path.object or request.is_marked or not asked.isdisjoint(headers):
            return layers(request)
        reads = request.method in READS
        if not reads and request.method not in WRITES:
            return layers(request)
        if kept:
            _, container, account = store.known.books(request)
            if marked(container) or marked(account):
                return layers(request)
        if not reads or not held:
            return base(request)
        return _read(request) if PLAIN.isdisjoint(headers) else layers(request)

    async def _read(request: ObjectRequest) -> Response:
        response = await base(request)
        if held.isdisjoint(response.headers):
            return response
        await response.close()
        return await layers(request)

    return handle
