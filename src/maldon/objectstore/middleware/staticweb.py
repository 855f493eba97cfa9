"""Containers as web sites, for those who come without a token (or with X-Web-Mode: true).

Metadata of the container turns it on: Web-Index names the page of a folder, Web-Listings shows what is in a folder
without one, Web-Error is the end of the names of pages shown for refusals (404error.html). A folder's address without
its slash is redirected to the one with it. Access lists decide as ever; listings need `.rlistings`.
"""

import html
from collections.abc import Awaitable
from typing import Any
from urllib.parse import quote

from maldon.objectstore.middleware.domain_remap import ASKED
from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered
from maldon.objectstore.middleware.tempurl import PREFIX
from maldon.objectstore.node import Book
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.listings import Listing
from maldon.objectstore.proxy.reply import HTML, Response
from maldon.objectstore.proxy.request import TRUE, ObjectRequest
from maldon.objectstore.proxy.store import Store

STYLE = (
    "h1 {font-size: 1em; font-weight: bold;} th {text-align: left; padding: 0px 1em 0px 1em;} "
    "td {padding: 0px 1em 0px 1em;} a {text-decoration: none;}"
)


class Site:
    """What the container's metadata says."""

    def __init__(self, book: Book) -> None:
        def said(name: str) -> str:
            return book.headers.get(f"x-container-meta-web-{name}", ("", 0))[0].strip()

        self.index, self.error, self.css, self.label = map(said, ("index", "error", "listings-css", "listings-label"))
        self.listings = said("listings").lower() in TRUE
        self.directory = said("directory-type") or "application/directory"

    @property
    def on(self) -> bool:
        return bool(self.index or self.listings or self.error)


