"""Archives unpacked as they come in: PUT with `extract-archive=tar`, `tar.gz` or `tar.bz2`.

Each file of the archive becomes an object below the path, with the asker's own rights; containers are made as files
need them. Extended attributes say a file's type and metadata.
"""

import asyncio
import re
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from maldon.kernel.errors import BadRequest, CloudError, TooLarge
from maldon.objectstore.middleware.bulk import BulkSettings, Outcome, shown, told
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response, title
from maldon.objectstore.proxy.request import Given, ObjectRequest
from maldon.objectstore.proxy.store import Store

ARCHIVES = {"tar": "r|", "tar.gz": "r|gz", "tar.bz2": "r|bz2"}
PIECE = 64 << 10
MOST_ABOUT = 1 << 20  # bytes of what an archive says of one member: long names, attributes
MOST_GLOBAL = 100
MIME, META = "SCHILY.xattr.user.mime_type", "SCHILY.xattr.user.meta."


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # what the name of a header may be


def make(store: Store, below: Handler) -> Handler:
    limits = store.option(BulkSettings)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        wanted = request.query_string and request.path.account and request.method == "PUT"
        return _extract(request) if wanted and "extract-archive" in request.query else below(request)

    async def _extract(request: ObjectRequest) -> Response:
        mode = ARCHIVES.get(request.query["extract-archive"].lower().strip("."))
        if mode is None:
            raise BadRequest("Unsupported archive format")
        work = _Extraction(store, below, request, limits)
        return await told(request, work.run(mode), limits.yield_frequency_s)

    return handle


class _Feed:
    """The request's body as the file that tarfile reads, in a thread beside the loop."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._pieces, self._loop = pieces, loop
        self._rest, self._ended = b"", 0

    def read(self, size: int) -> bytes:
        """Raises EOFError for who goes on reading where nothing is: tarfile would, as far as a header promised."""
        while len(self._rest) < size:
            piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if not piece:
                self._ended += 1
                if self._ended > 2:
                    raise EOFError("unexpected end of data")
                break
            self._rest += piece
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    async def _next(self) -> bytes:
        return await anext(self._pieces, b"")


class _Member(tarfile.TarInfo):
    """A member that does not fill the memory before it is looked at."""

    def _proc_member(self, archive: Any) -> Any:  # tarfile's own place for members that want something of their own
        if not self.isreg() and not self.issparse() and self.size > MOST_ABOUT:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        if len(archive.pax_headers) > MOST_GLOBAL:
            raise tarfile.ReadError(f"more than {MOST_GLOBAL} attributes of all members")
        return super()._proc_member(archive)  # type: ignore[misc] # not in the stubs


async def _beside(step: Callable[[], Any]) -> Any:
    """What tarfile does, in a thread. Raises TarError, EOFError, OSError, CloudError."""
    try:
        return await asyncio.to_thread(step)
    except (CloudError, tarfile.TarError, EOFError, OSError):
        raise
    except Exception as error:  # a hostile archive makes it stumble in many ways
        raise tarfile.ReadError(f"{type(error).__name__}: {error}") from error


class _Extraction:
    """One archive."""

    def __init__(self, store: Store, below: Handler, request: ObjectRequest, limits: BulkSettings) -> None:
        self._store, self._below, self._request, self._limits = store, below, request, limits
        self._outcome = Outcome({"Number Files Created": 0}, [])
        self._made: set[str] = set()

    async def run(self, mode: Any) -> Outcome:
        feed: Any = _Feed(aiter(self._request.body), asyncio.get_running_loop())
        try:
            archive: Any = await _beside(partial(tarfile.open, mode=mode, fileobj=feed, tarinfo=_Member))
            while (member := await _beside(archive.next)) is not None:
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
                (quote(shown(path), errors="surrogateescape"), f"{error.status} {title(error.status)}")
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
            while piece := await _beside(partial(file.read, PIECE)):
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
        elif key.startswith(META) and not _TOKEN.fullmatch(key, len(META)):
            raise BadRequest("The name of an attribute cannot be that of a header.")
        elif key.startswith(META):
            found[f"x-object-meta-{key[len(META) :].lower()}"] = value
    return found


def _info(store: Store) -> dict[str, Any]:
    limits = store.option(BulkSettings)
    return {
        "max_containers_per_extraction": limits.max_containers_per_extraction,
        "max_failed_extractions": limits.max_failed_extractions,
    }


LAYER = Layer("bulk_upload", make, _info, settings=BulkSettings, marks=lambda _store: Marks())
