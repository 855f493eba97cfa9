"""Answering a GET or HEAD of bytes: conditions first, then the whole, one range or several.

Whatever can be read from one byte to another is answered here: an object in one piece, and those that layers put
together from many (give `etag` and `size` of the whole, and a `read` over it).
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from maldon.objectstore.proxy.conditions import range_holds, verdict
from maldon.objectstore.proxy.ranges import Multipart, Span, spans
from maldon.objectstore.proxy.reply import Response, refusal
from maldon.objectstore.proxy.request import ObjectRequest

_ABOUT = {"etag", "last-modified", "x-timestamp", "accept-ranges", "x-static-large-object", "x-object-manifest"}
SYSMETA = "x-object-sysmeta-"  # by which layers know what they are; it does not go out


@dataclass(frozen=True, slots=True)
class Readable:
    """Something of `size` bytes. `headers` are those of the answer, content-type among them."""

    headers: dict[str, str]
    size: int
    etag: str
    timestamp: int
    read: Callable[[int, int], AsyncIterator[bytes]]


def unmet(request: ObjectRequest, readable: Readable) -> Response | None:
    """The answer to whose conditions do not hold."""
    status = verdict(request.headers, readable.etag, readable.timestamp)
    if not status:
        return None
    if status == 304:
        return Response(304, readable.headers)
    return refusal(412, "", _about(readable))


def _about(readable: Readable) -> dict[str, str]:
    """What a refusal still tells of the thing."""
    return {name: value for name, value in readable.headers.items() if name in _ABOUT or name.startswith(SYSMETA)}


def wanted_spans(request: ObjectRequest, size: int, etag: str, timestamp: int) -> list[Span] | None:
    """Which bytes are asked for: None for all, an empty list for none that there are."""
    text = request.headers.get("range")
    if text is None or request.method != "GET" or not range_holds(request.headers, etag, timestamp):
        return None
    return spans(text, size)


def answer(request: ObjectRequest, readable: Readable) -> Response:
    """The response; bytes are read when it is sent."""
    headers = readable.headers
    headers["accept-ranges"] = "bytes"
    if (refused := unmet(request, readable)) is not None:
        return refused
    if request.method == "HEAD":
        headers["content-length"] = str(readable.size)
        return Response(200, headers)
    found = wanted_spans(request, readable.size, readable.etag, readable.timestamp)
    if found is None:
        headers["content-length"] = str(readable.size)
        return Response(200, headers, readable.read(0, readable.size))
    if not found:
        return refusal(416, "", {**_about(readable), "content-range": f"bytes */{readable.size}"})
    if len(found) == 1:
        first, stop = found[0]
        headers["content-length"] = str(stop - first)
        headers["content-range"] = f"bytes {first}-{stop - 1}/{readable.size}"
        return Response(206, headers, readable.read(first, stop))
    parts = Multipart(found, readable.size, headers.get("content-type", "application/octet-stream"))
    headers["content-type"] = parts.content_type
    headers["content-length"] = str(parts.length)
    return Response(206, headers, parts.body(readable.read))
