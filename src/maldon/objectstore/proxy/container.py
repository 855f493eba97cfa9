"""Containers: GET lists the objects, HEAD tells of the container, PUT makes it, POST changes what it says, DELETE
removes an empty one.

Its account comes to be with its first container, and is told of each.
"""

from maldon.kernel.errors import BadRequest, Conflict, NotFound
from maldon.objectstore.node import UNCOUNTED, Book, Query, Row
from maldon.objectstore.path import Path
from maldon.objectstore.proxy import acl
from maldon.objectstore.proxy.books import changes, read_listing, shown_headers
from maldon.objectstore.proxy.listings import Listing, read_query
from maldon.objectstore.proxy.metadata import check_metadata, merged_metadata
from maldon.objectstore.proxy.names import check_names
from maldon.objectstore.proxy.quorum import heard, say
from maldon.objectstore.proxy.reply import HTML, Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

ACLS = ("x-container-read", "x-container-write")
KEPT = (*ACLS, "x-container-sync-to", "x-container-sync-key", "x-versions-location", "x-history-location")
OWNERS = (
    *ACLS, "x-container-sync-to", "x-container-sync-key",
    "x-container-meta-temp-url-key", "x-container-meta-temp-url-key-2",
)  # fmt: skip
"""What only owners see."""


async def get(store: Store, request: ObjectRequest) -> Response:
    """GET and HEAD: a Listing, its rows empty for HEAD."""
    path = request.path
    seen = await store.known.container(path)
    store.permit(request, seen, "x-container-read")
    query = read_query(request, store.settings.container_listing_limit)
    if await _account(store, path) is None:
        raise NotFound("")
    found = await read_listing(store, request, query if request.method == "GET" else Query(limit=0))
    if found is None:
        raise NotFound("")
    book = found.book
    headers = shown_headers(book, "container", () if request.owner or request.trusted else OWNERS)
    headers["x-container-object-count"] = str(book.objects)
    headers["x-container-bytes-used"] = str(book.size)
    if (policy := store.policies.get(book.policy)) is not None:
        headers["x-storage-policy"] = policy.name
    return Listing(book, headers, found.json)


async def put(store: Store, request: ObjectRequest) -> Response:
    """PUT: 201 for a new one, 202 for one that was there."""
    path = request.path
    check_names(path, store.settings)
    seen = await store.known.container(path)
    store.permit(request, seen)
    wanted = _wanted(store, request, seen)
    policy = _policy(store, request, seen)
    await ensure_account(store, request)
    place = store.placing.book(path)
    created = await say(
        store.placing, place, lambda node, spot, _: node.put_book(spot, path, request.timestamp, wanted, policy)
    )
    store.known.forget(path)
    kept = policy if policy is not None else seen.policy if seen is not None else 0
    await _tell_account(store, path, Row(path.container, request.timestamp, policy=kept, measured_at=UNCOUNTED))
    return Response(201 if any(created) else 202, {"content-type": HTML})


def _wanted(store: Store, request: ObjectRequest, seen: Book | None) -> dict[str, str]:
    """The headers to be kept. Raises BadRequest."""
    check_metadata(request.headers, "container", store.settings)
    wanted = changes(request, "container", KEPT, () if request.owner or request.trusted else OWNERS)
    for name in ACLS:
        if wanted.get(name):
            wanted[name] = acl.clean(name, wanted[name])
    merged_metadata(seen.headers if seen else {}, wanted, "container", store.settings)
    return wanted


def _policy(store: Store, request: ObjectRequest, seen: Book | None) -> int | None:
    """Index of the policy a PUT asks for; None for one that asks for none and is there. Raises BadRequest, Conflict."""
    name = request.headers.get("x-storage-policy")
    if not name:
        return None if seen else store.policies.default.index
    policy = store.policies.named(name)
    if policy is None:
        raise BadRequest(
            f"Invalid X-Storage-Policy {name[:100]!r}; there are {', '.join(p.name for p in store.policies)}."
        )
    if policy.deprecated and seen is None:
        raise BadRequest(f"Storage Policy {policy.name!r} is deprecated")
    if seen is not None and seen.policy != policy.index:
        raise Conflict(f"The container keeps the storage policy {store.policies[seen.policy].name!r} it was made with.")
    return policy.index


async def post(store: Store, request: ObjectRequest) -> Response:
    """POST: metadata and access lists are merged."""
    path = request.path
    seen = await store.known.container(path)
    store.permit(request, seen)
    wanted = _wanted(store, request, seen)
    if seen is None:
        raise NotFound("")
    place = store.placing.book(path)
    found = await say(store.placing, place, lambda node, spot, _: node.post_book(spot, path, request.timestamp, wanted))
    store.known.forget(path)
    heard(place, sum(found))
    if not any(found):
        raise NotFound("")
    return Response(204, {"content-type": HTML})


async def delete(store: Store, request: ObjectRequest) -> Response:
    """DELETE: 409 while there are objects in it."""
    path = request.path
    store.permit(request, await store.known.container(path))
    place = store.placing.book(path)
    try:
        before = await say(store.placing, place, lambda node, spot, _: node.delete_book(spot, path, request.timestamp))
    except Conflict as error:
        raise Conflict("", internal=error.public) from error  # the page that clients know
    finally:
        store.known.forget(path)
    heard(place, sum(book is not None for book in before))
    if all(book is None or book.deleted for book in before):
        raise NotFound("")
    await _tell_account(store, path, Row(path.container, request.timestamp, deleted=True))
    return Response(204, {"content-type": HTML})


async def _account(store: Store, path: Path) -> Book | None:
    return await store.known.account(path)


async def ensure_account(store: Store, request: ObjectRequest) -> None:
    """Make the account if it may come to be by itself. Raises NotFound when it was deleted, or may not."""
    account = Path(request.path.account)
    book = await store.known.account_even_deleted(account)
    if book is not None and not book.deleted:
        return
    if book is not None or not store.settings.account_autocreate:
        raise NotFound("")
    place = store.placing.book(account)
    headers = {name: value for name, value in request.headers.items() if name.startswith("x-account-sysmeta-")}
    await say(store.placing, place, lambda node, spot, _: node.put_book(spot, account, request.timestamp, headers))
    store.known.forget(account)


async def _tell_account(store: Store, path: Path, row: Row) -> None:
    """Have the account list it, or list it no more."""
    account = Path(path.account)
    place = store.placing.book(account)
    await say(store.placing, place, lambda node, spot, _: node.update_book(spot, account, [row]))
    store.known.forget(account)
