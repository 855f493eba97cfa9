"""What a container is told of an object: one row, made of the record, the same now as when a debt is paid much later.

A layer may have the container say something else of an object than its bytes do (the size of a whole of many segments,
the etag of what was encrypted): by sysmeta `container-update-override-etag`, `-size` and `-content-type`.
"""

from maldon.objectstore.coding.whole import told_as_whole
from maldon.objectstore.node import Record, Row
from maldon.objectstore.path import Path

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
