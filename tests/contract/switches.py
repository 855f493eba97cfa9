"""Switch drivers under test, and a machine to test them on: nodes, a client on the external network, and guests.

A guest here is a namespace: a veth takes the place of the port's tap, name and alias included, and its other end is the
guest's network card. Every name begins with a random word, and `Machine.end` takes away whatever bears it.
"""

import asyncio
import contextlib
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from maldon.drivers.switch import names, namespace
from maldon.drivers.switch.fake import FakeSwitch
from maldon.drivers.switch.linux import LinuxSwitch
from maldon.drivers.switch.netlink import Wires, inside
from maldon.ports.hypervisor import tap_name
from maldon.ports.switch import (
    DhcpSpec,
    ExternalLink,
    GroupSpec,
    InterfaceSpec,
    Lease,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    RuleSpec,
    SubnetSpec,
    Switch,
)

NET, OTHER_NET, EXT = (f"{letter}0000000-0000-4000-8000-000000000000" for letter in "abe")
GROUP, OTHER_GROUP = "c0000000-0000-4000-8000-000000000000", "d0000000-0000-4000-8000-000000000000"
ROUTER = "f0000000-0000-4000-8000-000000000000"
ALL_OUT = (RuleSpec("egress", "IPv4"), RuleSpec("egress", "IPv6"))
PING = RuleSpec("ingress", "IPv4", "icmp")
PING6 = RuleSpec("ingress", "IPv6", "ipv6-icmp")
DHCP_MAC = "fa:16:3e:00:00:02"


def mac(number: int) -> str:
    return f"fa:16:3e:00:01:{number:02x}"


def port(number: int, network: str = NET, net: str = "10.0.0", **changes) -> PortSpec:
    """Port `number` of a network, with the address that ends in it."""
    usual = {
        "id": f"{number:08x}-{network[0]}000-4000-8000-000000000000",
        "network_id": network,
        "mac": mac(number),
        "addresses": (f"{net}.{number}",),
        "groups": (GROUP,),
    }
    return PortSpec(**{**usual, **changes})


def lease(a_port: PortSpec) -> Lease:
    return Lease(a_port.mac, a_port.addresses[0], "host-" + a_port.addresses[0].replace(".", "-").replace(":", "-"))


def network(net_id: str = NET, net: str = "10.0.0", leases: tuple[Lease, ...] = (), **changes) -> NetworkSpec:
    """A network with a router's address .1 and a DHCP service on .2."""
    subnet = SubnetSpec(
        f"subnet-{net_id}",
        f"{net}.0/24",
        f"{net}.1",
        dns_nameservers=("9.9.9.9",),
        routes=(("10.77.0.0/16", f"{net}.9"),),
    )
    dhcp = DhcpSpec(f"{net_id[0]}d000000-0000-4000-8000-000000000000", DHCP_MAC, (f"{net}.2/24",), leases)
    return NetworkSpec(**{"id": net_id, "mtu": 1450, "subnets": (subnet,), "dhcp": dhcp, **changes})


def external_network() -> NetworkSpec:
    return NetworkSpec(EXT, 1500, external=True, subnets=(SubnetSpec("subnet-ext", "172.31.0.0/24", "172.31.0.1"),))


def router(*networks: tuple[str, str], **changes) -> RouterSpec:
    """A router with address .1 on each (network id, net), and 172.31.0.10 outside."""
    legs = tuple(
        InterfaceSpec(
            f"{net_id[0]}f000000-0000-4000-8000-000000000000", net_id, f"fa:16:3e:00:02:0{n}", (f"{net}.1/24",)
        )
        for n, (net_id, net) in enumerate(networks)
    )
    gateway = InterfaceSpec("ef000000-0000-4000-8000-000000000000", EXT, "fa:16:3e:00:02:ff", ("172.31.0.10/24",))
    return RouterSpec(**{"id": ROUTER, "interfaces": legs, "gateway": gateway, "next_hops": ("172.31.0.1",), **changes})