def make(store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.method not in {"GET", "HEAD"} or not request.path.container:
            return below(request)
        if request.actor is not None and request.headers.get("x-web-mode", "").lower() not in TRUE:
            return below(request)
        if request.trusted or (
            request.query_string
            and {"symlink", "multipart-manifest", "temp_url_sig"} & set(request.query)
            and PREFIX not in request.facts
        ):
            return below(request)
        return _site(request)

    async def _site(request: ObjectRequest) -> Response:
        book = await store.known.container(request.path)
        site = Site(book) if book is not None else None
        if site is None or not site.on:
            return await below(request)
        response = await (_object(request, site) if request.is_object else _container(request, site))
        return await _error(request, site, response)

    async def _container(request: ObjectRequest, site: Site) -> Response:
        if not request.where.endswith("/"):
            return _redirected(request) if site.index or site.listings else await answered(below, request)
        return await _folder(request, site, "")

    async def _object(request: ObjectRequest, site: Site) -> Response:
        response = await answered(below, request)
        name = request.path.object
        if response.ok and _is_folder(response, site):
            await response.close()
            return await _folder(request, site, name) if name.endswith("/") else _redirected(request)
        if response.status != 404:
            return response
        if name.endswith("/"):
            return await _folder(request, site, name)
        return _redirected(request) if await _holds(request, f"{name}/") else response

    async def _folder(request: ObjectRequest, site: Site, prefix: str) -> Response:
        """The page of a folder: its index, or what is in it."""
        path = request.path
        if site.index:
            page = request.derive(
                request.method, Path(path.account, path.container, prefix + site.index), headers=dict(request.headers)
            )
            response = await answered(below, page)
            if response.status != 404:
                return response
        elif not site.listings:
            return Response(404, {"content-type": HTML})
        if not site.listings:
            return Response(404, {"content-type": HTML})
        return await _listing(request, site, prefix)

    async def _holds(request: ObjectRequest, prefix: str) -> bool:
        path = Path(request.path.account, request.path.container)
        inside = request.derive("GET", path, query={"prefix": prefix, "limit": "1"}, trusted=True)
        found = await answered(below, inside)
        return isinstance(found, Listing) and bool(found.rows)

    async def _listing(request: ObjectRequest, site: Site, prefix: str) -> Response:
        path = Path(request.path.account, request.path.container)
        query = {"delimiter": "/", **({"prefix": prefix} if prefix else {})}
        bounded = PREFIX in request.facts  # by what was signed, and the path is within
        found = await answered(below, request.derive("GET", path, query=query, trusted=bounded))
        if not isinstance(found, Listing):
            return found
        rows = [row for row in found.rows if row.get("name") != prefix]
        if not rows and prefix:
            return Response(404, {"content-type": HTML})
        body = b"" if request.method == "HEAD" else _page(request, site, prefix, rows).encode()
        return Response(200, {"content-type": HTML}, body)

    async def _error(request: ObjectRequest, site: Site, response: Response) -> Response:
        """A refusal, as the site's own page where it has one."""
        if response.status not in {401, 404} or not site.error:
            return response
        path = Path(request.path.account, request.path.container, f"{response.status}{site.error}")
        page = await answered(below, request.derive("GET", path))
        if not page.ok:
            await page.close()
            return response
        await response.close()
        kept = {name: v for name, v in response.headers.items() if name == "www-authenticate"}
        headers = {name: page.headers[name] for name in ("content-type", "content-length") if name in page.headers}
        return Response(response.status, headers | kept, page.body)

    return handle


def _is_folder(response: Response, site: Site) -> bool:
    kind = response.headers.get("content-type", "").split(";")[0]
    return kind == site.directory and int(response.headers.get("content-length", "0")) <= 1


def _redirected(request: ObjectRequest) -> Response:
    where = f"{request.base}{quote(request.facts.get(ASKED, request.where))}/" + (
        f"?{request.query_string}" if request.query_string else ""
    )
    return Response(301, {"location": where, "content-type": HTML})


def _page(request: ObjectRequest, site: Site, prefix: str, rows: list[dict[str, Any]]) -> str:
    """The folder as a table of links."""
    title = html.escape(f"Listing of {site.label or f'/v1{Path(*request.path[:2])}'}/{prefix}")
    up = "../" * prefix.count("/")
    style = (
        f'<link rel="stylesheet" type="text/css" href="{html.escape(_css(site, up))}" />'
        if site.css
        else f'<style type="text/css">{STYLE}</style>'
    )
    lines = [
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN" "http://www.w3.org/TR/html4/loose.dtd">',
        f"<html>\n <head>\n  <title>{title}</title>\n  {style}\n </head>",
        f' <body>\n  <h1 id="title">{title}</h1>\n  <table id="listing">',
        '   <tr id="heading"><th class="colname">Name</th><th class="colsize">Size</th><th>Date</th></tr>',
    ]
    allowed = request.facts.get(PREFIX, "")
    suffix = f"?{html.escape(allowed)}" if allowed else ""
    if prefix and not (allowed and prefix == request.query.get("temp_url_prefix")):
        back = f'<td class="colname"><a href="../{suffix}">../</a></td>'
        lines.append(f'   <tr id="parent" class="item">{back}<td></td><td></td></tr>')
    lines += [_row(row, prefix, suffix) for row in rows]
    return "\n".join([*lines, "  </table>\n </body>\n</html>", ""])


def _css(site: Site, up: str) -> str:
    return site.css if site.css.startswith(("/", "http:", "https:")) else up + quote(site.css)


def _row(row: dict[str, Any], prefix: str, suffix: str) -> str:
    if "subdir" in row:
        name = row["subdir"][len(prefix) :]
        kind, size, date = "item subdir", "", ""
    else:
        name, kind = row["name"][len(prefix) :], "item type-" + row["content_type"].split(";")[0].replace("/", " type-")
        size, date = _human(row["bytes"]), html.escape(row["last_modified"].split(".")[0].replace("T", " "))
    link = f'<a href="{html.escape("./" + quote(name))}{suffix}">{html.escape(name)}</a>'
    cells = (("colname", link), ("colsize", size), ("coldate", date))
    inside = "".join(f'<td class="{name}">{cell}</td>' for name, cell in cells)
    return f'   <tr class="{html.escape(kind)}">{inside}</tr>'


def _human(size: int) -> str:
    for unit in ("", "Ki", "Mi", "Gi"):
        if size < 1024:
            return f"{size}{unit}"
        size //= 1024
    return f"{size}Ti"


LAYER = Layer("staticweb", make, lambda _store: {}, marks=lambda _store: Marks(container=("x-container-meta-web-",)))
