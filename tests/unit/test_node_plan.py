"""The node's planner: whatever was and whatever is wanted, one round brings it about, and nobody else is touched."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maldon.agents.node.plan import EnsureGuest, RemoveGuest, items_of, plan_guests, plan_wires, report_of
from maldon.drivers.hypervisor.fake import FakeHypervisor
from maldon.drivers.switch.fake import FakeSwitch
from maldon.ports.agent import DesiredGuest
from maldon.ports.hypervisor import GuestFiles, GuestSeen, GuestSpec, Nic
from maldon.ports.switch import GroupSpec, InterfaceSpec, NetworkSpec, PortSpec, RouterSpec, Wiring

IDS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(6)]
GUEST = IDS[0]

specs = st.builds(
    GuestSpec,
    name=st.just("g"),
    vcpus=st.just(1),
    memory_mb=st.just(128),
    root_gb=st.just(1),
    image=st.none(),
    nics=st.lists(st.sampled_from("pqr"), unique=True).map(lambda ids: tuple(Nic(i, "", 1450) for i in ids)),
    power=st.sampled_from(["running", "stopped"]),
    hard_boots=st.integers(0, 2),
    soft_boots=st.integers(0, 2),
)
wishes = st.dictionaries(st.sampled_from(IDS), st.none() | specs).map(
    lambda some: {guest: DesiredGuest(guest, 1, spec) for guest, spec in some.items()}
)
fates = st.dictionaries(st.sampled_from(IDS), st.sampled_from(["shut_down", "kill"]))


async def act(driver, desired):
    """Do what is planned; what is seen then."""
    for action in plan_guests(desired, await driver.observe()):
        if isinstance(action, RemoveGuest):
            await driver.remove(action.id)
        else:
            await driver.ensure(action.id, action.spec, GuestFiles())
    return await driver.observe()


@given(wishes, fates, wishes)
def test_a_plan_applied_once_leaves_nothing_to_do(first, fates, second):
    async def history(home):
        driver = FakeHypervisor(home, list)
        seen = await act(driver, first)
        for guest, fate in fates.items():
            if guest in seen:
                getattr(driver, fate)(guest)
        before = await driver.observe()
        return before, await act(driver, second)

    with tempfile.TemporaryDirectory() as home:
        before, after = asyncio.run(history(Path(home)))
    assert plan_guests(second, after) == []
    wanted = {guest for guest, wish in second.items() if wish.spec}
    assert wanted <= after.keys()
    assert not after.keys() & (second.keys() - wanted)
    strangers = before.keys() - second.keys()
    assert {guest: after[guest] for guest in strangers} == {guest: before[guest] for guest in strangers}


def wish(**spec):
    usual = {"name": "g", "vcpus": 1, "memory_mb": 128, "root_gb": 1, "image": None}
    return DesiredGuest(GUEST, 7, GuestSpec(**usual, **spec))


@pytest.mark.parametrize(
    ("spec", "seen", "acts"),
    [
        ({}, GuestSeen("running"), False),
        ({}, GuestSeen("stopped"), False),  # it shut itself down
        ({}, GuestSeen("vanished"), True),
        ({}, None, True),
        ({"hard_boots": 1}, GuestSeen("stopped"), True),  # its user started it again
        ({"hard_boots": 1}, GuestSeen("running"), True),
        ({"hard_boots": 1}, GuestSeen("running", 1), False),
        ({"soft_boots": 1}, GuestSeen("running"), True),
        ({"soft_boots": 1}, GuestSeen("stopped"), False),
        ({"power": "stopped"}, GuestSeen("running"), True),
        ({"power": "stopped"}, GuestSeen("stopped"), False),
        ({"power": "stopped"}, GuestSeen("vanished"), False),
        ({"nics": (Nic("p", "", 1450),)}, GuestSeen("running"), True),
        ({"nics": (Nic("p", "", 1450),)}, GuestSeen("running", tap_ports=("p",)), False),
    ],
)
def test_when_a_guest_is_touched(spec, seen, acts):
    wanted = wish(**spec)
    planned = plan_guests({GUEST: wanted}, {} if seen is None else {GUEST: seen})
    assert planned == ([EnsureGuest(GUEST, wanted.spec)] if acts else [])


def test_what_is_to_go_goes_first_and_only_once():
    gone = DesiredGuest(IDS[1], 1, None)
    seen = {IDS[1]: GuestSeen("running")}
    assert plan_guests({GUEST: wish(), IDS[1]: gone}, seen) == [RemoveGuest(IDS[1]), EnsureGuest(GUEST, wish().spec)]
    assert plan_guests({IDS[1]: gone}, {}) == []
    assert report_of(gone, None, None).power == "absent"


def test_a_guest_that_shut_itself_down_is_reported_as_it_is():
    told = report_of(wish(hard_boots=2), GuestSeen("stopped", 2, 1), None)
    assert (told.id, told.revision, told.power, told.hard_boots, told.soft_boots) == (GUEST, 7, "stopped", 2, 1)


def wiring(networks, ports, mtu, groups):
    """Ports and routers of the networks that are there."""
    here = sorted(networks)
    legs = tuple(InterfaceSpec(f"leg-{n}", n, "", ()) for n in here)
    return Wiring(
        tuple(NetworkSpec(n, mtu) for n in here),
        tuple(GroupSpec(g) for g in sorted(groups)),
        tuple(PortSpec(f"{n}-{p}", n, "") for n in here for p in sorted(ports)),
        (RouterSpec("router", legs),) if legs else (),
    )


wirings = st.builds(
    wiring,
    st.sets(st.sampled_from("abc")),
    st.sets(st.sampled_from("12")),
    st.sampled_from([1400, 1450]),
    st.sets(st.sampled_from("xy")),
)


@given(wirings, wirings)
def test_a_change_of_the_wiring_is_brought_about_in_one_round(first, second):
    async def history(home):
        switch = FakeSwitch(home, "node")
        for wanted in (first, second):
            before = dict(await switch.observe())
            stray, missing = plan_wires(wanted, before)
            assert not {key for key, item in items_of(wanted).items() if key in before} & set(stray)
            for kind, item_id in stray:
                await switch.remove(kind, item_id)
            for item in missing:  # in an order in which each finds what it stands on
                await switch.ensure(item)
            assert plan_wires(wanted, await switch.observe()) == ([], [])

    with tempfile.TemporaryDirectory() as home:
        asyncio.run(history(Path(home)))


def test_routers_go_before_ports_and_networks_last():
    whole = wiring("ab", "1", 1450, "x")
    stray, missing = plan_wires(Wiring(), dict.fromkeys(items_of(whole), ""))
    assert [kind for kind, _ in stray] == ["router", "port", "port", "group", "network", "network"]
    assert missing == []
