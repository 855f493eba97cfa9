"""What goes back: a status, headers by lower-case name, and a body that is bytes at hand or comes in pieces.

On the wire names are written as Swift writes them, Each-Word-Capitalised. A body in pieces has a `content-length` among
the headers, or goes out chunked; it is closed when the client hangs up.
"""

import html
from collections.abc import AsyncIterator
from functools import lru_cache
from http import HTTPStatus

HTML = "text/html; charset=UTF-8"
_SENTENCES = {
    400: "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    401: "This server could not verify that you are authorized to access the document you requested.",
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    405: "The method is not allowed for this resource.",
    406: "The resource identified by the request is only capable of generating response entities which have content"
         " characteristics not acceptable according to the accept headers sent in the request.",
    408: "The server has waited too long for the request to be sent by the client.",
    409: "There was a conflict when trying to complete your request.",
    411: "Content-Length header required.",
    412: "A precondition for this request was not met.",
    413: "The body of your request was too large for this server.",
    416: "The Range requested is not available.",
    422: "Unable to process the contained instructions",
    499: "The client was disconnected during request.",
    500: "The server has either erred or is incapable of performing the requested operation.",
    503: "The server is currently unavailable. Please try again at a later time.",
    507: "There was not enough space to save the resource.",
}  # fmt: skip
_TITLES = {
    408: "Request Timeout", 413: "Request Entity Too Large", 416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity", 497: "Blacklisted", 498: "Rate Limited", 499: "Client Disconnect",
    507: "Insufficient Storage",
}  # fmt: skip


class Response:
    """One answer."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, headers: dict[str, str] | None = None, body: bytes | AsyncIterator[bytes] = b""
    ) -> None:
        self.status = status
        self.headers = {} if headers is None else headers
        self.body = body

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    async def whole(self, limit: int) -> bytes:
        """The body at hand, `limit` bytes of it at most."""
        if isinstance(self.body, bytes):
            return self.body[:limit]
        pieces, size = [], 0
        async for piece in self.body:
            pieces.append(piece)
            size += len(piece)
            if size >= limit:
                break
        await self.close()
        return b"".join(pieces)[:limit]

    async def close(self) -> None:
        """Let go of a body that nobody will read."""
        if not isinstance(self.body, bytes) and (close := getattr(self.body, "aclose", None)):
            await close()
        self.body = b""


def plain(status: int, body: str | bytes = b"", headers: dict[str, str] | None = None) -> Response:
    """A short text of ours that is not an error."""
    data = body.encode() if isinstance(body, str) else body
    return Response(status, {"content-type": HTML, **(headers or {}), "content-length": str(len(data))}, data)


def refusal(status: int, sentence: str = "", headers: dict[str, str] | None = None) -> Response:
    """An error as Swift shows it: a sentence by itself where there is one to say, a tiny page otherwise."""
    if sentence:
        plain = (headers or {}).get("content-type", "").startswith("text/plain")
        said = sentence if plain else html.escape(sentence, quote=False)  # it may repeat what the client sent
        body = said.encode(errors="replace")
        return Response(status, {"content-type": HTML, **(headers or {}), "content-length": str(len(body))}, body)
    body = f"<html><h1>{html.escape(title(status))}</h1><p>{_SENTENCES.get(status, '')}</p></html>".encode()
    return Response(status, {"content-type": HTML, **(headers or {}), "content-length": str(len(body))}, body)


def explained(status: int) -> str:
    """The title and the sentence of a status."""
    return f"{title(status)}\n{_SENTENCES.get(status, '')}"


def title(status: int) -> str:
    """The words of a status."""
    if status in _TITLES:
        return _TITLES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


_FRAMING = {"content-length", "transfer-encoding", "connection"}  # which the server looks for itself


@lru_cache(maxsize=4096)
def wire_name(name: str) -> bytes:
    """X-Object-Meta-Colour."""
    written = name.encode("latin-1", "replace")
    return written if name in _FRAMING else written.title()  # of bytes: only ASCII letters change
