"""What a guest may be called: the UUID of its server, which is also a file name on this host."""

import re

GUEST = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_name(guest: str) -> None:
    if not GUEST.fullmatch(guest):
        raise ValueError(f"a guest is named by a UUID in lower case, not {guest!r}")
