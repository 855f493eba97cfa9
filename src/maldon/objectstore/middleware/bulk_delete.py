"""Many things deleted at once: POST or DELETE of an account with `bulk-delete`, their paths the lines of the body.

Each is asked for with the asker's own rights; a container goes after the objects named before it.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from maldon.kernel.errors import BadRequest, TooLarge
from maldon.objectstore.middleware.bulk import BulkSettings, Outcome, shown, told
from maldon.objectstore.middleware.layer import Handler, Layer, Marks, answered
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response, title
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

LONGEST_LINE = 5 * 1024
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Deletion:
    """One thing to be deleted; `error` when its name is none."""

    path: Path
    error: str = ""
    query: dict[str, str] | None = None


def make(store: Store, below: Handler) -> Handler:
    limits = store.option(BulkSettings)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        wanted = request.query_string and request.path.account and request.method in {"POST", "DELETE"}
        return _delete(request) if wanted and "bulk-delete" in request.query else below(request)

    async def _delete(request: ObjectRequest) -> Response:
        doomed = await _named(request, limits.max_deletes_per_request)
        return await delete_all(below, request, doomed, limits)

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
    return await told(request, _deleted(below, request, doomed, wanted.max_failed_deletes), wanted.yield_frequency_s)


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
                    outcome.errors.append((quote(shown(one.path)), status))
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


def _info(store: Store) -> dict[str, Any]:
    limits = store.option(BulkSettings)
    return {
        "max_deletes_per_request": limits.max_deletes_per_request,
        "max_failed_deletes": limits.max_failed_deletes,
    }


LAYER = Layer("bulk_delete", make, _info, marks=lambda _store: Marks())
