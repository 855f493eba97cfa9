"""What may be kept as metadata: names, values and how much of both; sizes are bytes of UTF-8, as /info says them.

Metadata of accounts and containers is text. That of objects may be any bytes, as with Swift: what is no text is kept as
text of another kind, and shown as the bytes that it was. Nothing is kept that could end a header's line.
"""

import re
from collections.abc import Mapping

from maldon.kernel.errors import BadRequest
from maldon.objectstore.settings import ObjectSettings

KEEPING = ("x-", "content-")  # what headers begin with that may be kept
ANY_BYTES = ("x-object-meta-", "content-disposition")
NO_TEXT = "x-object-transient-sysmeta-no-text"  # some of an object's metadata is not
MARK = "\x00"  # which no header has: what follows is bytes, each as the character of its number
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_NAME = re.compile(r"[\x00-\x20:\x7f]")


def has_control(value: str) -> bool:
    """Whether it has characters that no header can carry, wherever the value came from."""
    return not value.isprintable() and _CONTROL.search(value) is not None


def is_text(value: str) -> bool:
    """Whether it came as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _any_bytes(name: str, kind: str) -> bool:
    return kind == "object" and name.startswith(ANY_BYTES)


def check_metadata(headers: Mapping[str, str], kind: str, limits: ObjectSettings) -> None:
    """Raise BadRequest for metadata of a `kind` (object, container, account) that cannot be kept."""
    prefix = f"x-{kind}-meta-"
    count = size = 0
    for name, value in headers.items():
        if len(value) > limits.max_header_size:
            raise BadRequest(f"Header value too long: {name[:128]}")
        if not name.startswith(KEEPING):
            continue
        if not (value.isascii() or is_text(value) or _any_bytes(name, kind)):
            raise BadRequest(f"{name[:128]} must be valid UTF-8")
        if has_control(value):
            raise BadRequest(f"{name[:128]!r} has a control character")
        if name.startswith(prefix):
            length = _check_item(name[len(prefix) :], value, limits)
            if value:
                count, size = count + 1, size + length
    if count > limits.max_meta_count:
        raise BadRequest(f"Too many metadata items; max {limits.max_meta_count}")
    if size > limits.max_meta_overall_size:
        raise BadRequest(f"Total metadata too large; max {limits.max_meta_overall_size}")


def _check_item(name: str, value: str, limits: ObjectSettings) -> int:
    """The bytes an item takes."""
    if not name:
        raise BadRequest("Metadata name cannot be empty")
    if _NO_NAME.search(name):
        raise BadRequest(f"Metadata name cannot be {name[:128]!r}")
    name_size, value_size = len(name.encode("latin-1", "replace")), len(value.encode("utf-8", "surrogateescape"))
    if name_size > limits.max_meta_name_length:
        raise BadRequest(f"Metadata name too long: {name[:128]}")
    if value_size > limits.max_meta_value_length:
        raise BadRequest(f"Metadata value longer than {limits.max_meta_value_length}: {name[:128]}")
    return name_size + value_size


def as_kept(headers: dict[str, str]) -> dict[str, str]:
    """Checked headers as they can be kept: all of them text."""
    if all(map(str.isascii, headers.values())) or all(map(is_text, headers.values())):
        return headers
    return {name: value if is_text(value) else MARK + _each(value) for name, value in headers.items()} | {NO_TEXT: "1"}


def _each(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


def as_given(headers: dict[str, str]) -> dict[str, str]:
    """Kept headers as they came in."""
    if NO_TEXT not in headers:
        return headers
    return {
        name: value[1:].encode("latin-1").decode("utf-8", "surrogateescape") if value.startswith(MARK) else value
        for name, value in headers.items()
        if name != NO_TEXT
    }


def merged_metadata(
    existing: Mapping[str, tuple[str, int]], wanted: Mapping[str, str], kind: str, limits: ObjectSettings
) -> None:
    """Raise BadRequest when what a container or account has, with what is to be added, is too much."""
    prefix = f"x-{kind}-meta-"
    whole = {name: value for name, (value, _) in existing.items() if name.startswith(prefix)}
    whole |= {name: value for name, value in wanted.items() if name.startswith(prefix)}
    check_metadata({name: value for name, value in whole.items() if value}, kind, limits)
