"""Many things at once: POST or DELETE with `bulk-delete`, and PUT of an archive with `extract-archive`.

The answer begins before the work is done, with 200; what came of it is in the body, in the format that was accepted:
counts, a status, and a line for each thing that went wrong. Every single thing is asked for with the asker's rights.
An archive is unpacked as it comes in; containers are made as its files need them.
"""

import asyncio
import tarfile
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import msgspec

from maldon.kernel.errors import BadRequest, CloudError, NotAcceptable, TooLarge
from maldon.kernel.settings import option
from maldon.objectstore.middleware.layer import Handler, Layer, answered
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response, title
from maldon.objectstore.proxy.request import Given, ObjectRequest
from maldon.objectstore.proxy.store import Store

FORMATS = {"application/json": "json", "text/plain": "text", "application/xml": "xml", "text/xml": "xml", "*/*": "text"}
ARCHIVES = {"tar": "r|", "tar.gz": "r|gz", "tar.bz2": "r|bz2"}
PIECE = 64 << 10
LONGEST_LINE = 5 * 1024
AT_ONCE = 2
MIME, META = "SCHILY.xattr.user.mime_type", "SCHILY.xattr.user.meta."


@dataclass(frozen=True, slots=True)
class BulkSettings:
    max_deletes_per_request: int = option(10000, "Things one bulk delete may name.")
    max_failed_deletes: int = option(1000, "Failures after which a bulk delete is given up.")
    max_containers_per_extraction: int = option(10000, "Containers one archive may make.")
    max_failed_extractions: int = option(1000, "Failures after which an archive is given up.")
    yield_frequency_s: float = option(10.0, "Seconds after which a blank keeps the connection of a long work alive.")


@dataclass(frozen=True, slots=True)
class Deletion:
    """One thing to be deleted; `error` when its name is none."""

    path: Path
    error: str = ""
    query: dict[str, str] | None = None


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


def make(store: Store, below: Handler) -> Handler:
    limits = store.option(BulkSettings)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if not request.query_string or not request.path.account:
            return below(request)
        if request.method in {"POST", "DELETE"} and "bulk-delete" in request.query:
            return _delete(request)
        if request.method == "PUT" and "extract-archive" in request.query:
            return _extract(request)
        return below(request)

    async def _delete(request: ObjectRequest) -> Response:
        doomed = await _named(request, limits.max_deletes_per_request)
        return await delete_all(below, request, doomed, limits)

    async def _extract(request: ObjectRequest) -> Response:
        mode = ARCHIVES.get(request.query["extract-archive"].lower().strip("."))
        if mode is None:
            raise BadRequest("Unsupported archive format")
        work = _Extraction(store, below, request, limits)
        return await _told(request, work.run(mode), limits.yield_frequency_s)

    return handle


async def _named(request: ObjectRequest, most: int) -> list[Deletion]:
    """What the lines of the body name. Raises BadRequest, TooLarge."""
    content = await request.body.whole(most * 512)
    lines = [line.strip() for line in content.split(b"\n") if line.strip()]
    if len(lines) > most:
        raise TooLarge(f"Maximum Bulk Deletes: {most} per request")
    if any(len(line) > LONGEST_LINE for line in lines):
        raise BadRequest("Invalid File Name")
    return [_deletion(request.path.account, line) for line in lines]


def _deletion(account: str, line: bytes) -> Deletion:
    text = unquote(line.decode("latin-1"), encoding="latin-1").encode("latin-1")
    try:
        name = text.decode()
    except UnicodeDecodeError:
        return Deletion(Path(account, quote(text)), "412 Precondition Failed")
    container, _, inner = name.lstrip("/").partition("/")
    return Deletion(Path(account, container, inner))


async def delete_all(
    below: Handler, request: ObjectRequest, doomed: list[Deletion], limits: BulkSettings | None = None
) -> Response:
    """Delete them, objects before containers as they stand; the answer tells what came of it."""
    wanted = limits or BulkSettings()
    return await _told(request, _deleted(below, request, doomed, wanted.max_failed_deletes), wanted.yield_frequency_s)


async def _deleted(below: Handler, request: ObjectRequest, doomed: list[Deletion], most_failed: int) -> Outcome:
    outcome = Outcome({"Number Deleted": 0, "Number Not Found": 0}, [])
    refused = False
    for batch in _batches(doomed):
        if len(outcome.errors) >= most_failed:
            outcome.body, outcome.status = "Max delete failures exceeded", "400 Bad Request"
            return outcome
        answers = await asyncio.gather(*(_delete_one(below, request, one) for one in batch))
        for one, status in zip(batch, answers, strict=True):
            match status[:3]:
                case "404":
                    outcome.counts["Number Not Found"] += 1
                case "200" | "202" | "204":
                    outcome.counts["Number Deleted"] += 1
                case _:
                    refused = refused or status.startswith("401")
                    outcome.errors.append((quote(_shown(one.path)), status))
    outcome.status = "401 Unauthorized" if refused else "400 Bad Request" if outcome.errors else "200 OK"
    if not outcome.errors and not any(outcome.counts.values()):
        outcome.status, outcome.body = "400 Bad Request", "Invalid bulk delete."
    return outcome


