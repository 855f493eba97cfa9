"""Packets through the Linux switch: guests are namespaces, the host is a client's namespace without a default route."""

import asyncio
import ipaddress
import json
import socket

import pytest

from maldon.drivers.switch import namespace
from maldon.ports.switch import (
    GroupSpec,
    InterfaceSpec,
    NetworkSpec,
    RouterSpec,
    RuleSpec,
    SubnetSpec,
)
from tests.contract.switches import (
    ALL_OUT,
    GROUP,
    NET,
    OTHER_GROUP,
    OTHER_NET,
    PING,
    PING6,
    ROUTER,
    Guest,
    Machine,
    external_network,
    groups,
    lease,
    mac,
    network,
    port,
    router,
    until,
)

pytestmark = pytest.mark.root
SSH = RuleSpec("ingress", "IPv4", "tcp", 22, 22)


@pytest.fixture
async def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    await made.end()


def test_this_machine_has_what_the_switch_needs(machine):
    assert machine.node().missing() is None


async def test_a_closed_port_opens_with_its_rule_and_closes_with_its_end(machine):
    switch = await machine.started()
    await switch.ensure(network(dhcp=None))
    await switch.ensure(groups())
    a, b = await machine.plug(port(5), switch), await machine.plug(port(6), switch)
    with await b.listen(("10.0.0.6", 22)):
        assert await a.hears_nothing("10.0.0.6")
        assert not await a.connects(("10.0.0.6", 22))
        await switch.ensure(groups(PING))
        assert await a.pings("10.0.0.6")
        assert not await a.connects(("10.0.0.6", 22))
        await switch.ensure(groups(PING, SSH))
        assert await a.connects(("10.0.0.6", 22))
        await switch.ensure(groups(PING))
        assert not await a.connects(("10.0.0.6", 22))


async def test_a_guest_sends_only_what_egress_rules_allow(machine):
    switch = await machine.started()
    await switch.ensure(network(dhcp=None))
    await switch.ensure(groups(PING, SSH))
    await switch.ensure(GroupSpec(OTHER_GROUP, (RuleSpec("egress", "IPv4", "tcp", 22, 23, "10.0.0.0/24"),)))
    a = await machine.plug(port(5, groups=(OTHER_GROUP,)), switch)
    b = await machine.plug(port(6), switch)
    with await b.listen(("10.0.0.6", 22)):
        assert await a.connects(("10.0.0.6", 22))
    assert await a.hears_nothing("10.0.0.6")


async def test_a_remote_group_admits_its_members_as_they_come_and_go(machine):
    switch = await machine.started()
    await switch.ensure(network(dhcp=None))
    await switch.ensure(groups(RuleSpec("ingress", "IPv4", remote_group=OTHER_GROUP)))
    a, _ = await machine.plug(port(5), switch), await machine.plug(port(6), switch)
    assert await a.hears_nothing("10.0.0.6")
    await switch.ensure(GroupSpec(OTHER_GROUP, members=("10.0.0.5", "10.0.0.200")))
    assert await a.pings("10.0.0.6")
    await switch.ensure(GroupSpec(OTHER_GROUP, members=("10.0.0.200", "10.0.0.201")))
    assert await a.hears_nothing("10.0.0.6")
    await switch.ensure(GroupSpec(OTHER_GROUP, members=("10.0.0.0/28",)))
    assert await a.pings("10.0.0.6")


async def test_spoofed_addresses_are_dropped(machine):
    switch = await machine.started()
    await switch.ensure(network(dhcp=None))
    await switch.ensure(groups(PING))
    a, b = await machine.plug(port(5), switch), await machine.plug(port(6), switch)
    assert await a.pings("10.0.0.6")
    await a.do("ip", "addr", "add", "10.0.0.50/24", "dev", "eth0")
    assert await a.hears_nothing("10.0.0.6", "-I", "10.0.0.50")
    assert await a.pings("10.0.0.6", "-I", "10.0.0.5")
    assert await b.hears_nothing("10.0.0.50")  # not even ARP answers for what is not its own
    await switch.ensure(port(5, pairs=((mac(5), "10.0.0.48/29"),)))
    assert await a.pings("10.0.0.6", "-I", "10.0.0.50")
    await a.do("ip", "link", "set", "eth0", "address", mac(99))
    assert await a.hears_nothing("10.0.0.6", "-I", "10.0.0.5")
    await a.do("ip", "link", "set", "eth0", "address", mac(5))
    await a.do("ip", "addr", "add", "10.0.0.99/24", "dev", "eth0")
    assert await a.hears_nothing("10.0.0.6", "-I", "10.0.0.99")
    await switch.ensure(port(5, security=False))
    assert await a.pings("10.0.0.6", "-I", "10.0.0.99")


