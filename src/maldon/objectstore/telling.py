"""What a container is told of an object, and how: one row, made of the record, the same now as when a debt is paid much
later. Whoever has written waits for it, so a node that does not hear in time is not told for a while.

A layer may have the container say something else of an object than its bytes do (the size of a whole of many segments,
the etag of what was encrypted): by sysmeta `container-update-override-etag`, `-size` and `-content-type`.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

import structlog

from maldon.kernel.errors import CloudError
from maldon.objectstore.coding.whole import told_as_whole
from maldon.objectstore.node import BookNode, Record, Row, Spot
from maldon.objectstore.path import Path

log = structlog.get_logger("object.telling")
TELL_S = 1.0
SILENT_S = 10.0
OVERRIDE = "x-object-sysmeta-container-update-override-"


def row_of(path: Path, record: Record, policy: int) -> Row:
    """The row for the object at `path`."""
    at = max(record.timestamp, record.posted_at)
    if record.deleted:
        return Row(path.object, at, deleted=True, policy=policy, measured_at=record.timestamp)
    record = told_as_whole(record)
    headers = record.headers
    size, etag, content_type = record.size, record.etag, headers.get("content-type", "")
    if OVERRIDE + "etag" in headers or OVERRIDE + "size" in headers:
        etag = headers.get(OVERRIDE + "etag", etag)
        said = headers.get(OVERRIDE + "size", "")
        size = int(said) if said.isdecimal() else size
        content_type = headers.get(OVERRIDE + "content-type", content_type)
    return Row(path.object, at, size, content_type, etag, False, policy, 0, record.timestamp)


class Others(Protocol):
    """Where the nodes with the containers are found."""

    here: str

    def at(self, address: str) -> BookNode: ...


class Telling:
    """Tells replicas of containers on other nodes. What one is not told is left to the updater and the replicator."""

    def __init__(self, nodes: Others) -> None:
        self._nodes = nodes
        self._silent: dict[str, float] = {}

    async def tell(self, address: str, spot: Spot, book: Path, rows: Sequence[Row]) -> bool:
        """Whether that replica of the container knows now."""
        if self._silent.get(address, 0.0) > time.monotonic():
            return False
        try:
            async with asyncio.timeout(TELL_S):
                return await self._nodes.at(address).update_book(spot, book, rows)
        except (CloudError, OSError, TimeoutError) as error:
            if isinstance(error, TimeoutError):  # whoever writes next is not kept waiting as well
                self._silent[address] = time.monotonic() + SILENT_S
            log.warning("container not told", container=str(book), address=address, error=repr(error))
            return False
