"""What every switch driver promises, on the fake one and on a real node."""

import socket

import pytest

from maldon.drivers.switch.linux import LinuxSwitch
from maldon.ports.switch import DhcpSpec, digest, kind_of
from tests.contract.switches import (
    EXT,
    NET,
    OTHER_NET,
    PING,
    Machine,
    external_network,
    fake,
    groups,
    lease,
    network,
    port,
    router,
)


class Subject:
    """A driver under test: `make` makes it as a new process of the agent would."""

    def __init__(self, make, link):
        self.make = make
        self.link = link


@pytest.fixture(params=["fake", pytest.param("linux", marks=pytest.mark.root)])
async def subject(request, tmp_path):
    machine = Machine(tmp_path)
    if request.param == "fake":
        yield Subject(lambda: fake(tmp_path), machine.link())
        return
    try:
        await machine.started()
        yield Subject(machine.node, machine.link())
    finally:
        await machine.end()


@pytest.fixture
async def switch(subject):
    made = subject.make()
    await made.start(subject.link)
    yield made
    await made.close()


ITEMS = (external_network(), network(), groups(PING, members=("10.0.0.5",)), port(5), router((NET, "10.0.0")))


def digests(*items):
    return {(kind_of(item), item.id): digest(item) for item in items}


async def test_nothing_is_missing_where_the_suite_runs(switch):
    assert switch.missing() is None
    assert switch.features == {"filter", "dhcp", "route", "metadata"}


async def test_a_new_node_is_empty(switch):
    assert await switch.observe() == {}


async def test_what_was_ensured_is_observed(switch):
    for item in ITEMS:
        await switch.ensure(item)
    assert await switch.observe() == digests(*ITEMS)


async def test_ensuring_again_and_starting_again_change_nothing(switch, subject):
    for item in (*ITEMS, *ITEMS):
        await switch.ensure(item)
    await switch.start(subject.link)
    assert await switch.observe() == digests(*ITEMS)


async def test_a_new_process_finds_the_wiring(switch, subject):
    for item in ITEMS:
        await switch.ensure(item)
    await switch.close()
    again = subject.make()
    await again.start(subject.link)
    assert await again.observe() == digests(*ITEMS)
    await again.remove("port", port(5).id)
    assert await again.observe() == digests(*(item for item in ITEMS if kind_of(item) != "port"))


@pytest.mark.parametrize(
    "changed",
    [
        network(leases=(lease(port(5)),)),
        network(dhcp=None),
        network(dhcp=DhcpSpec("ad000000-0000-4000-8000-000000000000", "fa:16:3e:00:00:03", ("10.0.0.3/24",))),
        network(vni=77, peers=("192.0.2.1", "192.0.2.2")),
        groups(members=("10.0.0.5", "10.0.0.6", "fd00::5", "10.9.0.0/16", "10.9.0.5")),
        port(5, up=False),
        port(5, security=False),
        port(5, addresses=("10.0.0.55", "fd00:a::5"), pairs=(("fa:16:3e:00:00:99", "10.3.0.0/16"),), groups=()),
        router((NET, "10.0.0"), floating=(("172.31.0.50", "10.0.0.5"),), routes=(("10.55.0.0/16", "10.0.0.5"),)),
        router((NET, "10.0.0"), gateway=None, next_hops=()),
        router((NET, "10.0.0"), up=False),
        router(),
    ],
)
async def test_an_item_changes_there_and_back(switch, changed):
    for item in ITEMS:
        await switch.ensure(item)
    original = next(item for item in ITEMS if (kind_of(item), item.id) == (kind_of(changed), changed.id))
    await switch.ensure(changed)
    assert await switch.observe() == {**digests(*ITEMS), **digests(changed)}
    await switch.ensure(original)
    assert await switch.observe() == digests(*ITEMS)


async def test_everything_can_be_removed_and_absent_is_done(switch):
    for item in ITEMS:
        await switch.ensure(item)
    for item in reversed(ITEMS):
        await switch.remove(kind_of(item), item.id)
        await switch.remove(kind_of(item), item.id)
    assert await switch.observe() == {}


async def test_a_group_may_go_before_its_ports_forget_it(switch):
    for item in ITEMS:
        await switch.ensure(item)
    await switch.remove("group", groups().id)
    await switch.ensure(port(5, groups=()))
    await switch.remove("port", port(5).id)
    assert await switch.observe() == digests(*(item for item in ITEMS if kind_of(item) not in {"port", "group"}))


async def test_ports_and_routers_wait_for_their_network(switch):
    for item in (port(5), router((NET, "10.0.0"))):
        with pytest.raises(OSError, match="network"):
            await switch.ensure(item)
    assert await switch.observe() == {}


async def test_a_port_without_its_network_is_incomplete(switch):
    for item in (network(), groups(), port(5)):
        await switch.ensure(item)
    await switch.remove("network", NET)
    assert await switch.observe() == {**digests(groups()), ("port", port(5).id): ""}


async def test_the_metadata_socket_listens(switch):
    await switch.ensure(network())
    await switch.ensure(network(OTHER_NET, "10.1.0", dhcp=None))
    with await switch.metadata_socket(NET) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert made.getblocking() is False
    for without in (OTHER_NET, EXT):
        with pytest.raises(OSError, match=r".+"):
            await switch.metadata_socket(without)


async def test_destroy_takes_everything_and_the_node_can_start_again(switch, subject):
    for item in ITEMS:
        await switch.ensure(item)
    await switch.destroy()
    await switch.destroy()
    assert await switch.observe() == {}
    again = subject.make()
    await again.start(subject.link)
    assert await again.observe() == {}
    await again.ensure(network())
    assert await again.observe() == digests(network())


@pytest.mark.root
async def test_commands_run_where_the_taps_are(tmp_path):
    machine = Machine(tmp_path)
    try:
        switch = await machine.started()
        assert isinstance(switch, LinuxSwitch)
        command = switch.guest_command(["ip", "link"])
        assert command[-2:] == ["ip", "link"]
        assert command[:-2] == ["nsenter", f"--net=/run/netns/maldon-{machine.word}a"]
    finally:
        await machine.end()
