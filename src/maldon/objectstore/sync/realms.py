"""Realms: clusters that let each other's containers be kept the same, and the signature by which they know each other.

The file is Swift's container-sync-realms.conf. A section is a realm; `key` signs and is believed, `key2` is believed
too while keys are being changed, and `cluster_<name>` is the endpoint of a cluster. Names have no case. The file is
read anew when it changes, which is looked for every `mtime_check_interval` seconds; one that cannot be read leaves
what was known.

A request is signed with the realm's key and the container's: the one is the operators', the other its owner's.
"""

import configparser
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import structlog

log = structlog.get_logger("object.sync")
CHECK_S = 300.0


class Realm(NamedTuple):
    """`clusters` are endpoints by name, each up to and with the version."""

    name: str
    keys: tuple[str, ...]
    clusters: Mapping[str, str]


class Realms:
    """Those of a file; none where `file` is empty."""

    def __init__(self, file: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = Path(file) if file else None, clock
        self._known: dict[str, Realm] = {}
        self._look_at, self._interval_s, self._changed = 0.0, CHECK_S, 0

    def named(self, name: str) -> Realm | None:
        return self.all().get(name.upper())

    def all(self) -> Mapping[str, Realm]:
        """By name, in upper case."""
        if self._file is not None and self._clock() >= self._look_at:
            self._look(self._file)
            self._look_at = self._clock() + self._interval_s
        return self._known

    def _look(self, file: Path) -> None:
        try:
            changed = file.stat().st_mtime_ns
            if changed != self._changed:
                self._interval_s, self._known = read_realms(file.read_text())
                self._changed = changed
        except (OSError, ValueError, configparser.Error) as error:
            kind = type(error).__name__  # what it says might have a key in it
            log.error("realms cannot be read", file=str(file), error=kind)  # noqa: TRY400


def read_realms(text: str) -> tuple[float, dict[str, Realm]]:
    """How often to look for changes, and the realms. Raises ValueError, configparser.Error."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    found = {name.upper(): _realm(name.upper(), parser[name]) for name in parser.sections()}
    return float(parser.defaults().get("mtime_check_interval", CHECK_S)), found


def _realm(name: str, section: Mapping[str, str]) -> Realm:
    keys = tuple(key for key in (section.get("key"), section.get("key2")) if key)
    clusters = {
        option.removeprefix("cluster_").upper(): endpoint.rstrip("/")
        for option, endpoint in section.items()
        if option.startswith("cluster_") and endpoint
    }
    return Realm(name, keys, clusters)


def signature(realm_key: str, user_key: str, method: str, path: str, at: str, nonce: str) -> str:
    """Of a request to `path`, percent-encoded, that writes with the time `at`."""
    text = f"{method}\n{path}\n{at}\n{nonce}\n{user_key}"
    return hmac.new(realm_key.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha1).hexdigest()


def signed(realm: Realm, user_key: str, method: str, paths: list[str], at: str, said: tuple[str, str]) -> bool:
    """Whether a nonce and signature are of somebody with both keys; all are tried, so that time tells nothing."""
    nonce, given = said
    right = False
    for key in realm.keys:
        for path in paths:
            made = signature(key, user_key, method, path, at, nonce)
            right |= hmac.compare_digest(made.encode(), given.encode("utf-8", "surrogateescape"))
    return right
