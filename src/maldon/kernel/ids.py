"""Ids are made before the row that needs them, so that a repeated step repeats instead of doubling."""

import re
import uuid

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """A random UUID with dashes, as servers, networks and images have."""
    return str(uuid.uuid4())


def new_hex_id() -> str:
    """A random UUID without dashes, as users, projects and roles have."""
    return uuid.uuid4().hex


def new_request_id() -> str:
    return f"req-{uuid.uuid4()}"


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID with dashes, in lower case."""
    return _UUID.fullmatch(text) is not None