async def test_a_port_that_is_not_up_carries_nothing(machine):
    switch = await machine.started()
    await switch.ensure(network(dhcp=None))
    await switch.ensure(groups(PING))
    a, _ = await machine.plug(port(5), switch), await machine.plug(port(6), switch)
    assert await a.pings("10.0.0.6")
    await switch.ensure(port(6, up=False))
    assert await a.hears_nothing("10.0.0.6")
    await switch.ensure(port(6))
    assert await a.pings("10.0.0.6")


async def test_ipv6_neighbours_are_found_and_rules_hold(machine):
    switch = await machine.started()
    await switch.ensure(network(dhcp=None))
    await switch.ensure(groups())
    a = await machine.plug(port(5, addresses=("fd00:a::5",)), switch)
    b = await machine.plug(port(6, addresses=("fd00:a::6",)), switch)
    assert await a.hears_nothing("fd00:a::6")
    await switch.ensure(groups(PING6))
    assert await a.pings("fd00:a::6")
    await b.do("ip", "addr", "add", "fd00:a::66/64", "dev", "eth0", "nodad")
    assert await a.hears_nothing("fd00:a::66")


async def test_a_neighbour_address_cannot_be_claimed(machine):
    switch = await machine.started()
    await switch.ensure(network(dhcp=None))
    await switch.ensure(groups(PING6))
    a = await machine.plug(port(5, addresses=("fd00:a::5",)), switch)
    await machine.plug(port(6, addresses=("fd00:a::6",)), switch)
    thief = await machine.plug(port(7, addresses=("fd00:a::7",)), switch)

    async def stolen() -> bool:
        await asyncio.to_thread(claim, thief, "fd00:a::6", "fd00:a::5")
        assert await thief.pings("fd00:a::5")  # whatever it sent before has arrived
        return mac(7) in await a.do("ip", "-6", "neigh", "show", "fd00:a::6")

    assert await a.pings("fd00:a::6")
    assert not await stolen()
    assert not await stolen()
    await switch.ensure(port(7, addresses=("fd00:a::7",), security=False))
    await until(stolen, "without security the claim is believed")


def claim(thief, address, victim):
    """Say by a neighbour advert that an address is the thief's."""
    link = b"\x02\x01" + bytes.fromhex(mac(7).replace(":", ""))
    advert = b"\x88\x00\x00\x00\x60\x00\x00\x00" + ipaddress.IPv6Address(address).packed + link
    with namespace.entered(thief.name):
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    with raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
        raw.sendto(advert, (victim, 0))


async def test_a_new_mtu_reaches_every_device(machine):
    switch = await machine.started()
    for item in (external_network(), network(), groups(), router((NET, "10.0.0")), port(5)):
        await switch.ensure(item)
    await switch.ensure(network(mtu=1400))
    assert sorted(await mtus(f"maldon-{machine.word}a")) == [1400, 1400, 1400, 1400]
    assert await mtus(f"maldon-{machine.word}a-d-{NET[:11]}") == [1400]
    assert sorted(await mtus(f"maldon-{machine.word}a-r-{ROUTER[:11]}")) == [1400, 1500]


async def mtus(place):
    """The MTUs of a namespace's devices, without those that lead outside."""
    listing = json.loads(await Guest(place).do("ip", "-j", "link"))
    outside = ("lo", "br-ext", "to-host", "ro-ef")
    return [link["mtu"] for link in listing if not link["ifname"].startswith(outside)]


async def test_networks_with_the_same_addresses_do_not_meet(machine):
    switch = await machine.started()
    await switch.ensure(network(dhcp=None))
    await switch.ensure(network(OTHER_NET, dhcp=None))
    await switch.ensure(groups(PING))
    await switch.ensure(GroupSpec(OTHER_GROUP, ALL_OUT))
    a, b = await machine.plug(port(5), switch), await machine.plug(port(6), switch)
    c = await machine.plug(port(5, OTHER_NET, groups=(OTHER_GROUP,)), switch)
    await machine.plug(port(6, OTHER_NET, groups=(OTHER_GROUP,)), switch)
    # One echo identifier, so that the flows differ in nothing but their network.
    assert await a.pings("10.0.0.6", "-e", "77")
    assert await c.hears_nothing("10.0.0.6", "-e", "77")
    assert await b.pings("10.0.0.5", "-e", "78")


