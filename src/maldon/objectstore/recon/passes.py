"""When each loop of a node last passed, what it did and how long that took: for whoever looks at the node.

The loops of a node run in one of its processes, and any process may be asked: so it stands in a file, `recon.json`
beside the disks, replaced as a whole. It is a look from outside, no book: nobody decides by it, nothing is synced for
it, and what a crash takes of it the next pass brings again.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from maldon.objectstore.recon.stock import DiskState
from maldon.work.loops import Loop

FILE = "recon.json"
SELDOM_S = 1.0  # between two writes of the file


class Pass(msgspec.Struct):
    """The last whole pass of a loop. `running_since` is 0 between passes; `failures` are passes in a row that failed;
    `did` and `total` count what the loop counts, in the last pass and since the process began.
    """

    begun: float = 0.0
    seconds: float = 0.0
    did: int = 0
    total: int = 0
    passes: int = 0
    failures: int = 0
    error: str = ""
    running_since: float = 0.0


class Seen(msgspec.Struct):
    """The file. `at` is when it was written, `pid` by whom."""

    at: float = 0.0
    pid: int = 0
    loops: dict[str, Pass] = {}
    disks: dict[str, DiskState] = {}


_decode = msgspec.json.Decoder(Seen).decode


class Passes:
    """What the process that tends a node sees, written for all others."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._file, self._now = folder / FILE, now
        self.seen = Seen(pid=os.getpid())

    def watched(self, loop: Loop) -> Loop:
        """The loop, its passes noted."""
        told = self.seen.loops.setdefault(loop.name, Pass())

        async def once() -> object:
            told.running_since = begun = self._now()
            done: object = 0
            try:
                done = await loop.once()
            except Exception as error:
                told.failures, told.error = told.failures + 1, repr(error)
                raise
            else:
                told.failures, told.error = 0, ""
                told.did = done if isinstance(done, int) else 0
                told.total += told.did
            finally:
                told.begun, told.seconds, told.running_since = begun, self._now() - begun, 0.0
                told.passes += 1
                self.write(seldom=True)
            return done

        return replace(loop, once=once)

    def write(self, *, seldom: bool = False) -> None:
        """Have the others see it; a file that cannot be written is left for the next time."""
        now = self._now()
        if seldom and 0 <= now - self.seen.at < SELDOM_S:
            return
        self.seen.at = now
        beside = self._file.with_name(f".{FILE}.{os.getpid()}")
        with contextlib.suppress(OSError):
            beside.write_bytes(msgspec.json.encode(self.seen))
            beside.replace(self._file)


def read_seen(folder: Path) -> Seen:
    """What the process that tends the node wrote last; empty when there is none."""
    try:
        return _decode((folder / FILE).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return Seen()
