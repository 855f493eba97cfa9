"""Log lines: for people on a terminal, as JSON for machines; one line per event, with the request's id."""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any, TextIO

import msgspec
import structlog

Event = MutableMapping[str, Any]
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def _stamp(_logger: Any, level: str, event: Event) -> Event:
    now = time.time()
    event["time"] = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"
    event["level"] = level
    return event


def _json(_logger: Any, _level: str, event: Event) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _human(_logger: Any, _level: str, event: Event) -> str:
    when, level, what = event.pop("time"), event.pop("level"), event.pop("event")
    trace = event.pop("exception", None)
    words = " ".join(f"{k}={v}" for k, v in event.items() if v not in {None, ""})
    return f"{when[11:23]} {level[:4]:4} {what:<12} {words}" + (f"\n{trace}" if trace else "")


def set_up(form: str, level: str, out: TextIO = sys.stdout) -> None:
    """Have everything written to `out` from now on."""
    number = LEVELS.get(level, 20)
    structlog.configure(
        processors=[_stamp, structlog.processors.format_exc_info, _json if form == "json" else _human],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=out, level=max(number, logging.WARNING), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it complains of long polls that end with us
