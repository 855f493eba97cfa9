"""The command line of a guest, from its spec and the host's abilities."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from maldon.drivers.hypervisor.command import Abilities, check, command_line
from maldon.drivers.hypervisor.probe import BOOT_SECTOR
from maldon.ports.hypervisor import DriverRefused, GuestSpec, Nic

HOME = Path("/guests")
GUEST = "6f1c2a34-0000-4000-8000-00000000000a"
TCG = Abilities(accel="tcg", sandbox=True, vhost=False, version=7_002_022)
KVM = Abilities(accel="kvm", sandbox=False, vhost=True, version=7_002_022)
SPEC = GuestSpec("web,id=evil", vcpus=2, memory_mb=256, root_gb=1, image=None)
NICS = (Nic("11111111-aaaa-4bbb", "fa:16:3e:00:00:01", 1450), Nic("22222222-aaaa-4bbb", "fa:16:3e:00:00:02", 9000))


def values(line: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(line) if name == option]


def line_of(spec: GuestSpec = SPEC, abilities: Abilities = TCG, home: Path = HOME) -> list[str]:
    return command_line(home, GUEST, spec, abilities, qmp_fd=7)


def test_nothing_is_left_to_defaults_and_the_guest_stays_after_its_shutdown():
    line = line_of()
    assert {"-nodefaults", "-no-user-config", "-no-shutdown"} <= set(line)
    assert values(line, "-machine") == ["pc,usb=off"]
    assert (values(line, "-smp"), values(line, "-m")) == (["2"], ["256M"])
    assert values(line, "-chardev")[0] == "socket,id=qmp,fd=7,server=on,wait=off"


@pytest.mark.parametrize(
    ("abilities", "accel", "cpu", "sandboxes"), [(TCG, "tcg,thread=multi", "max", 1), (KVM, "kvm", "host", 0)]
)
def test_what_the_host_can_do_decides_accelerator_and_sandbox(abilities, accel, cpu, sandboxes):
    line = line_of(abilities=abilities)
    assert (values(line, "-accel"), values(line, "-cpu")) == ([accel], [cpu])
    assert len(values(line, "-sandbox")) == sandboxes


def test_every_disk_names_its_format():
    line = line_of(GuestSpec("x", 1, 64, 1, None, config_drive=True))
    disks = [json.loads(value) for value in values(line, "-blockdev")]
    assert [(disk["node-name"], disk["driver"], disk["read-only"], disk["file"]["filename"]) for disk in disks] == [
        ("root", "qcow2", False, f"/guests/{GUEST}/root.qcow2"),
        ("config", "raw", True, f"/guests/{GUEST}/config.iso"),
    ]
    assert "virtio-blk-pci,drive=root,id=root,bootindex=1" in line
    assert "-drive" not in line


def test_a_card_is_plugged_into_the_tap_of_its_port():
    line = line_of(GuestSpec("x", 1, 64, 1, None, nics=NICS))
    assert values(line, "-netdev") == [
        "tap,id=net-11111111-aaaa-4bbb,ifname=tap11111111-aa,script=no,downscript=no,vhost=off",
        "tap,id=net-22222222-aaaa-4bbb,ifname=tap22222222-aa,script=no,downscript=no,vhost=off",
    ]
    names = "id=card-11111111-aaaa-4bbb,netdev=net-11111111-aaaa-4bbb"
    assert f"virtio-net-pci,{names},mac=fa:16:3e:00:00:01,host_mtu=1450,romfile=" in line
    assert "vhost=on" in " ".join(line_of(GuestSpec("x", 1, 64, 1, None, nics=NICS), KVM))


def test_words_of_the_user_do_not_reach_the_command_line():
    assert not [argument for argument in line_of() if "evil" in argument]


def test_a_comma_in_a_path_ends_no_option():
    (console,) = [value for value in values(line_of(home=Path("/a,b")), "-chardev") if value.startswith("file")]
    assert console == f"file,id=console,path=/a,,b/{GUEST}/console.log,append=on"


@pytest.mark.parametrize("vcpus", [0, 256])
def test_impossible_processors_are_refused(vcpus):
    with pytest.raises(DriverRefused, match="choose another flavor"):
        check(GuestSpec("x", vcpus, 64, 1, None))


def test_the_probe_is_one_bootable_sector():
    assert len(BOOT_SECTOR) == 512
    assert BOOT_SECTOR[510:] == b"\x55\xaa"
