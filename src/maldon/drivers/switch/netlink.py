"""Links, addresses and routes of the namespace a thread is in, by pyroute2.

pyroute2 can enter namespaces itself, but forks the whole process for it; here the thread enters (see namespace.py) and
a plain netlink socket is opened there, which costs a millisecond. Verbs compare first and change only what differs.
"""

import asyncio
import ipaddress
import os
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maldon.drivers.switch import namespace

STATIC = 4  # RTPROT_STATIC: the routes we set, told from those the kernel sets for addresses
MAIN_TABLE = 254
LINK_SCOPE = 253
IFF_UP = 1
SKIP_STATS = 8  # RTEXT_FILTER_SKIP_STATS
IFA_F_NODAD = 2


@dataclass(frozen=True, slots=True)
class Link:
    """A device as the kernel shows it; `master` is the index of its bridge."""

    index: int
    name: str
    alias: str
    master: int | None
    mac: str
    mtu: int
    up: bool
    carrier: bool


class Wires:
    """A netlink socket in one namespace. It stays there when the thread moves on."""

    def __init__(self, route: Any) -> None:
        self._route = route

    def links(self) -> dict[str, Link]:
        return {link.name: link for link in map(_link, self._route.get_links(ext_mask=SKIP_STATS))}

    def find(self, name: str) -> Link | None:
        """One device by its name, without asking for the rest."""
        found = self._route.link_lookup(ifname=name)
        return _link(self._route.get_links(found[0])[0]) if found else None

    def get(self, name: str) -> Link:
        link = self.find(name)
        if link is None:
            raise OSError(f"device {name} is not there")
        return link

    def add(self, name: str, kind: str, **how: Any) -> None:
        self._route.link("add", ifname=name, kind=kind, **how)

    def add_veth(self, name: str, peer: str, peer_namespace: str | None, mac: str | None) -> None:
        """A wire between this namespace (`name`) and another one (`peer`)."""
        far = Path(f"/proc/{os.getpid()}/ns/net") if peer_namespace is None else namespace.RUN / peer_namespace
        fd = os.open(far, os.O_RDONLY | os.O_CLOEXEC)
        try:
            end: dict[str, Any] = {"ifname": peer, "net_ns_fd": fd}
            if mac is not None:
                end["address"] = mac
            self._route.link("add", ifname=name, kind="veth", peer=end)
        finally:
            os.close(fd)

    def delete(self, name: str) -> None:
        link = self.find(name)
        if link is not None:
            self._route.link("del", index=link.index)

    def shape(self, name: str, **wanted: Any) -> Link:
        """Give a device its `alias`, `mtu`, `mac`, `master` (a bridge's name) and `up`, where they differ."""
        link = self.get(name)
        if "master" in wanted:
            wanted["master"] = self.get(wanted["master"]).index
        differing = {key: value for key, value in wanted.items() if getattr(link, key) != value}
        for key in ("alias", "mtu", "mac", "master", "up"):  # up comes last: nothing runs half made
            if key in differing:
                self._set(link.index, key, differing[key])
        return link

    def _set(self, index: int, key: str, value: Any) -> None:
        words = {"alias": "ifalias", "mac": "address"}
        if key == "up":
            self._route.link("set", index=index, state="up" if value else "down")
        else:
            self._route.link("set", index=index, **{words.get(key, key): value})

    def address(self, name: str, wanted: Collection[str]) -> list[str]:
        """Give a device exactly these interface addresses, besides its link-local one; the added ones."""
        index = self.get(name).index
        have = {
            f"{ipaddress.ip_address(seen.get('address')).compressed}/{seen['prefixlen']}"
            for seen in self._route.get_addr(index=index)
            if seen["scope"] != LINK_SCOPE
        }
        want = {ipaddress.ip_interface(address).compressed for address in wanted}
        for gone in sorted(have - want):
            self._change_address("del", index, gone)
        for new in sorted(want - have):
            self._change_address("add", index, new)
        return sorted(want - have)

    def _change_address(self, verb: str, index: int, address: str) -> None:
        ip, _, prefix = address.partition("/")
        flags = {"flags": IFA_F_NODAD} if verb == "add" and ":" in ip else {}
        self._route.addr(verb, index=index, address=ip, prefixlen=int(prefix), **flags)

    def route(self, wanted: Mapping[str, str]) -> None:
        """Have exactly these static routes: next hop by destination network."""
        have = dict(self._static_routes())
        for destination in sorted(have.keys() - wanted.keys()):
            self._change_route("del", destination, have[destination])
        for destination in sorted(wanted.keys()):
            if have.get(destination) != wanted[destination]:
                self._change_route("replace", destination, wanted[destination])

    def _change_route(self, verb: str, destination: str, next_hop: str) -> None:
        family = socket.AF_INET6 if ":" in destination else socket.AF_INET
        self._route.route(verb, dst=destination, gateway=next_hop, proto=STATIC, family=family)

    def _static_routes(self) -> Iterator[tuple[str, str]]:
        for family, any_address in ((socket.AF_INET, ipaddress.IPv4Address), (socket.AF_INET6, ipaddress.IPv6Address)):
            for seen in self._route.get_routes(family=family, table=MAIN_TABLE):
                if seen["proto"] == STATIC and seen.get("gateway"):
                    yield f"{seen.get('dst') or any_address(0)}/{seen['dst_len']}", seen.get("gateway")

    def peers(self, tunnel: str, wanted: Collection[str]) -> None:
        """Have a VXLAN device send what it cannot place to exactly these tunnel addresses."""
        index, everyone = self.get(tunnel).index, "00:00:00:00:00:00"
        have = {
            seen.get("dst") for seen in self._route.fdb("dump", ifindex=index) if seen.get("lladdr") == everyone
        } - {None}
        for gone in sorted(have - set(wanted)):
            self._route.fdb("del", ifindex=index, lladdr=everyone, dst=gone)
        for new in sorted(set(wanted) - have):
            self._route.fdb("append", ifindex=index, lladdr=everyone, dst=new)


def _link(seen: Any) -> Link:
    return Link(
        index=seen["index"],
        name=seen.get("ifname"),
        alias=seen.get("ifalias") or "",
        master=seen.get("master"),
        mac=seen.get("address") or "",
        mtu=seen.get("mtu") or 0,
        up=bool(seen["flags"] & IFF_UP),
        carrier=bool(seen.get("carrier")),
    )


@contextmanager
def inside(name: str | None) -> Iterator[Wires]:
    """The calling thread is in the namespace, with its wires at hand. What netlink refuses is an OSError."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    # A loop of our own choice: the process's policy may name one that cannot drive netlink sockets.
    with namespace.entered(name), asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        try:
            with IPRoute(use_event_loop=runner.get_loop()) as route:
                yield Wires(route)
        except NetlinkError as error:
            raise OSError(error.code, f"netlink in {name or 'the host'}: {error}") from error


def announce(link: Link, addresses: Collection[str]) -> None:
    """Tell the neighbours of a device in the thread's namespace that these IPv4 addresses live here now."""
    mac = bytes.fromhex(link.mac.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((link.name, 0))
        for address in addresses:
            if ":" in address:
                continue
            ip = ipaddress.IPv4Interface(address).ip.packed
            request = b"\x00\x01\x08\x00\x06\x04\x00\x01" + mac + ip + b"\x00" * 6 + ip
            raw.send(b"\xff" * 6 + mac + b"\x08\x06" + request)
