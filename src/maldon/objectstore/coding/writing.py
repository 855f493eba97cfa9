"""An object written in fragments: coded a segment at a time while it comes in, a fragment archive to each disk.

First every disk has its archive on stable storage, as a version that does not count. When a quorum of them has, they
are told that it does, and tell containers; the answer is given when a quorum has heard. Whatever dies in between, the
version counts everywhere (one disk that heard is enough: the others learn it of that one) or nowhere.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from maldon.kernel.errors import BadRequest, Unavailable
from maldon.objectstore.coding.code import Code
from maldon.objectstore.coding.layout import Layout
from maldon.objectstore.coding.whole import Whole
from maldon.objectstore.node import Footer, Incoming, Put, Record, Spot, Superseded, WrongDigest
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.lessons import Lessons
from maldon.objectstore.proxy.placing import Node, Place, Placing
from maldon.objectstore.proxy.quorum import SHORT, agreed, say
from maldon.objectstore.proxy.spread import spread
from maldon.objectstore.telling import row_of

_HASH_IN_LOOP = 65_536  # bytes whose MD5 is cheaper than a change of threads


@dataclass(slots=True)
class _Upload:
    """One write. `put` is what a disk gets, `announced` the size of the whole, `stored` what is on a disk by now."""

    placing: Placing
    place: Place
    path: Path
    code: Code
    put: Put
    announced: int | None
    whole: Whole | None = None
    stored: dict[int, tuple[Node, Spot]] = field(default_factory=dict)

    async def store(self, node: Node, spot: Spot, fragment: int, body: Incoming) -> Record:
        """Have a disk take a fragment archive."""
        put = replace(self.put, etag="", fragment=fragment, durable=False)
        record = await node.put_object(spot, self.path, put, body)
        self.stored[fragment] = node, spot
        return record

    def finish(self, size: int, etag: str) -> Whole:
        """What all of it was. Raises BadRequest, WrongDigest when it is not what was announced."""
        if self.announced is not None and self.announced != size:
            raise BadRequest("The body is not as long as was announced.")
        if self.put.etag and self.put.etag != etag:
            raise WrongDigest("The bytes are not those that the etag was made of.")
        self.whole = Whole(etag, size, self.code.segment_bytes, self.code.scheme)
        return self.whole


async def write(placing: Placing, place: Place, code: Code, path: Path, put: Put, body: Incoming) -> Record:
    """Write it; the object as it is told to others. Raises as `quorum.say`, and what the body raises."""
    upload = _Upload(placing, place, path, code, put, put.size)
    if isinstance(body, bytes):
        archives = await _all_at_once(upload, body)
        await say(placing, place, lambda node, spot, n: upload.store(node, spot, n, archives[n]))
    else:
        upload.put = replace(put, size=_archive_bytes(code, put.size), footed=True)
        await spread(placing, place, _as_it_comes(upload, body), upload.store)
    assert upload.whole is not None
    record = Record(put.timestamp, upload.whole.size, upload.whole.etag, dict(put.headers), put.timestamp)
    await _commit(upload, record)
    return record


def _archive_bytes(code: Code, size: int | None) -> int | None:
    return None if size is None else Layout(code, size, code.segment_bytes).archive_bytes


async def _all_at_once(upload: _Upload, body: bytes) -> list[bytes]:
    """The fragment archives of a small object."""
    code = upload.code
    if len(body) <= _HASH_IN_LOOP:
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    else:
        etag = await asyncio.to_thread(lambda: hashlib.md5(body, usedforsecurity=False).hexdigest())
    whole = upload.finish(len(body), etag)
    step = code.segment_bytes
    coded = [code.encode(body[at : at + step]) for at in range(0, len(body), step)]
    archives = [b"".join(chunks[n] for chunks in coded) for n in range(code.fragments)]
    upload.put = replace(upload.put, headers={**upload.put.headers, **whole.headers}, size=len(archives[0]))
    return archives


async def _as_it_comes(upload: _Upload, body: AsyncIterator[bytes | Footer]) -> AsyncIterator[Sequence[bytes | Footer]]:
    """For every segment the chunk of each fragment; last what is known of the whole then."""
    code, loop = upload.code, asyncio.get_running_loop()
    md5, size = hashlib.md5(usedforsecurity=False), 0
    headers: dict[str, str] = {}

    def work(segment: bytes) -> list[bytes]:
        md5.update(segment)
        return code.encode(segment)

    job: asyncio.Future[list[bytes]] | None = None
    async for segment in _segments(body, code.segment_bytes, headers):
        size += len(segment)
        if job is not None:
            yield await job
        job = loop.run_in_executor(None, work, segment)  # while the next one comes in
    if job is not None:
        yield await job
    headers |= upload.finish(size, md5.hexdigest()).headers
    yield [Footer(headers)] * code.fragments


async def _segments(body: AsyncIterator[bytes | Footer], size: int, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The body, cut; what it brings as a footer is put into `headers`."""
    held: list[bytes] = []
    have = 0
    async for piece in body:
        if isinstance(piece, Footer):
            headers |= piece.headers
            continue
        held.append(piece)
        have += len(piece)
        while have >= size:
            whole = b"".join(held)
            yield whole[:size]
            held = [whole[size:]]
            have -= size
    if have:
        yield b"".join(held)


async def _commit(upload: _Upload, record: Record) -> None:
    """Have the disks make it count. Raises Superseded, Unavailable when too few do."""
    path, place = upload.path, upload.place
    lessons = Lessons(upload.placing, path, place)

    async def one(fragment: int, node: Node, spot: Spot) -> bool:
        if not await node.commit_object(spot, path, record.timestamp, lessons.of(fragment)):
            held = await node.head_object(spot, path)
            if held is not None and held.timestamp > record.timestamp:
                raise Superseded(held.timestamp)
            raise Unavailable(SHORT, internal=f"{path}: fragment {fragment} is not there any more")
        lessons.done(fragment)
        return True

    tasks = [asyncio.create_task(one(n, node, spot), name=f"commit {n}") for n, (node, spot) in upload.stored.items()]
    await agreed(place, tasks)
    await lessons.make_up(row_of(path, record, place.policy))
