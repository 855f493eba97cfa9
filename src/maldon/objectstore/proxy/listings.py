"""Listings of accounts and containers: what was asked for, and the text of the answer in three formats.

A `Listing` is a response whose body is not written yet. The storage node gives its rows as JSON, and that is what most
clients want; only a layer that changes rows, or another format, has them decoded. Formats are text (a name a line),
JSON and XML, by `format=` or the Accept header.
"""

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from maldon.kernel.errors import NotAcceptable, PreconditionFailed
from maldon.objectstore.node import Book, Query
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import TRUE, ObjectRequest

JSON, XML, TEXT = "application/json", "application/xml", "text/plain"
_FORMATS = {"json": JSON, "xml": XML, "plain": TEXT}
_ACCEPTED = {
    JSON: JSON, XML: XML, "text/xml": "text/xml", TEXT: TEXT, "application/*": JSON, "text/*": TEXT, "*/*": TEXT,
}  # fmt: skip
Item = dict[str, Any]
"""A row as JSON shows it: {"name", "bytes", …}, or {"subdir"}."""


class _Named(msgspec.Struct):
    """What a listing as text shows of a row."""

    name: str = ""
    subdir: str = ""


_names = msgspec.json.Decoder(list[_Named]).decode


class Listing(Response):
    """`book` is the account or container listed. `rows` may be changed in place, or replaced."""

    __slots__ = ("_json", "_rows", "book")

    def __init__(self, book: Book, headers: dict[str, str], json: bytes = b"[]") -> None:
        super().__init__(200, headers)
        self.book, self._json = book, json
        self._rows: list[Item] | None = None

    @property
    def rows(self) -> list[Item]:
        if self._rows is None:
            self._rows = msgspec.json.decode(self._json)
        return self._rows

    @rows.setter
    def rows(self, rows: list[Item]) -> None:
        self._rows = rows

    @property
    def text(self) -> bytes:
        """A name a line."""
        if self._rows is None:  # nobody wanted to know more of them
            return "".join([f"{row.name or row.subdir}\n" for row in _names(self._json)]).encode()
        return "".join([f"{row.get('name') or row['subdir']}\n" for row in self._rows]).encode()

    @property
    def json(self) -> bytes:
        return self._json if self._rows is None else msgspec.json.encode(self._rows)


def chosen_format(request: ObjectRequest) -> str:
    """The media type to answer in. Raises NotAcceptable."""
    named = request.query.get("format", "").lower()
    if named:
        return _FORMATS.get(named, TEXT)
    accept = request.headers.get("accept", "")
    if not accept or accept == "*/*":
        return TEXT
    ranked = sorted((_ranked(part, n) for n, part in enumerate(accept.split(",")[:50])), reverse=True)
    for quality, _, media in ranked:
        if quality > 0 and media in _ACCEPTED:
            return _ACCEPTED[media]
    raise NotAcceptable("")


def _ranked(part: str, place: int) -> tuple[float, int, str]:
    media, *params = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for param in params:
        if param.startswith("q="):
            try:
                quality = float(param[2:])
            except ValueError:
                quality = 0.0
    return quality, -place, media


def read_query(request: ObjectRequest, most: int) -> Query:
    """Which rows are asked for. Raises PreconditionFailed for more than may be."""
    asked = request.query
    limit = most
    given = asked.get("limit", "")
    if given.isascii() and given.isdigit():
        limit = int(given[:20])
        if limit > most:
            raise PreconditionFailed(f"Maximum limit is {most}")
    reverse = asked.get("reverse", "").lower() in TRUE
    marker, end_marker, prefix, delimiter = (asked.get(n, "") for n in ("marker", "end_marker", "prefix", "delimiter"))
    return Query(limit, marker, end_marker, prefix, delimiter, reverse)


def write(listing: Listing, request: ObjectRequest) -> Response:
    """The listing as text of the chosen format."""
    media = chosen_format(request)
    headers = listing.headers
    headers["content-type"] = f"{media}; charset=utf-8"
    if request.method == "HEAD":
        return Response(204, headers)
    body = listing.text if media == TEXT else listing.json if media == JSON else _xml(listing)
    if not body:
        return Response(204, headers)
    headers["content-length"] = str(len(body))
    return Response(200, headers, body)


def _xml(listing: Listing) -> bytes:
    path = listing.book.path
    kind, inner = ("container", "object") if path.container else ("account", "container")
    name = path.container or path.account
    lines = ['<?xml version="1.0" encoding="UTF-8"?>\n', f"<{kind} name={quoteattr(name)}>"]
    fields = _FIELDS[inner]
    lines += [_subdir(row["subdir"]) if "subdir" in row else _element(inner, row, fields) for row in listing.rows]
    lines.append(f"</{kind}>")
    return "".join(lines).encode()


def _subdir(name: str) -> str:
    return f"<subdir name={quoteattr(name)}><name>{escape(name)}</name></subdir>"


def _element(inner: str, row: Item, fields: Sequence[str]) -> str:
    inside = "".join(f"<{key}>{escape(str(row[key]))}</{key}>" for key in fields if key in row)
    return f"<{inner}>{inside}</{inner}>"


_FIELDS = {
    "object": ("name", "hash", "bytes", "content_type", "last_modified"),
    "container": ("name", "count", "bytes", "last_modified", "storage_policy"),
}
