"""What only real guests can show of the QEMU driver, beyond the contract of all hypervisors."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from maldon.drivers.hypervisor import command, probe, processes, qmp, state
from maldon.drivers.hypervisor.lock import give_back, take
from maldon.drivers.hypervisor.qemu import QemuHypervisor
from maldon.ports.hypervisor import DriverRefused, GuestFiles, GuestSeen, Nic, tap_name
from tests.contract.hypervisors import (
    BANNER,
    DEAF,
    GUEST,
    OTHER,
    POLITE,
    SLEEPY,
    boot_disk,
    qemu_at,
    spec_of,
    started,
    until,
)

pytestmark = pytest.mark.guest

NICS = (Nic("port-1", "fa:16:3e:00:00:01", 1450), Nic("port-2", "fa:16:3e:00:00:02", 1450))
ENSURE_TWICE = """
import asyncio, pathlib, sys
from maldon.drivers.hypervisor.lock import give_back, take
from maldon.drivers.hypervisor.qemu import QemuHypervisor
from maldon.ports.hypervisor import GuestFiles
from tests.contract.hypervisors import spec_of

async def main(home, guest, base):
    driver = QemuHypervisor(pathlib.Path(home), guest_command=list)
    await driver.capacity()
    print("now", flush=True)
    for boots in (0, 1):
        await driver.ensure(guest, spec_of(None, hard_boots=boots), GuestFiles(pathlib.Path(base)))
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def qemu(tmp_path):
    yield from qemu_at(tmp_path / "home")


async def test_a_deaf_guest_loses_power_after_the_deadline(qemu):
    driver = qemu.make()
    driver.powerdown_s = 0.3
    image, files = qemu.image(code=DEAF)
    await driver.ensure(GUEST, spec_of(image), files)
    await qemu.booted(GUEST, 1)
    await driver.ensure(GUEST, spec_of(image, soft_boots=1), files)
    await qemu.booted(GUEST, 2)
    assert await driver.observe() == {GUEST: GuestSeen("running", 0, 1)}
    await driver.ensure(GUEST, spec_of(image, soft_boots=1, power="stopped"), files)
    assert await driver.observe() == {GUEST: GuestSeen("stopped", 0, 1)}


async def test_a_guest_that_ends_at_once_leaves_no_process_behind(qemu):
    driver = qemu.make()
    image, files = qemu.image(code=SLEEPY)
    await driver.ensure(GUEST, spec_of(image), files)

    async def stopped() -> bool:
        return (await driver.observe())[GUEST] == GuestSeen("stopped")

    await until(stopped, "the guest stopped")
    assert processes.scan(qemu.home.resolve()) == {}


async def test_a_guest_survives_a_home_too_deep_for_a_socket_path(tmp_path):
    for subject in qemu_at(tmp_path / ("deep, and with a comma " * 8) / "home"):
        driver = await started(subject)
        assert await driver.observe() == {GUEST: GuestSeen("running")}


async def test_what_a_killed_agent_left_half_done_is_done_anew(qemu):
    driver = qemu.make()
    image, files = qemu.image()
    half = qemu.home / GUEST
    half.mkdir()
    for name in ("root.qcow2.0123.part", "state.json.part", "qmp.sock", "pid"):
        (half / name).write_text("1")
    (half / "base").hardlink_to(files.base)
    assert await driver.observe() == {GUEST: GuestSeen("vanished")}
    await driver.ensure(GUEST, spec_of(image), files)
    await qemu.booted(GUEST, 1)
    assert await driver.observe() == {GUEST: GuestSeen("running")}
    assert not list(half.glob("*.part"))


async def test_a_reboot_interrupted_after_the_start_is_not_repeated(qemu):
    driver = await started(qemu)
    image, files = qemu.image()
    await driver.ensure(GUEST, spec_of(image, hard_boots=1), files)
    await qemu.booted(GUEST, 2)
    known = state.read(qemu.home / GUEST)
    msgspec.structs.replace(known, done=state.Boots(0, 0)).write(qemu.home / GUEST)  # as a death right there leaves it
    again = qemu.make()
    assert await again.observe() == {GUEST: GuestSeen("running", 1)}
    await again.ensure(GUEST, spec_of(image, hard_boots=1), files)
    assert await qemu.starts(GUEST) == 2


async def test_a_soft_reboot_interrupted_halfway_does_not_end_as_stopped(qemu):
    driver = qemu.make()
    image, files = qemu.image(code=DEAF)
    await driver.ensure(GUEST, spec_of(image), files)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await driver.ensure(GUEST, spec_of(image, soft_boots=1), files)
    assert await driver.observe() == {GUEST: GuestSeen("running")}  # the button is pressed, the guest still runs
    await qemu.kill(GUEST)
    boot_disk(files.base, POLITE)
    await driver.ensure(GUEST, spec_of(image), files)
    known = state.read(qemu.home / GUEST)
    msgspec.structs.replace(known, returns=True).write(qemu.home / GUEST)
    await qemu.shut_down(GUEST)
    assert await qemu.make().observe() == {GUEST: GuestSeen("vanished")}
    await driver.ensure(GUEST, spec_of(image, soft_boots=1), files)
    assert await driver.observe() == {GUEST: GuestSeen("running", 0, 1)}


