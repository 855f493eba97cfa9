"""Accounts: GET lists the containers, HEAD tells of the account, POST changes what it says.

An account that may come to be by itself is answered as an empty one until it does. PUT and DELETE are for reseller
admins, where the settings allow them; the reaper removes what a deleted account holds.
"""

from maldon.kernel.errors import Forbidden, MethodNotAllowed, NotFound
from maldon.objectstore import timestamp
from maldon.objectstore.node import Book, Query
from maldon.objectstore.proxy.books import changes, read_listing, shown_headers
from maldon.objectstore.proxy.container import ensure_account
from maldon.objectstore.proxy.listings import Listing, read_query
from maldon.objectstore.proxy.metadata import check_metadata, merged_metadata
from maldon.objectstore.proxy.names import check_names
from maldon.objectstore.proxy.quorum import heard, say
from maldon.objectstore.proxy.reply import HTML, Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

KEPT = ("x-account-access-control",)
OWNERS = ("x-account-meta-temp-url-key", "x-account-meta-temp-url-key-2", *KEPT)


async def get(store: Store, request: ObjectRequest) -> Response:
    """GET and HEAD: a Listing, its rows empty for HEAD."""
    store.permit(request, None)
    query = read_query(request, store.settings.account_listing_limit)
    book, json = await _listed(store, request, query if request.method == "GET" else Query(limit=0))
    headers = shown_headers(book, "account", () if request.owner or request.trusted else OWNERS)
    headers["x-account-container-count"] = str(book.containers)
    headers["x-account-object-count"] = str(book.objects)
    headers["x-account-bytes-used"] = str(book.size)
    for index, (containers, objects, size) in book.shares.items():
        if (policy := store.policies.get(index)) is not None:
            own = f"x-account-storage-policy-{policy.name.lower()}-"
            headers |= {f"{own}container-count": str(containers), f"{own}object-count": str(objects)}
            headers[f"{own}bytes-used"] = str(size)
    listing = Listing(book, headers, json)
    if json != b"[]":
        for row in listing.rows:
            policy = store.policies.get(row.pop("storage_policy", 0))
            if policy is not None:
                row["storage_policy"] = policy.name
    return listing


async def _listed(store: Store, request: ObjectRequest, query: Query) -> tuple[Book, bytes]:
    found = await read_listing(store, request, query)
    if found is not None:
        return found.book, found.json
    if await store.known.account_even_deleted(request.path) is not None or not store.settings.account_autocreate:
        raise NotFound("")
    check_names(request.path, store.settings)
    now = timestamp.stamp()
    return Book(request.path, now, now, 0, {}), b"[]"


async def post(store: Store, request: ObjectRequest) -> Response:
    """POST: metadata is merged, on an account made for it where need be."""
    path = request.path
    check_names(path, store.settings)
    store.permit(request, None)
    check_metadata(request.headers, "account", store.settings)
    wanted = changes(request, "account", KEPT, () if request.owner or request.trusted else OWNERS)
    seen = await store.known.account(path)
    merged_metadata(seen.headers if seen else {}, wanted, "account", store.settings)
    await ensure_account(store, request)
    place = store.placing.book(path)
    found = await say(store.placing, place, lambda node, spot, _: node.post_book(spot, path, request.timestamp, wanted))
    store.known.forget(path)
    heard(place, sum(found))
    return Response(204, {"content-type": HTML})


async def put(store: Store, request: ObjectRequest) -> Response:
    """PUT: 201 for a new account, 202 for one that is there, 403 for one that was deleted a moment ago."""
    path = request.path
    _managed(store)
    check_names(path, store.settings)
    store.permit(request, None)
    check_metadata(request.headers, "account", store.settings)
    wanted = changes(request, "account", KEPT, ())
    seen = await store.known.account_even_deleted(path)
    if seen is not None and seen.deleted:
        raise Forbidden("Recently deleted")
    place = store.placing.book(path)
    created = await say(
        store.placing, place, lambda node, spot, _: node.put_book(spot, path, request.timestamp, wanted)
    )
    store.known.forget(path)
    return Response(201 if any(created) else 202, {"content-type": HTML})


async def delete(store: Store, request: ObjectRequest) -> Response:
    """DELETE: it is gone for everybody at once; the reaper empties it."""
    path = request.path
    _managed(store)
    store.permit(request, None)
    if request.query:
        raise MethodNotAllowed("The parameters make this more than the removal of an account; it was not done.")
    place = store.placing.book(path)
    before = await say(store.placing, place, lambda node, spot, _: node.delete_book(spot, path, request.timestamp))
    store.known.forget(path)
    heard(place, sum(book is not None for book in before))
    if all(book is None or book.deleted for book in before):
        raise NotFound("")
    return Response(204, {"content-type": HTML})


def _managed(store: Store) -> None:
    if not store.settings.allow_account_management:
        raise MethodNotAllowed("")
