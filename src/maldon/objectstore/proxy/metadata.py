"""What may be kept as metadata: names, values and how much of both; sizes are bytes of UTF-8, as /info says them."""

from collections.abc import Mapping

from maldon.kernel.errors import BadRequest
from maldon.objectstore.settings import ObjectSettings

KEEPING = ("x-", "content-")  # what headers begin with that may be kept


def is_text(value: str) -> bool:
    """Whether it came as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_metadata(headers: Mapping[str, str], kind: str, limits: ObjectSettings) -> None:
    """Raise BadRequest for metadata of a `kind` (object, container, account) that cannot be kept."""
    prefix = f"x-{kind}-meta-"
    count = size = 0
    for name, value in headers.items():
        if len(value) > limits.max_header_size:
            raise BadRequest(f"Header value too long: {name[:128]}")
        if not value.isascii() and name.startswith(KEEPING) and not is_text(value):
            raise BadRequest(f"{name[:128]} must be valid UTF-8")
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
    name_size, value_size = len(name.encode("latin-1")), len(value.encode())
    if name_size > limits.max_meta_name_length:
        raise BadRequest(f"Metadata name too long: {name[:128]}")
    if value_size > limits.max_meta_value_length:
        raise BadRequest(f"Metadata value longer than {limits.max_meta_value_length}: {name[:128]}")
    return name_size + value_size


def merged_metadata(
    existing: Mapping[str, tuple[str, int]], wanted: Mapping[str, str], kind: str, limits: ObjectSettings
) -> None:
    """Raise BadRequest when what a container or account has, with what is to be added, is too much."""
    prefix = f"x-{kind}-meta-"
    whole = {name: value for name, (value, _) in existing.items() if name.startswith(prefix)}
    whole |= {name: value for name, value in wanted.items() if name.startswith(prefix)}
    check_metadata({name: value for name, value in whole.items() if value}, kind, limits)