async def test_a_router_translates_and_a_floating_address_is_reached(machine):
    switch = await machine.started()
    for item in (external_network(), network(), network(OTHER_NET, "10.1.0"), groups(PING)):
        await switch.ensure(item)
    legs = ((NET, "10.0.0"), (OTHER_NET, "10.1.0"))
    await switch.ensure(router(*legs))
    a = await machine.plug(port(5), switch)
    b = await machine.plug(port(6, OTHER_NET, "10.1.0"), switch)
    assert await a.pings("10.1.0.6")  # routed
    with await machine.client.listen(("172.31.0.1", 8000)) as listening:
        loop = asyncio.get_running_loop()
        assert await seen_from(listening, loop, a) == "172.31.0.10"  # hidden behind the router
        await switch.ensure(router(*legs, floating=(("172.31.0.50", "10.0.0.5"),)))
        assert await seen_from(listening, loop, a) == "172.31.0.50"
        assert await seen_from(listening, loop, b) == "172.31.0.10"
    assert await machine.client.pings("172.31.0.50")
    with await a.listen(("10.0.0.5", 22)):
        assert not await machine.client.connects(("172.31.0.50", 22))
        await switch.ensure(groups(PING, SSH))
        assert await machine.client.connects(("172.31.0.50", 22))
    await switch.ensure(router(*legs))
    assert await machine.client.hears_nothing("172.31.0.50")


async def seen_from(listening, loop, guest):
    """The address under which a guest appears outside."""
    accepting = loop.create_task(loop.sock_accept(listening))
    assert await guest.connects(("172.31.0.1", 8000), 3)
    connection, (address, _) = await asyncio.wait_for(accepting, 5)
    connection.close()
    return address


async def test_floating_addresses_of_one_router_reach_each_other(machine):
    switch = await machine.started()
    for item in (external_network(), network(), groups(PING, SSH)):
        await switch.ensure(item)
    floating = (("172.31.0.50", "10.0.0.5"), ("172.31.0.60", "10.0.0.6"))
    await switch.ensure(router((NET, "10.0.0"), floating=floating))
    a, b = await machine.plug(port(5), switch), await machine.plug(port(6), switch)
    assert await a.pings("172.31.0.60")
    with await b.listen(("10.0.0.6", 22)) as listening:
        loop = asyncio.get_running_loop()
        accepting = loop.create_task(loop.sock_accept(listening))
        assert await a.connects(("172.31.0.60", 22))
        connection, (address, _) = await asyncio.wait_for(accepting, 5)
        connection.close()
    assert address == "172.31.0.50"


async def test_a_floating_address_moves_to_another_guest(machine):
    switch = await machine.started()
    for item in (external_network(), network(), groups(PING)):
        await switch.ensure(item)
    await switch.ensure(router((NET, "10.0.0"), floating=(("172.31.0.50", "10.0.0.5"),)))
    await machine.plug(port(5), switch)
    b = await machine.plug(port(6), switch)
    assert await machine.client.pings("172.31.0.50", "-e", "55")
    await switch.ensure(router((NET, "10.0.0"), floating=(("172.31.0.50", "10.0.0.6"),)))
    await b.do("ip", "link", "set", "eth0", "down")
    assert await machine.client.hears_nothing("172.31.0.50", "-e", "55")  # not the old guest, even for a flow it had


