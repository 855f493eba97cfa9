"""Ids are made before the row that needs them, so that a repeated step repeats instead of doubling."""

import random
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
    """One for every request, so it is made without the ceremony of a UUID object; it names, and guards nothing."""
    r = f"{random.getrandbits(128):032x}"
    return f"req-{r[:8]}-{r[8:12]}-4{r[13:16]}-{'89ab'[int(r[16], 16) & 3]}{r[17:20]}-{r[20:]}"


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID with dashes, in lower case."""
    return _UUID.fullmatch(text) is not None
