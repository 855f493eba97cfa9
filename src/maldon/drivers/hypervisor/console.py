"""The console log: what a guest wrote to its serial port, kept in one file over all its boots, and bounded.

QEMU appends (O_APPEND), so the file may be cut under a running guest: its next byte goes to the new end. A guest that
floods its console in the very moment of a cut may lose some lines of the flood, never the place of the rest.
"""

import os
from pathlib import Path

KEEP = 1024**2


def tail(log: Path, limit: int) -> bytes:
    """The last `limit` bytes; empty when there is no log."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max(0, limit)))
            return file.read(max(0, limit))
    except FileNotFoundError:
        return b""


def bound(log: Path, limit: int) -> None:
    """Cut a log that has outgrown `limit` bytes to the last of them."""
    try:
        if log.stat().st_size <= limit:
            return
    except FileNotFoundError:
        return
    kept = tail(log, min(KEEP, limit // 2))
    with log.open("ab") as file:
        os.ftruncate(file.fileno(), 0)
        file.write(kept)
