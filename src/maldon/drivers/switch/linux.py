"""The Linux switch: bridges, taps, dnsmasq, router namespaces and nftables inside one namespace per node.

Each item is remembered before and after its devices are touched (state.py), so that a crash at any line leaves an item
that `observe` calls incomplete and `ensure` brings about. Every verb is convergent: it reads what is there and changes
what differs. Work is done by a thread that enters the namespaces (namespace.py), one verb at a time, and a cancelled
verb finishes before the next one begins. A new process on the same home touches nothing until an item changes.
"""

import asyncio
import errno
import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from maldon.drivers.switch import dhcp as dhcp_service
from maldon.drivers.switch import namespace, network, node, port, router, ruleset
from maldon.drivers.switch.filter import Rules, chains, port_chains
from maldon.drivers.switch.items import networks_of
from maldon.drivers.switch.names import NodeNames
from maldon.drivers.switch.netlink import Link, Wires, inside
from maldon.drivers.switch.ruleset import Ruleset
from maldon.drivers.switch.state import Key, Memory
from maldon.ports.hypervisor import DriverRefused
from maldon.ports.switch import (
    KINDS,
    METADATA_ADDRESS,
    ExternalLink,
    GroupSpec,
    Item,
    Kind,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    digest,
    kind_of,
)

T = TypeVar("T")
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21