def _batches(doomed: list[Deletion]) -> Iterable[list[Deletion]]:
    """A few at once, never a container beside what may be in it."""
    batch: list[Deletion] = []
    for one in doomed:
        if batch and (len(batch) >= AT_ONCE or not one.path.object):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


async def _delete_one(below: Handler, request: ObjectRequest, one: Deletion) -> str:
    if one.error or not one.path.container:
        return one.error or "400 Bad Request"
    got = await answered(below, request.derive("DELETE", one.path, headers={"content-length": "0"}, query=one.query))
    await got.close()
    return f"{got.status} {title(got.status)}"


def _shown(path: Path) -> str:
    return "/" + "/".join(part for part in path[1:] if part)


async def _told(request: ObjectRequest, work: Awaitable[Outcome], beat_s: float) -> Response:
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


class _Feed:
    """The request's body as the file that tarfile reads, in a thread beside the loop."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._pieces, self._loop = pieces, loop
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if not piece:
                break
            self._rest += piece
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    async def _next(self) -> bytes:
        return await anext(self._pieces, b"")


class _Extraction:
    """One archive."""

    def __init__(self, store: Store, below: Handler, request: ObjectRequest, limits: BulkSettings) -> None:
        self._store, self._below, self._request, self._limits = store, below, request, limits
        self._outcome = Outcome({"Number Files Created": 0}, [])
        self._made: set[str] = set()

    async def run(self, mode: Any) -> Outcome:
        feed: Any = _Feed(aiter(self._request.body), asyncio.get_running_loop())
        try:
            archive: Any = await asyncio.to_thread(partial(tarfile.open, mode=mode, fileobj=feed))
            while (member := await asyncio.to_thread(archive.next)) is not None:
                if member.isfile():
                    await self._file(archive, member)
                archive.members = []  # else it remembers every one
                if len(self._outcome.errors) >= self._limits.max_failed_extractions:
                    return self._end("400 Bad Request", "Max failures exceeded")
        except (tarfile.TarError, EOFError, OSError) as error:
            return self._end("400 Bad Request", f"Invalid Tar File: {str(error)[:200]}")
        except CloudError as error:
            return self._end(f"{error.status} {title(error.status)}", error.public)
        errors, created = self._outcome.errors, self._outcome.counts["Number Files Created"]
        if errors:
            worst = next((why for _, why in errors if why.startswith("401")), "400 Bad Request")
            return self._end(worst, "")
        return self._end(
            "201 Created" if created else "400 Bad Request", "" if created else "Invalid Tar File: No Valid Files"
        )

    def _end(self, status: str, body: str) -> Outcome:
        self._outcome.status, self._outcome.body = status, body
        return self._outcome

    async def _file(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = self._path(member.name)
        if path is None:
            return
        try:
            await self._put(archive, member, path)
            self._outcome.counts["Number Files Created"] += 1
        except CloudError as error:
            self._outcome.errors.append(
                (quote(_shown(path), errors="surrogateescape"), f"{error.status} {title(error.status)}")
            )

    def _path(self, name: str) -> Path | None:
        """Where a file of the archive goes; None for one that is in no container."""
        base = "/".join(part for part in self._request.path[1:] if part)
        whole = f"{base}/{name.removeprefix('./').lstrip('/')}".strip("/")
        container, _, inner = whole.partition("/")
        return Path(self._request.path.account, container, inner) if inner else None

    async def _put(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        if member.size > self._store.settings.max_file_size:
            raise TooLarge("")
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise BadRequest("") from None
        await self._container(path)
        file: Any = archive.extractfile(member)

        async def pieces() -> AsyncIterator[bytes]:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece

        headers = {"content-length": str(member.size), **_metadata(member)}
        for name in ("x-detect-content-type", "x-delete-at", "x-delete-after"):
            if name in self._request.headers:
                headers[name] = self._request.headers[name]
        put = self._request.derive("PUT", path, headers=headers, body=Given(pieces(), member.size))
        await self._below(put)

    async def _container(self, path: Path) -> None:
        """See that it is there."""
        if path.container in self._made or await self._store.known.container(path) is not None:
            return
        if len(self._made) >= self._limits.max_containers_per_extraction:
            raise BadRequest(f"More than {self._limits.max_containers_per_extraction} containers to create from tar.")
        made = self._request.derive("PUT", Path(path.account, path.container), headers={"content-length": "0"})
        await self._below(made)
        self._made.add(path.container)


def _metadata(member: tarfile.TarInfo) -> dict[str, str]:
    """What extended attributes say of a file."""
    found = {}
    for key, value in member.pax_headers.items():
        if key == MIME:
            found["content-type"] = value
        elif key.startswith(META):
            found[f"x-object-meta-{key[len(META) :].lower()}"] = value
    return found


def _info(store: Store) -> dict[str, Any]:
    return {"max_deletes_per_request": store.option(BulkSettings).max_deletes_per_request,
            "max_failed_deletes": store.option(BulkSettings).max_failed_deletes}  # fmt: skip


LAYER = Layer("bulk_delete", make, _info, settings=BulkSettings)
