"""Log lines: for people on a terminal, as JSON for machines; one line per event, with the request's id.

Lines below a warning are written together a moment later, for a system call costs as much as the rest of a line. What
is worth a warning is written at once, and so is what a thread says or a process at its end.
"""

import asyncio
import atexit
import contextlib
import logging
import sys
import time
from collections import deque
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, TextIO

import msgspec
import structlog

Event = MutableMapping[str, Any]
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
TOGETHER_S = 0.02


class _Lines:
    """Where finished lines go: structlog's logger."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._waiting: deque[str] = deque()
        self._due: asyncio.AbstractEventLoop | None = None  # the loop that will write what is waiting
        atexit.register(self._write)

    def _at_once(self, line: str) -> None:
        self._waiting.append(line)
        self._write()

    def _soon(self, line: str) -> None:
        self._waiting.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write()
            return
        if self._due is not loop:
            self._due = loop
            loop.call_later(TOGETHER_S, self._write)

    def _write(self) -> None:
        self._due = None
        lines = []
        with contextlib.suppress(IndexError):  # empty, by another thread's doing too
            while True:
                lines.append(self._waiting.popleft())
        if lines and not self._out.closed:
            self._out.write("\n".join([*lines, ""]))
            self._out.flush()

    debug = info = _soon
    msg = log = warning = warn = error = err = exception = critical = fatal = failure = _at_once


def _now() -> str:
    now = time.time()
    return f"{_second(int(now))}.{int(now % 1 * 1000):03d}Z"


@lru_cache(maxsize=2)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def _json(logger: Any, level: str, event: Event) -> str:
    _finish(logger, level, event)
    event["time"], event["level"] = _now(), level
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _human(logger: Any, level: str, event: Event) -> str:
    _finish(logger, level, event)
    what, trace = event.pop("event"), event.pop("exception", None)
    words = " ".join([f"{k}={v}" for k, v in event.items() if v is not None and v != ""])
    return f"{_now()[11:23]} {level[:4]:4} {what:<12} {words}" + (f"\n{trace}" if trace else "")


def _finish(logger: Any, level: str, event: Event) -> None:
    if "exc_info" in event:
        structlog.processors.format_exc_info(logger, level, event)


def _with_one_processor(kind: Any) -> Any:
    """The bound logger of structlog for which the one processor writes the line; every request pays for it."""

    class Quick(kind):  # type: ignore[misc] # a class made at run time
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **event_kw: Any) -> None:
            written = self._processors[0](self._logger, method_name, {**self._context, **event_kw, "event": event})
            getattr(self._logger, method_name)(written)

    return Quick


def set_up(form: str, level: str, out: TextIO = sys.stdout) -> None:
    """Have everything written to `out` from now on."""
    number, lines = LEVELS.get(level, 20), _Lines(out)
    structlog.configure(
        processors=[_json if form == "json" else _human],
        wrapper_class=_with_one_processor(structlog.make_filtering_bound_logger(number)),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=out, level=max(number, logging.WARNING), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it complains of long polls that end with us
