"""The innermost handler: which verb of which thing a request is."""

from collections.abc import Awaitable, Callable, Mapping

from maldon.kernel.errors import MethodNotAllowed, NotFound, PreconditionFailed
from maldon.objectstore.middleware.layer import Handler
from maldon.objectstore.proxy import account, container
from maldon.objectstore.proxy import object as object_
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

Verb = Callable[[Store, ObjectRequest], Awaitable[Response]]
OBJECT: Mapping[str, Verb] = {
    "GET": object_.get, "HEAD": object_.get, "PUT": object_.put, "POST": object_.post, "DELETE": object_.delete,
}  # fmt: skip
CONTAINER: Mapping[str, Verb] = {
    "GET": container.get, "HEAD": container.get, "PUT": container.put, "POST": container.post,
    "DELETE": container.delete,
}  # fmt: skip
ACCOUNT: Mapping[str, Verb] = {
    "GET": account.get, "HEAD": account.get, "PUT": account.put, "POST": account.post, "DELETE": account.delete,
}  # fmt: skip


def verbs(request: ObjectRequest) -> Mapping[str, Verb]:
    """Those of the thing a request names. Raises NotFound for what is nowhere in the store."""
    path = request.path
    if path.object:
        return OBJECT
    if path.container:
        return CONTAINER
    if path.account:
        return ACCOUNT
    if "/" not in request.where.strip("/"):  # a version, or nothing that is one
        raise PreconditionFailed("Bad URL")
    raise NotFound("")


def allowed(store: Store, request: ObjectRequest) -> str:
    """The methods that the thing has, as Allow says them."""
    names = set(verbs(request)) | {"OPTIONS"}
    if request.is_object:
        names.add("COPY")
    if request.is_account and not store.settings.allow_account_management:
        names -= {"PUT", "DELETE"}
    return ", ".join(sorted(names))


def core(store: Store) -> Handler:
    """The handler below all layers."""

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        verb = verbs(request).get(request.method)
        if verb is None:
            error = MethodNotAllowed("")
            error.headers = (("Allow", allowed(store, request)),)
            raise error
        return verb(store, request)

    return handle
