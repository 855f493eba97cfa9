"""What accounts and containers have in common: the headers they keep, the headers they show, their listings."""

from collections.abc import Sequence
from dataclasses import replace

from maldon.objectstore.node import Book, Listing, Query
from maldon.objectstore.proxy.known import dates
from maldon.objectstore.proxy.quorum import Living, ask, ask_all
from maldon.objectstore.proxy.request import TRUE, ObjectRequest
from maldon.objectstore.proxy.store import Store
from maldon.objectstore.proxy.times import http_date
from maldon.objectstore.timestamp import text


def changes(request: ObjectRequest, kind: str, kept: Sequence[str], owners: Sequence[str]) -> dict[str, str]:
    """What a PUT or POST changes of the headers; "" takes one away, as does its X-Remove- twin."""
    prefixes = (f"x-{kind}-meta-", f"x-{kind}-sysmeta-")
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        if name.startswith("x-remove-"):
            bare = "x-" + name[len("x-remove-") :]
            if bare.startswith(prefixes) or bare in kept:
                found.setdefault(bare, "")
        elif name.startswith(prefixes) or name in kept:
            found[name] = value
    return {name: value for name, value in found.items() if name not in owners}


def shown_headers(book: Book, kind: str, hidden: Sequence[str]) -> dict[str, str]:
    """What a GET or HEAD says of it, totals aside."""
    headers = {name: value for name, (value, _) in book.headers.items() if value and name not in hidden}
    headers["x-timestamp"] = text(book.created_at)
    headers["accept-ranges"] = "bytes"
    if kind == "container":
        changed = max((at for _, at in book.headers.values()), default=0)
        headers["last-modified"] = http_date(max(book.put_at, changed))
    return headers


def _inside(query: Query) -> Query:
    """The object that stands for the directory itself is not in it."""
    if query.reverse:
        return replace(query, end_marker=max(query.end_marker, query.prefix))
    return replace(query, marker=max(query.marker, query.prefix))


async def read_listing(store: Store, request: ObjectRequest, query: Query) -> Listing | None:
    """The book and its rows; None when there is none. `path=` lists one level of a tree of pseudo-directories."""
    path, place = request.path, store.placing.book(request.path)
    level = request.query.get("path")
    if level is not None:
        folder = level.rstrip("/") + "/" if level else ""
        query = _inside(replace(query, prefix=folder, delimiter="/", leaves=True))
    if request.headers.get("x-newest", "").lower() in TRUE:
        answers = await ask_all(store.placing, place, lambda node, spot, _: node.list_json(spot, path, query))
        found = max(answers, key=lambda one: one.book.put_at, default=None)
    else:
        found = await ask(
            store.placing,
            place,
            lambda node, spot, _: node.list_json(spot, path, query),
            Living[Listing](lambda one: dates(one.book)),
        )
    return None if found is None or found.book.deleted else found
