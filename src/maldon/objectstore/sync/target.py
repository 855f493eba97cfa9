"""Where a container is synced to: X-Container-Sync-To.

`//realm/cluster/account/container` names a cluster of a realm; a URL, where the settings allow those, a container on
one of the hosts that they list. Nothing else is ever connected to: what is refused when it is set is refused again
when it is used, for the settings may have changed.
"""

from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from maldon.kernel.errors import BadRequest
from maldon.objectstore.sync.realms import Realm, Realms
from maldon.objectstore.sync.settings import ContainerSyncSettings

HEADER = "X-Container-Sync-To"


class Target(NamedTuple):
    """`url` is percent-encoded and ends with the container. Without a realm, the container's key is told as it is."""

    url: str
    realm: Realm | None = None


def read_target(text: str, realms: Realms, settings: ContainerSyncSettings) -> Target:
    """What a header means. Raises BadRequest."""
    value = text.strip().rstrip("/")
    if value.startswith("//"):
        return _in_realm(value, realms)
    if not settings.allow_full_urls:
        raise BadRequest(
            f"Full URLs are not allowed for {HEADER} values. Only realm values of the format"
            " //realm/cluster/account/container are allowed."
        )
    return Target(_url(value, settings.allowed_sync_hosts))


def _in_realm(value: str, realms: Realms) -> Target:
    words = value[2:].split("/")
    if len(words) != 4 or not all(words) or {".", ".."} & set(words):
        raise BadRequest(f"Invalid {HEADER} format {value[:200]!r}: it wants //realm/cluster/account/container")
    named, cluster, *names = words
    realm = realms.named(named)
    endpoint = realm.clusters.get(cluster.upper()) if realm is not None and realm.keys else None
    if endpoint is None:
        raise BadRequest(f"No cluster endpoint for {f'//{named}/{cluster}'[:200]!r}")
    try:
        return Target("/".join((endpoint, *(quote(name) for name in names))), realm)
    except UnicodeEncodeError:
        raise BadRequest(f"{HEADER} must be valid UTF-8") from None


def _url(value: str, hosts: tuple[str, ...]) -> str:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise BadRequest(f"{HEADER} wants a percent-encoded URL")
    try:
        parts = urlsplit(value)
        allowed = _is_allowed(parts, {host.lower() for host in hosts})
    except ValueError:
        raise BadRequest(f"Invalid host in {HEADER}") from None
    if parts.scheme not in {"http", "https"}:
        raise BadRequest(f'Invalid scheme {parts.scheme[:40]!r} in {HEADER}, must be "//", "http", or "https".')
    if parts.query or parts.fragment or ";" in parts.path or "?" in value or "#" in value or "@" in parts.netloc:
        raise BadRequest(f"Params, queries, users and fragments are not allowed in {HEADER}")
    names = parts.path.split("/")[1:]
    if len(names) < 3 or not all(names) or {".", ".."} & set(names):
        raise BadRequest(f"Path required in {HEADER}: /version/account/container")
    if not allowed:
        raise BadRequest(f"Invalid host {(parts.hostname or '')[:100]!r} in {HEADER}")
    return value


def _is_allowed(parts: SplitResult, hosts: set[str]) -> bool:
    """Raises ValueError for what is no host or port."""
    name = (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    shown = f"[{name}]" if ":" in name else name
    return bool(name) and not hosts.isdisjoint({name, shown, f"{shown}:{port}"})
