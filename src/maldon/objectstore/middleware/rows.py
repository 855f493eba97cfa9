"""What layers note of an object in its container's row, beside the ETag: `md5; slo_etag=…; symlink_target=…`.

A layer that writes an object asks for the note by `override`; a listing's rows are shown without it, its facts as
fields of their own.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from maldon.objectstore.proxy.listings import Listing
from maldon.objectstore.telling import OVERRIDE


def override(etag: str, facts: Mapping[str, str], size: int | None = None) -> dict[str, str]:
    """The headers of a PUT that have the row say this."""
    notes = "".join(f"; {name}={quote(value)}" for name, value in facts.items())
    return {f"{OVERRIDE}etag": etag + notes, **({} if size is None else {f"{OVERRIDE}size": str(size)})}


def show(listing: Listing, mark: str, change: Callable[[dict[str, Any], dict[str, str]], None]) -> None:
    """Have `change` work on every row whose note has `mark`, its facts given; rows are only decoded if there is one."""
    if mark.encode() not in listing.json:
        return
    for row in listing.rows:
        _, *notes = row.get("hash", "").split("; ")
        facts = dict(note.split("=", 1) for note in notes if "=" in note)
        if mark in facts:
            change(row, {name: unquote(value) for name, value in facts.items()})


def without(row: dict[str, Any], *names: str) -> None:
    """Take notes of these names out of a row."""
    etag, *notes = row["hash"].split("; ")
    row["hash"] = "; ".join([etag, *(note for note in notes if note.split("=", 1)[0] not in names)])