class LinuxSwitch:
    """The wires of one node on this machine's kernel."""

    features = frozenset({"filter", "dhcp", "route", "metadata"})

    def __init__(self, home: Path, node: str) -> None:
        self._home = home.resolve()
        self._names = NodeNames(node)
        self._memory = Memory(self._home / "items")
        sure = all(record.whole for record in self._memory.records.values())
        self._ruleset = Ruleset(self._names.namespace, self._rules() if sure else None)
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    def missing(cls) -> str | None:
        """One sentence naming what this machine lacks; None when all is there."""
        status = Path("/proc/self/status").read_text(encoding="ascii")
        rights = int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)
        if not (rights >> CAP_NET_ADMIN & 1 and rights >> CAP_SYS_ADMIN & 1):
            return "The linux switch needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN)."
        if not Path("/proc/self/ns/net").exists():
            return "The linux switch needs a kernel with network namespaces."
        if not Path("/dev/net/tun").exists():
            return "The linux switch needs /dev/net/tun."
        lacking = [program for program in ("ip", "nft", "dnsmasq", "nsenter") if shutil.which(program) is None]
        return f"The linux switch needs these programs: {', '.join(lacking)}." if lacking else None

    async def start(self, external: ExternalLink) -> None:
        await self._apart(lambda: self._start(external))

    async def ensure(self, item: Item) -> None:
        await self._apart(lambda: self._ensure(item))

    async def remove(self, kind: Kind, item_id: str) -> None:
        await self._apart(lambda: self._remove(kind, item_id))

    async def observe(self) -> Mapping[Key, str]:
        return await self._apart(self._observe)

    async def metadata_socket(self, network_id: str) -> socket.socket:
        place = self._names.dhcp(network_id)
        return await self._apart(lambda: namespace.listen(place, METADATA_ADDRESS, 80))

    def guest_command(self, command: list[str]) -> list[str]:
        return ["nsenter", f"--net={namespace.RUN / self._names.namespace}", *command]

    async def destroy(self) -> None:
        await self._apart(self._destroy)

    async def close(self) -> None:
        """Nothing is held between calls."""

    async def _apart(self, work: Callable[[], T]) -> T:
        """Do it in a thread, alone; a cancelled caller waits until the thread has left the namespaces."""
        async with self._one_at_a_time:
            running = asyncio.get_running_loop().run_in_executor(None, work)
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                await asyncio.wait([running])
                running.exception()
                raise

    # What follows runs in a thread.

    def _start(self, external: ExternalLink) -> None:
        try:
            node.start(self._names, external)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            raise DriverRefused(f"the kernel lacks bridge or veth devices: {error}") from error
        self._ruleset.check(self._rules())
        try:
            self._ruleset.apply(self._rules())
            with namespace.entered(self._names.namespace):
                ruleset.try_out(router.probe())
        except OSError as error:
            raise DriverRefused(f"the kernel or nft lacks what filters or routers need: {error}") from error

    def _ensure(self, item: Item) -> None:
        networks = self._networks()
        for network_id in networks_of(item):
            if network_id not in networks:
                raise OSError(f"network {network_id} is not on this node yet")
        known = self._memory.records.get((kind_of(item), item.id))
        with inside(self._names.namespace) as wires:
            self._refilter(item)
            match item:
                case NetworkSpec():
                    network.ensure(wires, self._names, self._home, item)
                    before = known.item if known else None
                    # Leases change with every port; that concerns the DHCP service alone.
                    if isinstance(before, NetworkSpec) and (before.mtu, before.subnets) != (item.mtu, item.subnets):
                        self._follow(wires, item)
                case PortSpec():
                    home = networks[item.network_id]
                    port.ensure(wires, item, network.bridge_of(home), home.mtu)
                case RouterSpec():
                    sure = known.item if known and known.whole and isinstance(known.item, RouterSpec) else None
                    router.ensure(wires, self._names, self._home, item, networks, sure)
                case GroupSpec():
                    pass  # it is all filter
        self._memory.put(item, whole=True)

    def _follow(self, wires: Wires, changed: NetworkSpec) -> None:
        """Tell what hangs on a network, and stays as it is, of the network's new MTU and adverts."""
        networks = self._networks()
        for record in self._memory.records.values():
            item = record.item
            if record.whole and changed.id in networks_of(item):
                if isinstance(item, PortSpec):
                    port.ensure(wires, item, network.bridge_of(changed), changed.mtu)
                if isinstance(item, RouterSpec):
                    router.ensure(wires, self._names, self._home, item, networks, item)

    def _refilter(self, item: Item) -> None:
        """Remember the item as not yet whole, and filter by it. An item that cannot be filtered by is not kept."""
        key = (kind_of(item), item.id)
        known = self._memory.records.get(key)
        if known is not None and known.item == item:
            self._ruleset.check(self._rules())  # asked again: something may be missing
        self._memory.put(item, whole=False)
        try:
            self._ruleset.apply(self._rules())
        except (OSError, ValueError) as error:
            if known is None:
                self._memory.drop(key)
            else:
                self._memory.put(known.item, whole=False)
            if isinstance(error, ValueError):
                raise DriverRefused(f"{key[0]} {item.id}: {error}") from error
            raise

    def _remove(self, kind: Kind, item_id: str) -> None:
        key = (kind, item_id)
        known = self._memory.records.get(key)
        if known is not None:
            self._memory.put(known.item, whole=False)
        if namespace.exists(self._names.namespace):
            with inside(self._names.namespace) as wires:
                match kind:
                    case "network":
                        network.remove(wires, self._names, self._home, item_id)
                    case "port":
                        port.remove(wires, item_id)
                    case "router":
                        router.remove(wires, self._names, self._home, item_id)
                    case "group":
                        pass
            self._ruleset.apply(self._rules(without=key))
        self._memory.drop(key)

    def _networks(self) -> dict[str, NetworkSpec]:
        items = (record.item for record in self._memory.records.values())
        return {item.id: item for item in items if isinstance(item, NetworkSpec)}

    def _rules(self, without: Key | None = None) -> Rules:
        """What the filter must hold for everything remembered."""
        zones, groups, ports = {}, {}, {}
        for key, record in self._memory.records.items():
            match record.item:
                case _ if key == without:
                    pass
                case NetworkSpec():
                    zones[network.bridge_of(record.item)] = record.number
                case GroupSpec():
                    groups[record.item.id] = record.item
                case PortSpec() if record.item.security:
                    ports[record.item.id] = (record.number, record.item)
                case _:
                    pass
        return Rules(zones, groups, ports)

    def _observe(self) -> dict[Key, str]:
        links: dict[str, Link] = {}
        if namespace.exists(self._names.namespace):
            with inside(self._names.namespace) as wires:
                links = wires.links()
        found = self._ruleset.chains()
        seen: dict[Key, str] = dict.fromkeys(_strays(links), "")
        whole_filter = chains(Rules()) <= found
        for key, record in self._memory.records.items():
            there = record.whole and self._complete(record.item, links, found, whole_filter=whole_filter)
            seen[key] = digest(record.item) if there else ""
        return seen

    def _complete(
        self, item: Item, links: Mapping[str, Link], found: set[tuple[str, str]], *, whole_filter: bool
    ) -> bool:
        match item:
            case NetworkSpec():
                return whole_filter and network.complete(links, self._names, self._home, item)
            case GroupSpec():
                return whole_filter and chains(Rules(groups={item.id: item})) <= found
            case PortSpec():
                home = self._networks().get(item.network_id)
                filtered = not item.security or (whole_filter and found.issuperset(port_chains(item.id)))
                return filtered and home is not None and port.complete(links, item, network.bridge_of(home))
            case RouterSpec():
                return router.complete(links, self._names, self._home, item, self._networks())

    def _destroy(self) -> None:
        for kind, item_id in list(self._memory.records):
            if kind == "network":
                dhcp_service.dnsmasq(self._names, self._home, item_id).remove()
            if kind == "router":
                router.advertiser(self._names, self._home, item_id).remove()
        node.destroy(self._names)
        for key in list(self._memory.records):
            self._memory.drop(key)
        self._ruleset = Ruleset(self._names.namespace, None)


def _strays(links: Mapping[str, Link]) -> set[Key]:
    """Everything in the node's namespace that says it belongs to an item, remembered or not."""
    kinds: dict[str, Kind] = {**{kind: kind for kind in KINDS}, "dhcp": "network", "tunnel": "network"}
    words = [link.alias.split(" ") for link in links.values()]
    return {(kinds[word[0]], word[1]) for word in words if word[0] in kinds and len(word) > 1}