class Guest:
    """A namespace that plays a guest, or a client outside."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, *command: str) -> tuple[int, str]:
        """Exit code and output of a command in the guest."""
        made = await asyncio.create_subprocess_exec(
            *["nsenter", f"--net={namespace.RUN / self.name}", *command],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            out, _ = await asyncio.wait_for(made.communicate(), 60)
        finally:
            if made.returncode is None:
                made.kill()
                await made.wait()
        return made.returncode or 0, out.decode()

    async def do(self, *command: str) -> str:
        code, out = await self.run(*command)
        assert code == 0, f"{command}: {out}"
        return out

    async def pings(self, address: str, *options: str) -> bool:
        """Whether an answer comes to one of many pings."""
        return (await self.run("ping", "-n", "-q", "-i", "0.1", "-c", "1", "-w", "10", *options, address))[0] == 0

    async def hears_nothing(self, address: str, *options: str) -> bool:
        """Whether pings stay without an answer."""
        return (await self.run("ping", "-n", "-q", "-i", "0.1", "-c", "8", "-w", "1", *options, address))[0] != 0

    @contextlib.asynccontextmanager
    async def pinging(self, address: str) -> AsyncIterator[list[int]]:
        """Ping two hundred times a second within the block; after it, the list holds the numbers that were answered."""
        command = ["nsenter", f"--net={namespace.RUN / self.name}", "ping", "-n", "-i", "0.005", address]
        made = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert made.stdout is not None
        answered: list[int] = []
        reading = asyncio.create_task(made.stdout.read())
        try:
            yield answered
        finally:
            made.send_signal(signal.SIGINT)  # it prints the rest
            out = await reading
            await made.wait()
            answered += [int(number) for number in re.findall(rb"icmp_seq=(\d+) ttl", out)]

    async def listen(self, where: tuple[str, int]) -> socket.socket:
        return await asyncio.to_thread(namespace.listen, self.name, *where)

    async def connects(self, where: tuple[str, int], within_s: float = 0.7) -> bool:
        """Whether a TCP connection can be made from here."""
        made = await asyncio.to_thread(self._socket)
        made.setblocking(False)
        with made:
            try:
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(made, where), within_s)
            except OSError:  # TimeoutError is one
                return False
            return True

    def _socket(self) -> socket.socket:
        with namespace.entered(self.name):
            return socket.socket()


class Machine:
    """Real nodes on this machine, and everything that belongs to a test."""

    def __init__(self, home: Path) -> None:
        self.word = f"t{secrets.token_hex(3)}"
        self.home = home
        self.client = Guest(f"{self.word}-client")
        self.nodes: list[str] = []

    def node(self, letter: str = "a") -> LinuxSwitch:
        """A switch as a new process of the agent makes it."""
        node = f"{self.word}{letter}"
        if node not in self.nodes:
            self.nodes.append(node)
        return LinuxSwitch(self.home / node, node)

    async def started(self, letter: str = "a") -> LinuxSwitch:
        """A node whose host is the client's namespace, with 172.31.0.1."""
        await asyncio.to_thread(namespace.create, self.client.name)
        switch = self.node(letter)
        await switch.start(self.link())
        return switch

    def link(self) -> ExternalLink:
        return ExternalLink(("172.31.0.1/24",), self.client.name)

    async def plug(self, a_port: PortSpec, switch: Switch, letter: str = "a", *, dhcp: bool = False) -> Guest:
        """Have the port, and a guest behind it with its address unless it is to ask by DHCP."""
        await switch.ensure(a_port)
        guest = Guest(f"{self.word}-g-{tap_name(a_port.id)}")
        await asyncio.to_thread(self._plug, f"maldon-{self.word}{letter}", a_port, guest, dhcp=dhcp)
        await switch.ensure(a_port)
        return guest

    def _plug(self, node: str, a_port: PortSpec, guest: Guest, *, dhcp: bool) -> None:
        tap = tap_name(a_port.id)
        namespace.create(guest.name)
        with inside(node) as wires:
            wires.delete(tap)
            wires.add_veth(tap, "eth0", guest.name, a_port.mac)
            wires.shape(tap, alias=names.alias("port", a_port.id))
        with inside(guest.name) as wires:
            namespace.sysctl("ipv6.conf.eth0.accept_dad", 0)
            wires.shape("lo", up=True)
            wires.shape("eth0", up=True)
            if not dhcp:
                _configure(wires, a_port)

    def join_underlay(self, letter: str, address: str) -> None:
        """Give a node an address on a wire that joins the nodes: a bridge in the client's namespace."""
        end = f"under-{letter}"
        with inside(self.client.name) as wires:
            if wires.find("under") is None:
                wires.add("under", "bridge")
            wires.shape("under", up=True)
            wires.add_veth(end, "underlay", f"maldon-{self.word}{letter}", None)
            wires.shape(end, master="under", up=True)
        with inside(f"maldon-{self.word}{letter}") as wires:
            wires.address("underlay", [f"{address}/24"])
            wires.shape("underlay", up=True)

    async def end(self) -> None:
        """Leave nothing, whatever the test came to."""
        for node in self.nodes:
            with contextlib.suppress(OSError):
                await LinuxSwitch(self.home / node, node).destroy()
        for name in namespace.listed():
            if name.startswith((self.word, f"maldon-{self.word}")):
                await asyncio.to_thread(namespace.delete, name)

    def left(self) -> list[str]:
        """Namespaces, links and processes that bear the nodes' names."""
        spaces = [name for name in namespace.listed() if name.startswith(f"maldon-{self.word}")]
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
        with namespace.entered(self.client.name):
            links += namespace.run(["ip", "-o", "link"]).splitlines()
        processes = [str(path) for path in Path("/proc").glob("[0-9]*/cmdline") if self.word in _read(path)]
        return [*spaces, *(line for line in links if self.word in line), *processes]


def _configure(wires: Wires, a_port: PortSpec) -> None:
    gateways = {}
    prefixed = []
    for address in a_port.addresses:
        if ":" in address:
            prefixed.append(f"{address}/64")
        else:
            prefixed.append(f"{address}/24")
            gateways["0.0.0.0/0"] = address.rpartition(".")[0] + ".1"
    wires.address("eth0", prefixed)
    wires.route(gateways)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


async def until(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = 20.0) -> None:
    """Wait for something that must come true."""
    deadline = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.02)


def groups(*rules: RuleSpec, members: tuple[str, ...] = ()) -> GroupSpec:
    """The usual group: all may be sent, and `rules`."""
    return GroupSpec(GROUP, (*ALL_OUT, *rules), members)


def fake(home: Path) -> FakeSwitch:
    return FakeSwitch(home / "fake", "fake")
