"""When something was written: the one thing that decides between two versions, on every node.

A timestamp is an int, ticks of ten microseconds since 1970, so that it compares, packs and indexes cheaply; on the wire
it is Swift's text, "1700000000.12345". The proxy stamps each write once, every replica keeps that stamp, the newest
wins, and a write not newer than what is held is refused as Superseded. One process never gives the same stamp twice.
"""

import time

TICKS = 100_000
_given = 0


def stamp() -> int:
    """A timestamp for a write of now, later than every one this process has given."""
    global _given  # noqa: PLW0603 - one clock a process, as the machine has it
    _given = max(time.time_ns() // 10_000, _given + 1)
    return _given


def text(timestamp: int) -> str:
    """As headers have it: seconds with five decimals."""
    seconds, ticks = divmod(timestamp, TICKS)
    return f"{seconds:010d}.{ticks:05d}"


def parse(value: str) -> int:
    """Ticks of a header's seconds. Raises ValueError."""
    seconds, _, fraction = value.partition(".")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 10):
        raise ValueError(f"{value[:40]!r} is no timestamp")
    if fraction and not (fraction.isascii() and fraction.isdigit()):
        raise ValueError(f"{value[:40]!r} is no timestamp")
    return int(seconds) * TICKS + int((fraction + "00000")[:5])


def seconds(timestamp: int) -> int:
    """The second it falls into, rounded up: what Last-Modified says, so that a condition on it is never early."""
    return -(-timestamp // TICKS)
