"""DHCP by a real dnsmasq: guests are namespaces with busybox's client, or a bare socket for DHCPv6."""

import asyncio
import contextlib
import ipaddress
import socket

import msgspec
import pytest

from maldon.drivers.switch import namespace
from maldon.ports.switch import METADATA_ADDRESS, DhcpSpec, NetworkSpec, SubnetSpec
from tests.contract.switches import NET, Machine, groups, lease, mac, network, port

pytestmark = pytest.mark.root
UDHCPC = (
    "busybox",
    "udhcpc",
    "-i",
    "eth0",
    "-n",
    "-q",
    "-f",
    "-t",
    "20",
    "-T",
    "1",
    "-O",
    "121",
    "-O",
    "26",
    "-O",
    "42",
    "-O",
    "66",
    "-s",
)
SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr replace "$ip/$mask" dev "$interface"
set -- $staticroutes
while [ -n "$1" ]; do ip route replace "$1" via "$2"; shift 2; done
echo "bound ip=$ip mtu=$mtu router=$router dns=$dns routes=$staticroutes host=$hostname tftp=$tftp ntp=$ntpsrv"
"""


@pytest.fixture
async def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    await made.end()


@pytest.fixture
def dhcp_script(tmp_path):
    script = tmp_path / "bound.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    return str(script)


async def test_a_guest_gets_its_lease_and_reaches_the_metadata_service(machine, dhcp_script):
    switch = await machine.started()
    a = port(5)
    await switch.ensure(network(leases=(lease(a),)))
    await switch.ensure(groups())
    guest = await machine.plug(a, switch, dhcp=True)
    out = await guest.do(*UDHCPC, dhcp_script)
    assert "bound ip=10.0.0.5 mtu=1450 router=10.0.0.1 dns=9.9.9.9" in out
    assert "routes=169.254.169.254/32 10.0.0.2 10.77.0.0/16 10.0.0.9 0.0.0.0/0 10.0.0.1 host=host-10-0-0-5" in out

    with await switch.metadata_socket(NET) as listening:
        loop = asyncio.get_running_loop()
        accepting = loop.create_task(loop.sock_accept(listening))
        assert await guest.connects((METADATA_ADDRESS, 80))
        connection, (address, _) = await asyncio.wait_for(accepting, 5)
        connection.close()
    assert address == "10.0.0.5"


async def test_an_address_given_to_another_mac_is_leased_to_it(machine, dhcp_script):
    switch = await machine.started()
    a = port(5)
    await switch.ensure(network(leases=(lease(a),)))
    await switch.ensure(groups())
    guest = await machine.plug(a, switch, dhcp=True)
    assert "bound ip=10.0.0.5" in await guest.do(*UDHCPC, dhcp_script)
    await switch.remove("port", a.id)

    b = port(6, addresses=("10.0.0.5",))
    await switch.ensure(network(leases=(lease(b),)))
    heir = await machine.plug(b, switch, dhcp=True)
    assert "bound ip=10.0.0.5" in await heir.do(*UDHCPC, dhcp_script)


async def test_a_new_lease_serves_without_a_restart_of_dnsmasq(machine, dhcp_script):
    switch = await machine.started()
    a, b = port(5), port(6)
    await switch.ensure(network(leases=(lease(a),)))
    await switch.ensure(groups())
    before = (machine.home / f"{machine.word}a/dhcp/{NET}/pid").read_text()
    await switch.ensure(network(leases=(lease(a), lease(b))))
    guest = await machine.plug(b, switch, dhcp=True)
    assert "bound ip=10.0.0.6" in await guest.do(*UDHCPC, dhcp_script)
    assert (machine.home / f"{machine.word}a/dhcp/{NET}/pid").read_text() == before


async def test_a_guest_gets_the_options_of_its_port_and_no_other_does(machine, dhcp_script):
    switch = await machine.started()
    a, b = port(5), port(6)
    await switch.ensure(network(leases=(lease(a), lease(b))))
    before = (machine.home / f"{machine.word}a/dhcp/{NET}/pid").read_text()
    chosen = (
        ("mtu", "1300"),
        ("42", "10.0.0.8,10.0.0.9"),
        ("tftp-server", "boot.example # 1"),
        ("dns-server", "1.1.1.1"),
    )
    broken = ("ntp-server", "no address"), ("domain-search", "x\ntag:!known,option:router,10.0.0.66")
    await switch.ensure(network(leases=(msgspec.structs.replace(lease(a), options=(*broken, *chosen)), lease(b))))
    await switch.ensure(groups())
    guest, other = await machine.plug(a, switch, dhcp=True), await machine.plug(b, switch, dhcp=True)
    out = await guest.do(*UDHCPC, dhcp_script)
    assert "bound ip=10.0.0.5 mtu=1300 router=10.0.0.1 dns=1.1.1.1 " in out
    assert "tftp=boot.example ntp=10.0.0.8 10.0.0.9" in out
    out = await other.do(*UDHCPC, dhcp_script)
    assert "bound ip=10.0.0.6 mtu=1450 router=10.0.0.1 dns=9.9.9.9 " in out
    assert "host=host-10-0-0-6 tftp= ntp=\n" in out
    assert (machine.home / f"{machine.word}a/dhcp/{NET}/pid").read_text() == before


async def test_dhcpv6_gives_the_lease_and_the_options_of_the_port(machine):
    switch = await machine.started()
    a = port(5, addresses=("fd00:a::5",))
    subnet = SubnetSpec("six", "fd00:a::/64", None, ("fd00:a::99",), ipv6_address_mode="dhcpv6-stateful")
    options = (("dns-server", "fd00:a::53,fd00:a::54"), ("59", "tftp://boot.example/x"))
    leases = (msgspec.structs.replace(lease(a), options=options),)
    dhcp = DhcpSpec("ad000000-0000-4000-8000-000000000000", mac(2), ("fd00:a::2/64",), leases)
    await switch.ensure(NetworkSpec(NET, 1450, subnets=(subnet,), dhcp=dhcp))
    await switch.ensure(groups())
    guest = await machine.plug(a, switch, dhcp=True)
    answer = await asyncio.to_thread(advertisement, guest)
    at = answer.index(b"\x00\x05\x00\x18") + 4  # the address option
    assert str(ipaddress.IPv6Address(answer[at : at + 16])) == "fd00:a::5"
    assert option(59, b"tftp://boot.example/x") in answer
    assert option(23, b"".join(ipaddress.IPv6Address(f"fd00:a::{n}").packed for n in (53, 54))) in answer


def option(code: int, content: bytes) -> bytes:
    return code.to_bytes(2) + len(content).to_bytes(2) + content


def advertisement(guest):
    """What DHCPv6 offers the guest, which solicits with its MAC as identity and wants DNS servers and a boot file."""
    identity = option(1, b"\x00\x03\x00\x01" + bytes.fromhex(mac(5).replace(":", "")))
    solicit = b"\x01abc" + identity + option(3, b"iaid" + bytes(8)) + option(6, b"\x00\x17\x00\x3b")
    with namespace.entered(guest.name):
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        scope = socket.if_nametoindex("eth0")
    with client:
        client.settimeout(1)
        client.bind(("::", 546))
        for _ in range(10):
            client.sendto(solicit, ("ff02::1:2", 547, 0, scope))
            with contextlib.suppress(TimeoutError):
                return client.recv(2000)
    return b""
