"""Arithmetic of subnets: pools, free addresses, SLAAC and MAC addresses. Pure; randomness is an argument.

A pool is a pair of texts (first, last), both included. Nothing here walks a whole range: a /16 or a /64 costs what its
used addresses cost.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from random import Random

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Pool = tuple[str, str]
MAC_PREFIX = "fa:16:3e"


def new_mac(random: Random) -> str:
    """A MAC address of our own range."""
    tail = random.getrandbits(24)
    return f"{MAC_PREFIX}:{tail >> 16:02x}:{tail >> 8 & 255:02x}:{tail & 255:02x}"


def slaac(cidr: str, mac: str) -> str:
    """The address a port with this MAC gives itself in a /64 by EUI-64."""
    octets = bytes.fromhex(mac.replace(":", ""))
    suffix = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    network = IPv6Network(cidr)
    return str(network.network_address + int.from_bytes(suffix))


def usable(cidr: str) -> tuple[int, int]:
    """The first and last address that somebody may have, as numbers."""
    network = ip_network(cidr)
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.num_addresses <= 2:
        return first, last
    return first + 1, last - 1 if network.version == 4 else last


def default_gateway(cidr: str) -> str:
    """The first usable address."""
    return text(usable(cidr)[0], ip_network(cidr).version)


def default_pools(cidr: str, gateway: str | None) -> list[Pool]:
    """Everything usable but the gateway."""
    first, last = usable(cidr)
    version = ip_network(cidr).version
    spans = [(first, last)]
    if gateway is not None and first <= (hole := int(ip_address(gateway))) <= last:
        spans = [(first, hole - 1), (hole + 1, last)]
    return [(text(a, version), text(b, version)) for a, b in spans if a <= b]


def text(number: int, version: int) -> str:
    return str(IPv4Address(number) if version == 4 else IPv6Address(number))


def spans_of(pools: Iterable[Sequence[str]]) -> list[tuple[int, int]]:
    """Pools as pairs of numbers."""
    return [(int(ip_address(first)), int(ip_address(last))) for first, last in pools]


def size(pools: Iterable[Sequence[str]]) -> int:
    """How many addresses the pools hold."""
    return sum(last - first + 1 for first, last in spans_of(pools))


def guesses(pools: Iterable[Sequence[str]], version: int, random: Random, count: int) -> list[str]:
    """Up to `count` different addresses of the pools, by chance."""
    spans = spans_of(pools)
    total = sum(last - first + 1 for first, last in spans)
    if total == 0:
        return []
    picks = range(total) if total <= count else {random.randrange(total) for _ in range(count)}
    return [text(_nth(spans, n), version) for n in picks]


def _nth(spans: Iterable[tuple[int, int]], n: int) -> int:
    for first, last in spans:
        if n <= last - first:
            return first + n
        n -= last - first + 1
    raise IndexError(n)


def lowest_free(pools: Iterable[Sequence[str]], version: int, used: Collection[str]) -> Iterator[str]:
    """The free addresses of the pools, lowest first."""
    for first, last in spans_of(pools):
        for number in range(first, last + 1):
            address = text(number, version)
            if address not in used:
                yield address


def overlapping(cidr: str, others: Iterable[str]) -> str | None:
    """The first of `others` that shares an address with `cidr`."""
    network = ip_network(cidr)
    for other in others:
        there = ip_network(other)
        if there.version == network.version and network.overlaps(there):
            return other
    return None


def cut(prefixes: Iterable[str], taken: Iterable[str], prefixlen: int) -> str | None:
    """The lowest subnet of that length within the prefixes that overlaps nothing taken; None when there is none."""
    holes = sorted((ip_network(t) for t in taken), key=lambda n: int(n.network_address))
    for prefix in sorted((ip_network(p) for p in prefixes), key=lambda n: int(n.network_address)):
        if prefix.prefixlen > prefixlen:
            continue
        step = 1 << (prefix.max_prefixlen - prefixlen)
        at, end = int(prefix.network_address), int(prefix.broadcast_address)
        for hole in holes:
            first, last = int(hole.network_address), int(hole.broadcast_address)
            if last < at:
                continue
            if first >= at + step:
                break
            at = -(-(last + 1) // step) * step
        if at + step - 1 <= end:
            return f"{text(at, prefix.version)}/{prefixlen}"
    return None
