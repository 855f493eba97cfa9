"""What came of many things done at once: counts, a status, and a line for each thing that went wrong.

A short work is answered when it is done. For a long one 200 begins the answer before that, blanks keep the connection
alive, and what came of it is the body's end, in the format that was accepted.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from maldon.kernel.errors import NotAcceptable
from maldon.kernel.settings import option
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest

FORMATS = {"application/json": "json", "text/plain": "text", "application/xml": "xml", "text/xml": "xml", "*/*": "text"}


@dataclass(frozen=True, slots=True)
class BulkSettings:
    max_deletes_per_request: int = option(10000, "Things one bulk delete may name.")
    max_failed_deletes: int = option(1000, "Failures after which a bulk delete is given up.")
    max_containers_per_extraction: int = option(10000, "Containers one archive may make.")
    max_failed_extractions: int = option(1000, "Failures after which an archive is given up.")
    yield_frequency_s: float = option(10.0, "Seconds after which a blank keeps the connection of a long work alive.")


@dataclass
class Outcome:
    """What came of it, as the answer's body tells it."""

    counts: dict[str, int]
    errors: list[tuple[str, str]]
    status: str = ""
    body: str = ""

    def write(self, form: str) -> bytes:
        about: dict[str, Any] = {**self.counts, "Response Status": self.status, "Response Body": self.body}
        if form == "json":
            return msgspec.json.encode({**about, "Errors": self.errors})
        if form == "xml":
            rows = "".join(f"<{_tag(name)}>{escape(str(value))}</{_tag(name)}>" for name, value in about.items())
            wrong = "".join(
                f"<object><name>{escape(name)}</name><status>{escape(why)}</status></object>"
                for name, why in self.errors
            )
            return f"<delete>{rows}<errors>{wrong}</errors></delete>".encode()
        lines = [f"{name}: {value}" for name, value in about.items()]
        return "\n".join([*lines, "Errors:", *(f"{name}, {why}" for name, why in self.errors), ""]).encode()


def _tag(name: str) -> str:
    return name.lower().replace(" ", "_")


def chosen(request: ObjectRequest) -> str:
    """The form of the answer. Raises NotAcceptable."""
    accept = request.headers.get("accept", "*/*") or "*/*"
    for part in accept.split(","):
        if form := FORMATS.get(part.split(";")[0].strip().lower()):
            return form
    raise NotAcceptable("")


async def told(request: ObjectRequest, work: Awaitable[Outcome], beat_s: float) -> Response:
    """What came of it, once it is done; for a long work 200 before that, and a blank now and then."""
    form = chosen(request)
    headers = {"content-type": {"json": "application/json", "xml": "text/xml", "text": "text/plain"}[form]}
    head = b'<?xml version="1.0" encoding="UTF-8"?>\n' if form == "xml" else b""
    task = asyncio.ensure_future(work)
    try:
        if (await asyncio.wait({task}, timeout=beat_s))[0]:
            return Response(200, headers, head + task.result().write(form))
    except asyncio.CancelledError:
        task.cancel()
        raise

    async def body() -> AsyncIterator[bytes]:
        try:
            yield head or b" "
            while not (await asyncio.wait({task}, timeout=beat_s))[0]:
                yield b" "
            yield b"\r\n\r\n" + task.result().write(form)
        finally:
            task.cancel()

    return Response(200, headers, body())


def shown(path: Path) -> str:
    return "/" + "/".join(part for part in path[1:] if part)
