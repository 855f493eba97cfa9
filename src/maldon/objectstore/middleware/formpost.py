"""Uploads from a form of a web page: POST of multipart/form-data to a container, or to a prefix in it, without a token.

The form's fields `redirect`, `max_file_size`, `max_file_count`, `expires` and `signature` stand before its files; the
signature is the HMAC of path and those fields, one a line, by a Temp-URL-Key of the account or container. Each file
becomes an object named as the path and the file's name. `x_delete_at` or `x_delete_after` may end their lives. The
answer is 201, or 303 to the redirect with status and message added.
"""

import html
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import quote

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from maldon.kernel.errors import BadRequest, CloudError
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.middleware.signatures import digest_of, mounted, read_expiry, refused, signed_by
from maldon.objectstore.middleware.tempurl import TempurlSettings, keys, permit_within
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.metadata import has_control
from maldon.objectstore.proxy.reply import HTML, Response, title
from maldon.objectstore.proxy.request import Given, ObjectRequest
from maldon.objectstore.proxy.store import Store

LONGEST_FIELD = 4096
SIGNED = ("redirect", "max_file_size", "max_file_count", "expires")


class BadForm(CloudError):
    status, code = 400, "bad-form"


class Form:
    """The events of a form's parts, as its body comes in."""

    def __init__(self, request: ObjectRequest, boundary: str) -> None:
        self._parser = PushMultipartParser(boundary, max_segment_count=1000, max_header_count=20)
        self._events = self._read(request)
        self.fields: dict[str, str] = {}
        self.redirect = ""  # once it is known that the form may say where to

    async def _read(self, request: ObjectRequest) -> AsyncIterator[Any]:
        try:
            async for piece in request.body:
                for event in self._parser.parse(piece):
                    yield event
            self._parser.close()
        except MultipartError as error:
            raise BadForm(f"The form is not valid: {str(error.args[0])[:100]}") from error

    async def file(self) -> MultipartSegment | None:
        """The head of the next file; fields before it are read. None when there is none."""
        async for event in self._events:
            if not isinstance(event, MultipartSegment):
                continue
            if event.filename is not None:
                return event
            self.fields[event.name.lower()] = await self._text()
        return None

    async def _text(self) -> str:
        content = b""
        async for piece in self.pieces():
            content += piece
            if len(content) > LONGEST_FIELD:
                raise BadForm(f"A field is longer than {LONGEST_FIELD} bytes.")
        return content.decode(errors="replace")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes of the part at hand."""
        async for event in self._events:
            if event is None:
                return
            yield bytes(event)


def make(store: Store, below: Handler) -> Handler:
    allowed = store.option(TempurlSettings).allowed_digests

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        kind = request.headers.get("content-type", "")
        if request.method == "POST" and request.path.container and kind.lower().startswith("multipart/form-data"):
            return _form(request, parse_options_header(kind)[1].get("boundary", ""))
        return below(request)

    async def _form(request: ObjectRequest, boundary: str) -> Response:
        if not boundary or len(boundary) > 200 or not boundary.isascii():
            raise BadForm("The form has no boundary.")
        form = Form(request, boundary)
        try:
            status, message = await _uploaded(request, form)
        except BadForm as error:
            status, message = 400, error.public
        return _done(form.redirect, status, message)

    async def _uploaded(request: ObjectRequest, form: Form) -> tuple[int, str]:
        """Status and message once all files are in."""
        count, checked = 0, False
        while (part := await form.file()) is not None:
            if not checked:
                await _check(request, form.fields)
                checked, form.redirect = True, form.fields.get("redirect", "")
            if not part.filename:
                continue
            if count >= _number(form.fields, "max_file_count"):
                return 400, "max file count exceeded"
            count += 1
            try:
                await _put(request, form, part)
            except BadForm:
                raise
            except CloudError as error:
                return error.status, error.public
        return (201, "") if count else (400, "no files to process")

    async def _check(request: ObjectRequest, fields: dict[str, str]) -> None:
        """Raise Unauthorized for a form that nobody signed, or that is no more."""
        until, found = read_expiry(fields.get("expires", "")), digest_of(fields.get("signature", ""), allowed)
        if until is None or until < time.time():
            raise refused("FormPost: Form Expired" if until else "FormPost: expired not an integer")
        path = request.path
        where = f"/{request.version}/{path.account}/{path.container}" + (f"/{path.object}" if path.object else "")
        places = [where, f"{where}/"] if request.where.endswith("/") and not path.object else [where]
        said = [fields.get(name, "") for name in SIGNED]
        texts = ["\n".join([text, *said]) for place in places for text in mounted(request, place)]
        key = signed_by(await keys(store, path), texts, *found) if found is not None else None
        if key is None:
            raise refused("FormPost: Invalid Signature")
        request.authorize = permit_within(path, key)

    async def _put(request: ObjectRequest, form: Form, part: MultipartSegment) -> None:
        most, fields = _number(form.fields, "max_file_size"), form.fields

        async def pieces() -> AsyncIterator[bytes]:
            size = 0
            async for piece in form.pieces():
                size += len(piece)
                if size > most:
                    raise BadForm("max_file_size exceeded")
                yield piece

        headers = {"transfer-encoding": "chunked", "content-type": part.content_type or "application/octet-stream"}
        for name in ("x_delete_at", "x_delete_after"):
            if name in fields:
                headers[name.replace("_", "-")] = str(_number(fields, name))
        if encoding := part.header("Content-Encoding"):
            headers["content-encoding"] = encoding
        path = request.path._replace(object=request.path.object + (part.filename or ""))
        put = request.derive("PUT", Path(*path), headers=headers, body=Given(pieces(), None))
        await below(put)

    return handle


def _number(fields: dict[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not text.isascii() or not text.isdigit():
        raise BadForm(f"{name} not an integer")
    return int(text[:18])


def _done(redirect: str, status: int, message: str) -> Response:
    said = html.escape(f"{status} {title(status)}: {message}".removesuffix(": "))
    if not redirect:
        return Response(status, {"content-type": HTML}, f"<h1>{said}</h1>".encode())
    if has_control(redirect):
        raise BadRequest("The redirect is no address.")
    where = f"{redirect}{'&' if '?' in redirect else '?'}status={status}&message={quote(message)}"
    link = quote(where, safe=":/?&=%#")
    page = f'<html><body><p>{said}</p><p><a href="{html.escape(link)}">Click to continue...</a></p></body></html>'
    return Response(303, {"location": where, "content-type": HTML}, page.encode())


LAYER = Layer("formpost", make, lambda _store: {}, marks=lambda _store: Marks())