async def test_a_second_process_looks_without_touching_what_is_being_changed(qemu):
    driver, doctor = await started(qemu), qemu.make()
    image, files = qemu.image(code=DEAF)
    work = asyncio.create_task(driver.ensure(GUEST, spec_of(image, hard_boots=1), files))
    while not work.done():
        assert (await doctor.observe())[GUEST].power in {"running", "vanished"}
    await work
    assert await doctor.observe() == {GUEST: GuestSeen("running", 1)}
    held = take(qemu.home / GUEST)
    hasty = qemu.make()
    hasty.exit_s = 0.2
    with pytest.raises(TimeoutError, match="another process"):
        await hasty.remove(GUEST)
    give_back(held)
    await doctor.remove(GUEST)
    assert await driver.observe() == {}


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.04, 0.08])
async def test_a_cancelled_verb_can_be_repeated(qemu, delay):
    driver = qemu.make()
    image, files = qemu.image()
    for attempt in (spec_of(image), spec_of(image, hard_boots=1)):
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await driver.ensure(GUEST, attempt, files)
    await driver.ensure(GUEST, spec_of(image, hard_boots=1), files)
    assert await driver.observe() == {GUEST: GuestSeen("running", 1)}
    assert len(processes.scan(qemu.home.resolve())[GUEST]) == 1


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.03, 0.05])
async def test_an_agent_killed_anywhere_leaves_what_the_next_can_finish(qemu, delay):
    image, files = qemu.image()
    program = [sys.executable, "-c", ENSURE_TWICE, str(qemu.home), GUEST, str(files.base)]
    agent = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert agent.stdout
    await agent.stdout.readline()
    await asyncio.sleep(delay)  # the moment of death is what varies here; nothing is waited for
    agent.kill()
    await agent.wait()
    driver = qemu.make()
    assert (await driver.observe()).keys() <= {GUEST}
    await driver.ensure(GUEST, spec_of(image, hard_boots=1), files)
    await driver.ensure(GUEST, spec_of(image, hard_boots=1), files)
    assert await driver.observe() == {GUEST: GuestSeen("running", 1)}
    assert len(processes.scan(qemu.home.resolve())[GUEST]) == 1
    await driver.remove(GUEST)
    assert await driver.observe() == {}
    assert processes.scan(qemu.home.resolve()) == {}


async def test_strangers_with_a_directory_or_a_process_are_observed_and_removed(qemu):
    driver = await started(qemu)
    (qemu.home / OTHER).mkdir()
    (qemu.home / "lost+found").mkdir()
    (qemu.home / GUEST).rename(qemu.home / "gone")  # its process runs on
    assert await driver.observe() == {GUEST: GuestSeen("running"), OTHER: GuestSeen("vanished")}
    await driver.remove(GUEST)
    await driver.remove(OTHER)
    assert await driver.observe() == {}
    assert processes.scan(qemu.home.resolve()) == {}


async def test_a_stale_pid_file_never_costs_a_stranger_its_life(qemu):
    driver = await started(qemu)
    await qemu.kill(GUEST)
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        (qemu.home / GUEST / processes.PID).write_text(str(bystander.pid))
        assert await driver.observe() == {GUEST: GuestSeen("vanished")}
        await driver.remove(GUEST)
        assert bystander.returncode is None
        os.kill(bystander.pid, 0)
    finally:
        bystander.kill()
        await bystander.wait()


async def test_a_flooded_console_is_cut_under_the_running_guest(qemu):
    driver = await started(qemu)
    driver.console_limit = 4096
    log = qemu.home / GUEST / command.CONSOLE
    with log.open("ab") as file:
        file.write(b"x" * 10_000 + b"the end")
    await driver.observe()
    assert log.read_bytes() == (b"x" * 10_000 + b"the end")[-2048:]
    image, files = qemu.image()
    await driver.ensure(GUEST, spec_of(image, hard_boots=1), files)
    await qemu.booted(GUEST, 1)
    assert await driver.console_log(GUEST, 25) == b"the end" + BANNER


