"""What every hypervisor driver promises, asked of each of them."""

import asyncio

import msgspec
import pytest

from maldon.ports.hypervisor import DriverRefused, GuestFiles, GuestSeen, Nic
from tests.contract.hypervisors import GUEST, MIB, OTHER, FakeSubject, booted, qemu_at, spec_of, started


@pytest.fixture(params=["fake", pytest.param("qemu", marks=pytest.mark.guest)])
def subject(request, tmp_path):
    if request.param == "fake":
        yield FakeSubject(tmp_path / "home")
    else:
        yield from qemu_at(tmp_path / "home")


async def test_capacity_is_more_than_nothing_and_its_cpu_info_is_json(subject):
    capacity = await subject.make().capacity()
    assert min(capacity.vcpus, capacity.memory_mb, capacity.disk_gb, capacity.hypervisor_version) > 0
    assert isinstance(msgspec.json.decode(capacity.cpu_info), dict)


async def test_nothing_is_there_at_first(subject):
    driver = subject.make()
    assert await driver.observe() == {}
    assert await driver.console_log(GUEST, 100) == b""


async def test_ensure_twice_starts_once(subject):
    driver = await started(subject)
    image, files = subject.image()
    await asyncio.gather(*(driver.ensure(GUEST, spec_of(image), files) for _ in range(3)))
    assert await driver.observe() == {GUEST: GuestSeen("running")}
    assert await subject.starts(GUEST) == 1


async def test_a_new_driver_finds_the_guests_and_leaves_them_alone(subject):
    await (await started(subject)).close()
    driver = subject.make()
    assert await driver.observe() == {GUEST: GuestSeen("running")}
    image, files = subject.image()
    await driver.ensure(GUEST, spec_of(image), files)
    assert await subject.starts(GUEST) == 1


async def test_a_guest_made_stopped_does_not_run_until_it_is_to(subject):
    driver = subject.make()
    image, files = subject.image()
    await driver.ensure(GUEST, spec_of(image, power="stopped"), files)
    assert await driver.observe() == {GUEST: GuestSeen("stopped")}
    assert await subject.starts(GUEST) == 0
    await driver.ensure(GUEST, spec_of(image), files)
    await booted(subject, GUEST, 1)


async def test_stop_and_start(subject):
    driver = await started(subject)
    image, files = subject.image()
    for _ in range(2):
        await driver.ensure(GUEST, spec_of(image, power="stopped"), files)
        assert await driver.observe() == {GUEST: GuestSeen("stopped")}
    await driver.ensure(GUEST, spec_of(image), files)
    await booted(subject, GUEST, 2)
    assert await driver.observe() == {GUEST: GuestSeen("running")}


@pytest.mark.parametrize("kind", ["hard_boots", "soft_boots"])
async def test_a_grown_boot_number_reboots_once(subject, kind):
    driver = await started(subject)
    image, files = subject.image()
    await driver.ensure(GUEST, spec_of(image, **{kind: 1}), files)
    await booted(subject, GUEST, 2)
    assert await driver.observe() == {GUEST: GuestSeen("running", **{kind: 1})}
    await driver.ensure(GUEST, spec_of(image, **{kind: 1}), files)
    await subject.make().ensure(GUEST, spec_of(image, **{kind: 1}), files)
    assert await subject.starts(GUEST) == 2


async def test_the_first_start_and_the_start_after_a_stop_do_all_boots_so_far(subject):
    driver = subject.make()
    image, files = subject.image()
    await driver.ensure(GUEST, spec_of(image, hard_boots=3, soft_boots=2), files)
    assert await driver.observe() == {GUEST: GuestSeen("running", 3, 2)}
    await booted(subject, GUEST, 1)
    await driver.ensure(GUEST, spec_of(image, power="stopped", hard_boots=4, soft_boots=2), files)
    assert await driver.observe() == {GUEST: GuestSeen("stopped", 4, 2)}
    await driver.ensure(GUEST, spec_of(image, hard_boots=5, soft_boots=5), files)
    await booted(subject, GUEST, 2)
    assert await driver.observe() == {GUEST: GuestSeen("running", 5, 5)}


async def test_a_guest_that_turned_itself_off_is_stopped_and_stays_so(subject):
    driver = await started(subject)
    await subject.shut_down(GUEST)
    assert await driver.observe() == {GUEST: GuestSeen("stopped")}
    assert await subject.make().observe() == {GUEST: GuestSeen("stopped")}
    image, files = subject.image()
    await driver.ensure(GUEST, spec_of(image), files)
    await booted(subject, GUEST, 2)


