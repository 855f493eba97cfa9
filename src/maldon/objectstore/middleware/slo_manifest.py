"""Manifests of static large objects: what a client PUTs, what is kept, what is shown.

A client sends a JSON list of {path, etag, size_bytes, range} or {data}; only `path` or `data` is needed. Kept are name,
hash, bytes, content_type, last_modified, range, sub_slo, as a GET with `multipart-manifest=get` shows them.
"""

import base64
import binascii
import hashlib
import re
from typing import Any

import msgspec

from maldon.kernel.errors import BadRequest
from maldon.objectstore.middleware.segments import Segment
from maldon.objectstore.path import Path

SLO_ETAG, SLO_SIZE = "x-object-sysmeta-slo-etag", "x-object-sysmeta-slo-size"
KEYS = {"path", "etag", "size_bytes", "range", "data"}
MOST_BYTES = 2**53 - 1  # of the whole: what a JSON number says exactly
_DIGITS = re.compile(r"\d{1,19}", re.ASCII)
_RANGE = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)


class Wanted(msgspec.Struct, frozen=True):
    """A segment as the client describes it. `range` is first and last byte as far as given."""

    path: Path
    named: str = ""
    etag: str | None = None
    size: int | None = None
    range: tuple[int | None, int | None] | None = None
    data: bytes | None = None

    def span(self, size: int) -> tuple[int, int] | None:
        """From where up to where of an object of `size` bytes; None when there are none."""
        first, last = self.range or (0, None)
        if first is None:
            return (max(0, size - (last or 0)), size) if last and size else None
        stop = size if last is None else min(size, last + 1)
        return (first, stop) if first < stop else None


class Kept(msgspec.Struct, omit_defaults=True):
    """A segment in a manifest; `bytes` is the size of the whole object, `range` "first-last"."""

    name: str = ""
    hash: str = ""
    bytes: int = 0
    content_type: str = ""
    last_modified: str = ""
    range: str = ""
    sub_slo: bool = False
    data: str = ""

    def segment(self, account: str) -> Segment:
        if self.data:
            inline = base64.b64decode(self.data)
            return Segment(Path(account), "", 0, len(inline), inline)
        _, container, name = self.name.split("/", 2)
        first, stop = 0, self.bytes
        if self.range:
            first, last = (int(word) for word in self.range.split("-"))
            stop = last + 1
        return Segment(Path(account, container, name), self.hash, first, stop)


def parse(content: bytes, account: str, most: int) -> list[Wanted]:
    """What a client wants. Raises BadRequest with a line for every segment that is wrong."""
    try:
        rows = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest("Manifest must be valid JSON.\n") from error
    if not isinstance(rows, list):
        raise BadRequest("Manifest must be a list.\n")
    if len(rows) > most:
        raise BadRequest(f"Number of segments must be <= {most}\n")
    wrong: list[str] = []
    wanted = []
    for n, row in enumerate(rows):
        try:
            wanted.append(_wanted(row, account))
        except ValueError as error:
            wrong.append(f"Index {n}: {error}")
    if not wrong and not any(one.data is None for one in wanted):
        wrong = ["Inline data segments require at least one object-backed segment."]
    if wrong:
        raise BadRequest("\n".join(wrong)[:4000] + "\n")
    return wanted


def read_kept(content: bytes) -> list[Kept]:
    """A manifest as another cluster keeps it. Raises BadRequest."""
    try:
        kept = msgspec.json.decode(content, type=list[Kept])
        spans = [one.segment("") for one in kept]
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise BadRequest("Manifest must be as multipart-manifest=get shows it.\n") from error
    if any(not 0 <= one.first <= one.stop for one in spans):
        raise BadRequest("A segment of the manifest is less than nothing.\n")
    return kept


def _wanted(row: Any, account: str) -> Wanted:
    """Raises ValueError."""
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a value, told to the client
    if extra := sorted(row.keys() - KEYS):
        raise ValueError(f"extraneous keys {', '.join(map(repr, extra))[:200]}")
    if "data" in row:
        if len(row) > 1:
            raise ValueError("a segment with data has nothing else")
        return Wanted(Path(account), data=_data(row["data"]))
    path = row.get("path")
    if not isinstance(path, str):
        wrong = "missing key path" if "path" not in row else "path must be a string"
        raise ValueError(wrong)  # noqa: TRY004
    container, slash, name = path.lstrip("/").partition("/")
    if not slash or not container or not name or "\x00" in path:
        raise ValueError("path does not refer to an object. Path must be of the form /container/object.")
    etag, size = row.get("etag"), row.get("size_bytes")
    if etag is not None and not isinstance(etag, str):
        raise ValueError("etag must be a string")
    if size is not None and (isinstance(size, bool) or not _DIGITS.fullmatch(str(size))):
        raise ValueError("invalid size_bytes")
    if size is not None and int(size) < 1 and row.get("range") is None:
        raise ValueError("too small; each segment must be at least 1 byte.")
    chosen = None if row.get("range") is None else _range(row["range"])
    given = etag.strip('"').lower() if etag else None
    return Wanted(Path(account, container, name), path, given, int(size) if size is not None else None, chosen)


def _data(text: Any) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("data must be valid base64") from None
    if not data:
        raise ValueError("too small; each segment must be at least 1 byte.")
    return data


def _range(text: Any) -> tuple[int | None, int | None]:
    match = _RANGE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or text.strip() == "-":
        raise ValueError("invalid range")
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is not None and last is not None and last < first:
        raise ValueError("invalid range")
    return first, last


def whole(kept: list[Kept], account: str) -> tuple[str, int]:
    """ETag and size of what they make together."""
    md5, size = hashlib.md5(usedforsecurity=False), 0
    for one in kept:
        if one.data:
            inline = base64.b64decode(one.data)
            md5.update(hashlib.md5(inline, usedforsecurity=False).hexdigest().encode())
        else:
            md5.update((f"{one.hash}:{one.range};" if one.range else one.hash).encode())
        size += one.segment(account).size
    return md5.hexdigest(), size


def as_put(kept: list[Kept]) -> bytes:
    """The manifest as a client would PUT it."""
    rows: list[dict[str, Any]] = []
    for one in kept:
        if one.data:
            rows.append({"data": one.data})
            continue
        row: dict[str, Any] = {"path": one.name, "etag": one.hash, "size_bytes": one.bytes}
        rows.append(row | ({"range": one.range} if one.range else {}))
    return msgspec.json.encode(rows)