async def test_a_start_that_fails_says_why_and_leaves_no_process(qemu):
    driver = qemu.make()
    image, files = qemu.image()
    nic = Nic("no-such-port", "fa:16:3e:00:00:01", 1500)
    wrong = spec_of(image, nics=(nic,), config_drive=True)
    with pytest.raises(OSError, match=r"config\.iso"):
        await driver.ensure(GUEST, wrong, files)
    assert await driver.observe() == {GUEST: GuestSeen("vanished")}
    assert processes.scan(qemu.home.resolve()) == {}
    await driver.ensure(GUEST, spec_of(image), files)
    assert await driver.observe() == {GUEST: GuestSeen("running")}


async def test_a_wrapper_that_fails_is_told(qemu):
    driver = QemuHypervisor(qemu.home, guest_command=lambda line: ["sh", "-c", "echo no such node >&2; exit 3", *line])
    image, files = qemu.image()
    with pytest.raises(OSError, match="no such node"):
        await driver.ensure(GUEST, spec_of(image), files)


async def test_an_image_is_not_needed_any_more_once_its_guest_is_made(qemu, tmp_path):
    driver = qemu.make()
    image, files = qemu.image()
    iso = tmp_path / "drive.iso"
    iso.write_bytes(b"\0" * 4096)
    given = GuestFiles(files.base, "raw", iso)
    await driver.ensure(GUEST, spec_of(image, config_drive=True, power="stopped"), given)
    await driver.ensure(GUEST, spec_of(image, config_drive=True), given)
    files.base.unlink()
    iso.unlink()
    await driver.ensure(GUEST, spec_of(image, config_drive=True, hard_boots=1), GuestFiles())
    await qemu.booted(GUEST, 1)


async def test_a_raw_image_that_looks_like_qcow2_stays_raw(qemu):
    driver = qemu.make()
    image, files = qemu.image()
    with files.base.open("r+b") as file:
        file.write(b"QFI\xfb")
    await driver.ensure(GUEST, spec_of(image), files)
    assert await driver.observe() == {GUEST: GuestSeen("running")}
    with pytest.raises(DriverRefused, match="neither an image nor"):
        await driver.ensure(OTHER, spec_of(None, root_gb=0), GuestFiles())
    text = files.base.parent / "text"
    text.write_text("no disk")
    with pytest.raises(DriverRefused, match="qcow2"):
        await driver.ensure(OTHER, spec_of(image), GuestFiles(text, "qcow2"))


async def test_what_the_probe_found_is_true_and_remembered(qemu):
    driver = qemu.make()
    capacity = await driver.capacity()
    found = await probe.abilities(qemu.home)
    assert capacity.hypervisor_type == {"kvm": "KVM", "tcg": "QEMU"}[found.accel]
    assert capacity.hypervisor_version == found.version
    before = (qemu.home / "qemu.json").stat().st_mtime_ns
    assert await qemu.make().capacity() == capacity
    assert (qemu.home / "qemu.json").stat().st_mtime_ns == before


async def test_a_guest_is_a_session_of_its_own_and_no_child_of_the_agent(qemu):
    await started(qemu)
    (pid,) = processes.scan(qemu.home.resolve())[GUEST]
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    assert int(stat[1]) != os.getpid()
    assert int(stat[3]) not in {os.getsid(0), 0}
    assert await qmp.status(qemu.home / GUEST) == "running"


@pytest.fixture
def node(tmp_path):
    """A network namespace with the taps of two ports."""
    name = f"mt-{os.getpid()}-{tmp_path.stat().st_ino}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for nic in NICS:
            subprocess.run(["ip", "-n", name, "tuntap", "add", tap_name(nic.port_id), "mode", "tap"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.root
async def test_cards_are_plugged_into_a_running_guest_and_a_deaf_one_keeps_them_to_its_next_boot(qemu, node):
    driver = QemuHypervisor(qemu.home, guest_command=["ip", "netns", "exec", node].__add__)
    driver.powerdown_s = driver.unplug_s = 0.3
    image, files = qemu.image(code=DEAF)
    await driver.ensure(GUEST, spec_of(image, nics=NICS[:1]), files)
    await qemu.booted(GUEST, 1)
    msgspec.structs.replace(state.read(qemu.home / GUEST), tap_ports=()).write(qemu.home / GUEST)  # plugged, then died
    for _ in range(2):
        await driver.ensure(GUEST, spec_of(image, nics=NICS), files)
        assert await driver.observe() == {GUEST: GuestSeen("running", tap_ports=("port-1", "port-2"))}
    with pytest.raises(OSError, match="does not let go of the card of port port-1"):
        await driver.ensure(GUEST, spec_of(image, nics=NICS[1:]), files)
    assert (await driver.observe())[GUEST].tap_ports == ("port-1", "port-2")
    assert await qemu.starts(GUEST) == 1
    await driver.ensure(GUEST, spec_of(image, nics=NICS[1:], hard_boots=1), files)
    assert await driver.observe() == {GUEST: GuestSeen("running", 1, tap_ports=("port-2",))}