async def test_a_guest_whose_process_died_has_vanished_and_is_started_again(subject):
    driver = await started(subject)
    await subject.kill(GUEST)
    assert await driver.observe() == {GUEST: GuestSeen("vanished")}
    assert await subject.make().observe() == {GUEST: GuestSeen("vanished")}
    image, files = subject.image()
    await driver.ensure(GUEST, spec_of(image), files)
    await booted(subject, GUEST, 2)
    assert await driver.observe() == {GUEST: GuestSeen("running")}


async def test_a_vanished_guest_can_be_stopped(subject):
    driver = await started(subject)
    await subject.kill(GUEST)
    image, files = subject.image()
    await driver.ensure(GUEST, spec_of(image, power="stopped"), files)
    assert await driver.observe() == {GUEST: GuestSeen("stopped")}


async def test_remove_leaves_nothing_and_may_be_repeated(subject):
    driver = await started(subject)
    before = {entry.name for entry in subject.home.iterdir()} - {GUEST, f"{GUEST}.json"}
    await driver.remove(GUEST)
    await driver.remove(GUEST)
    await driver.remove(OTHER)
    assert await driver.observe() == {}
    assert {entry.name for entry in subject.home.iterdir()} == before
    assert await driver.console_log(GUEST, 100) == b""


async def test_a_removed_guest_may_come_back_new(subject):
    driver = await started(subject)
    await driver.remove(GUEST)
    await started(subject)
    assert await subject.starts(GUEST) == 1


async def test_an_image_larger_than_the_disk_is_refused_in_words_to_act_on(subject):
    driver = subject.make()
    image, files = subject.image(2 * 1024**3 + 512)
    with pytest.raises(DriverRefused, match="at least 3 GiB"):
        await driver.ensure(GUEST, spec_of(image), files)
    assert "running" not in {seen.power for seen in (await driver.observe()).values()}
    await driver.remove(GUEST)
    assert await driver.observe() == {}


async def test_no_root_disk_size_means_the_size_of_the_image(subject):
    driver = subject.make()
    image, files = subject.image(2 * 1024**3 + 512)
    await driver.ensure(GUEST, spec_of(image, root_gb=0), files)
    await booted(subject, GUEST, 1)


async def test_the_console_log_is_the_end_of_what_the_guest_wrote(subject):
    driver = await started(subject)
    whole = await driver.console_log(GUEST, MIB)
    assert whole
    assert [await driver.console_log(GUEST, limit) for limit in (0, 5, len(whole))] == [b"", whole[-5:], whole]
    image, files = subject.image()
    await driver.ensure(GUEST, spec_of(image, hard_boots=1), files)
    await booted(subject, GUEST, 2)
    assert await driver.console_log(GUEST, MIB) == whole * 2


async def test_guests_do_not_touch_each_other(subject):
    driver = subject.make()
    image, files = subject.image()
    await asyncio.gather(*(driver.ensure(guest, spec_of(image), files) for guest in (GUEST, OTHER)))
    await booted(subject, GUEST, 1)
    await driver.ensure(GUEST, spec_of(image, power="stopped"), files)
    assert await driver.observe() == {GUEST: GuestSeen("stopped"), OTHER: GuestSeen("running")}
    await driver.remove(GUEST)
    assert await driver.observe() == {OTHER: GuestSeen("running")}


async def test_a_name_that_is_no_uuid_reaches_no_file(subject):
    driver = subject.make()
    image, files = subject.image()
    for verb in (driver.ensure("../x", spec_of(image), files), driver.remove(".."), driver.console_log("a/b", 9)):
        with pytest.raises(ValueError, match="UUID"):
            await verb
    assert not (subject.home.parent / "x").exists()


async def test_observing_during_the_work_shows_a_running_guest_or_none_yet(subject):
    driver = await started(subject)
    image, files = subject.image()
    work = asyncio.create_task(driver.ensure(GUEST, spec_of(image, hard_boots=1), files))
    seen = set()
    while not work.done():
        seen.add((await driver.observe())[GUEST].power)
        await asyncio.sleep(0)
    await work
    assert seen <= {"running"}


async def test_taps_are_those_of_the_running_guest(tmp_path):
    # The real driver's taps need root and a switch; the agent's own tests plug them.
    driver = FakeSubject(tmp_path).make()
    nics = (Nic("port-1", "fa:16:3e:00:00:01", 1450), Nic("port-2", "fa:16:3e:00:00:02", 1450))
    await driver.ensure(GUEST, spec_of(None, nics=nics), GuestFiles())
    assert await driver.observe() == {GUEST: GuestSeen("running", tap_ports=("port-1", "port-2"))}
    await driver.ensure(GUEST, spec_of(None, nics=nics[1:]), GuestFiles())
    assert await driver.observe() == {GUEST: GuestSeen("running", tap_ports=("port-2",))}
    assert (await driver.console_log(GUEST, MIB)).count(b"login:") == 1
    driver.shut_down(GUEST)
    assert await driver.observe() == {GUEST: GuestSeen("stopped")}
