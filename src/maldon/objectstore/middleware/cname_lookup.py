"""Hosts of customers' own: a name whose CNAME record leads below one of the `storage_domains` stands for that name.

So www.example.org, a CNAME of container.account.store.test, is that container with `domain_remap`, which comes next.
Records are followed `lookup_depth` far; a name that leads nowhere of ours is 400. Addresses and our own domains are
not looked up. What was found is remembered as long as its record says, an hour at most, and so is, for a moment, that
nothing was found; how much is remembered and how many ask at once is bounded. Off unless `storage_domains` names one.
"""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from maldon.kernel.errors import BadRequest
from maldon.kernel.settings import BadSetting, option
from maldon.objectstore.middleware.layer import Handler, Layer
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

MOST_KEPT, MOST_AT_ONCE = 10_000, 64
LONGEST_S, NOTHING_S, SILENCE_S = 3600.0, 60.0, 5.0
LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class CnameLookupSettings:
    storage_domains: tuple[str, ...] = option(
        (), "Domains that hosts must lead to by their CNAME records; none is off."
    )
    lookup_depth: int = option(1, "CNAME records that are followed, one after the other.")
    nameservers: tuple[str, ...] = option((), "Name servers, address or address:port; those of the system if none.")
    timeout_s: float = option(5.0, "Seconds one record may take to be found.")


class Records:
    """CNAME records, as they were found a moment ago or are found now."""

    def __init__(
        self, settings: CnameLookupSettings, clock: Callable[[], float] = time.monotonic, most: int = MOST_KEPT
    ) -> None:
        self._timeout_s, self._clock, self._most = settings.timeout_s, clock, most
        self._kept: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._room = asyncio.Semaphore(MOST_AT_ONCE)
        self._resolver = _resolver(settings.nameservers)

    async def target(self, name: str) -> str:
        """What a name is an alias of; "" when it is of none, or that cannot be found out."""
        kept = self._kept.get(name)
        if kept is None or kept[0] <= self._clock():
            async with self._room:
                target, seconds = await self._look(name)
            kept = self._kept[name] = (self._clock() + seconds, target)
            self._kept.move_to_end(name)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return kept[1]

    async def _look(self, name: str) -> tuple[str, float]:
        """The target, and how long that is true."""
        import dns.exception
        import dns.resolver

        try:
            answer = await self._resolver.resolve(f"{name}.", "CNAME", lifetime=self._timeout_s, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return "", NOTHING_S
        except (dns.exception.DNSException, OSError, UnicodeError, ValueError):
            return "", SILENCE_S
        return answer[0].target.to_text(omit_final_dot=True).lower(), min(float(answer.rrset.ttl), LONGEST_S)


def _resolver(nameservers: tuple[str, ...]) -> Any:
    """Raises BadSetting."""
    try:
        import dns.asyncresolver
        import dns.exception
        import dns.nameserver
    except ModuleNotFoundError:
        raise BadSetting("[object-cname_lookup] storage_domains wants dnspython: install maldon[cname].") from None
    try:
        resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    except dns.exception.DNSException as error:
        raise BadSetting(f"[object-cname_lookup] nameservers is empty, and the system has none: {error}") from error
    if nameservers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*_address(text)) for text in nameservers]
    return resolver


def _address(text: str) -> tuple[str, int]:
    """Of `address`, `address:port` or `[address]:port`. Raises BadSetting."""
    try:
        host, port = (text, "53") if text.count(":") != 1 and "]" not in text else text.rsplit(":", 1)
        return str(ipaddress.ip_address(host.strip("[]"))), int(port)
    except ValueError:
        raise BadSetting(f"[object-cname_lookup] nameservers wants address or address:port, not {text!r}.") from None


def make(store: Store, below: Handler) -> Handler:
    wanted = store.option(CnameLookupSettings)
    domains = tuple(f".{domain.strip('.').lower()}" for domain in wanted.storage_domains)
    if not domains:
        return below
    records = Records(wanted)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        host, port = _split(request.headers.get("host", ""))
        if not host or _is_address(host) or _is_ours(host):
            return below(request)
        return _renamed(request, host, port)

    def _is_ours(host: str) -> bool:
        return f".{host}".endswith(domains)

    async def _renamed(request: ObjectRequest, host: str, port: str) -> Response:
        request.headers["host"] = await _found(host) + port
        return await below(request)

    async def _found(host: str) -> str:
        """The name of ours that a host stands for. Raises BadRequest."""
        name = host
        for _ in range(wanted.lookup_depth):
            target = await records.target(name) if len(name) <= LONGEST_NAME else ""
            if target in {"", name}:
                raise _refused("CNAME lookup failed to resolve to a valid domain")
            if _is_ours(target):
                return target
            name = target
        raise _refused(f"CNAME lookup failed after {wanted.lookup_depth} tries")

    return handle


def _split(host: str) -> tuple[str, str]:
    """The name in lower case, and `:port` as it stands."""
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    return (name.lower(), colon + port) if colon else (host.lower(), "")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _refused(sentence: str) -> BadRequest:
    error = BadRequest(sentence)
    error.headers = (("Content-Type", "text/plain"),)
    return error


def _info(store: Store) -> dict[str, Any] | None:
    wanted = store.option(CnameLookupSettings)
    return {"lookup_depth": wanted.lookup_depth} if wanted.storage_domains else None


LAYER = Layer("cname_lookup", make, _info, settings=CnameLookupSettings)