async def test_router_adverts_give_guests_an_address_and_a_gateway(machine):
    switch = await machine.started()
    subnet = SubnetSpec("six", "fd00:a::/64", "fd00:a::1", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    await switch.ensure(NetworkSpec(NET, 1450, subnets=(subnet,)))
    await switch.ensure(groups())
    leg = InterfaceSpec("1f000000-0000-4000-8000-000000000000", NET, mac(1), ("fd00:a::1/64",))
    await switch.ensure(RouterSpec(ROUTER, (leg,)))
    guest = await machine.plug(port(5, addresses=("fd00:a::f816:3eff:fe00:105",)), switch, dhcp=True)

    async def configured() -> bool:
        routes = await guest.do("ip", "-6", "route", "show", "default")
        return "fe80::f816:3eff:fe00:101" in routes and "fd00:a::f8" in await guest.do("ip", "-6", "addr")

    await until(configured, "address and route by router advert")
    assert await guest.pings("fd00:a::1")
    await switch.remove("router", ROUTER)
    assert switch.missing() is None


async def test_two_nodes_carry_one_network(machine):
    here, there = await machine.started("a"), await machine.started("b")
    for letter, underlay in (("a", "192.168.7.1"), ("b", "192.168.7.2")):
        await asyncio.to_thread(machine.join_underlay, letter, underlay)
    await here.ensure(network(dhcp=None, vni=4242, peers=("192.168.7.2",)))
    await there.ensure(network(dhcp=None, vni=4242, peers=("192.168.7.1",)))
    for switch in (here, there):
        await switch.ensure(groups(PING))
    a, _ = await machine.plug(port(5), here, "a"), await machine.plug(port(6), there, "b")
    assert await a.pings("10.0.0.6")
    await here.ensure(network(dhcp=None, vni=4242))
    await here.ensure(network(dhcp=None, vni=4242, peers=("192.168.7.2", "192.168.7.3")))
    assert await a.pings("10.0.0.6")


async def test_changes_and_a_restart_drop_no_packet(machine):
    switch = await machine.started()
    floating = (("172.31.0.50", "10.0.0.6"),)
    items = [external_network(), network(), groups(PING), router((NET, "10.0.0"), floating=floating)]
    for item in items:
        await switch.ensure(item)
    a, _ = await machine.plug(port(5), switch), await machine.plug(port(6), switch)
    assert await a.pings("10.0.0.6")
    assert await machine.client.pings("172.31.0.50")
    wiring = await switch.observe()
    pid = (machine.home / f"{machine.word}a/dhcp/{NET}/pid").read_text()
    async with a.pinging("10.0.0.6") as across, machine.client.pinging("172.31.0.50") as outside:
        await change_much(machine, items, wiring, pid)
    for answered in (across, outside):
        assert len(answered) > 30
        assert answered == list(range(1, len(answered) + 1))


async def change_much(machine, items, wiring, pid):
    """A restart of the agent, then every kind of small change."""
    again = machine.node()  # a new process of the agent
    await again.start(machine.link())
    assert await again.observe() == wiring
    for item in (*items, port(5), port(6)):
        await again.ensure(item)
    assert await again.observe() == wiring
    assert (machine.home / f"{machine.word}a/dhcp/{NET}/pid").read_text() == pid
    await again.ensure(network(leases=(lease(port(7)),)))
    await again.ensure(port(7))
    await again.ensure(groups(PING, SSH, members=("10.0.0.5",)))
    floating = (("172.31.0.50", "10.0.0.6"), ("172.31.0.51", "10.0.0.7"))
    await again.ensure(router((NET, "10.0.0"), floating=floating))
    await again.ensure(network(OTHER_NET, "10.1.0"))
    await again.remove("network", OTHER_NET)


async def test_what_is_broken_is_seen_and_mended(machine):
    switch = await machine.started()
    items = [external_network(), network(), groups(PING), router((NET, "10.0.0")), port(5)]
    for item in items:
        await switch.ensure(item)
    whole = dict(await switch.observe())
    node = f"maldon-{machine.word}a"
    pid = (machine.home / f"{machine.word}a/dhcp/{NET}/pid").read_text().strip()
    breaks = {
        ("port", items[4].id): f"nsenter --net=/run/netns/{node} ip link del tap{items[4].id[:11]}",
        ("router", ROUTER): f"ip netns del {node}-r-{ROUTER[:11]}",
        ("network", NET): f"kill -9 {pid}",
        ("group", GROUP): f"nsenter --net=/run/netns/{node} nft delete table inet maldon",
    }
    for key, breaking in breaks.items():
        process = await asyncio.create_subprocess_exec(*breaking.split())
        assert await process.wait() == 0

        async def seen(key=key) -> bool:
            return (await switch.observe())[key] == ""

        await until(seen, f"{key} is broken")
        for item in items:
            await switch.ensure(item)
        assert await switch.observe() == whole


async def test_an_item_nft_refuses_does_not_stop_the_others(machine):
    switch = await machine.started()
    await switch.ensure(network(dhcp=None))
    with pytest.raises(Exception, match="type"):
        await switch.ensure(groups(RuleSpec("ingress", "IPv4", "icmp", 9999)))
    await switch.ensure(groups(PING))
    a, _ = await machine.plug(port(5), switch), await machine.plug(port(6), switch)
    assert await a.pings("10.0.0.6")


async def test_destroy_leaves_nothing(machine):
    switch = await machine.started()
    for item in (external_network(), network(), groups(), router((NET, "10.0.0")), port(5)):
        await switch.ensure(item)
    assert len(machine.left()) >= 5
    await switch.destroy()
    await until(lambda: asyncio.to_thread(lambda: not machine.left()), "nothing is left")
    assert await switch.observe() == {}
    await switch.destroy()


async def test_a_node_whose_books_are_lost_shows_its_strays_and_lets_them_be_removed(machine):
    switch = await machine.started()
    for item in (external_network(), network(), groups(), router((NET, "10.0.0")), port(5)):
        await switch.ensure(item)
    for file in (machine.home / f"{machine.word}a/items").iterdir():
        file.unlink()
    again = machine.node()
    await again.start(machine.link())
    strays = await again.observe()
    assert strays == {("network", NET): "", ("router", ROUTER): "", ("port", port(5).id): ""}
    for kind in ("router", "port", "network"):
        for key in strays:
            if key[0] == kind:
                await again.remove(*key)
    assert await again.observe() == {}
    assert [line for line in machine.left() if "-d-" in line or "-r-" in line] == []
