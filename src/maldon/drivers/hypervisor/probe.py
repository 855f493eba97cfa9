"""What QEMU can do here, found by trying.

/dev/kvm may open, make a virtual machine, and still be of no use to guests. So a probe guest has to prove each ability:
a boot sector that turns on paging, goes to 64 bits, takes a page fault, and only then says so through the debug-exit
device. It runs with the options of real guests, against a deadline. The answer is kept in the home for this boot of
the host and this QEMU.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import IO

import msgspec

from maldon.drivers.hypervisor.command import ACCELERATED, BINARY, SANDBOX, Abilities
from maldon.drivers.hypervisor.disk import commit
from maldon.drivers.hypervisor.outside import in_thread, run

ANSWER_S = 10.0
ANSWERED = 0x2A << 1 | 1  # what debug-exit makes of the byte written to it
BOOT_SECTOR = (
    bytes.fromhex(
        "fa 31c0 8ed8 8ec0 8ed0 bc007c"  # no interrupts; all segments 0; stack below the code
        "bf0010 b90020 f3ab"  # zero the page tables at 0x1000 and the interrupt table at 0x4000
        "c70600100720 c70600200730 c70600308700"  # the first 2 MiB are mapped, nothing else
        "b80800 c706e0408b7c c706e2400800 c706e440008e"  # vector 14, page fault: at the end of the code
        "660f011eb67c 660f0116b07c"  # lidt, lgdt
        "66b8a0000000 0f22e0"  # cr4: PAE, PGE
        "66b800100000 0f22d8"  # cr3: the page tables
        "66b9800000c0 0f32 0d0001 0f30"  # EFER: long mode
        "66b811000080 0f22c0"  # cr0: protection, paging
        "66ea777c00000800"  # jump to the 64-bit code
        "31c0 8ed8 8ec0 8ed0 48c7c300000040"  # segments 0; rbx = 1 GiB, which is not mapped
        "8a03 f4ebfd"  # read there, which must fault; otherwise halt for ever
        "0f20d0 4839d8 75f5 b02a e6f4 ebef"  # the fault: at that address? then answer 0x2a
        "0f1f8000000000 0000000000000000 00000000009a2000"  # descriptors: none, 64-bit code
        "0f00a07c0000 ef0000400000"  # where the descriptors and the interrupt table are
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)


class _Circumstances(msgspec.Struct, frozen=True):
    """What an answer depends on."""

    boot_id: str
    qemu: int
    kvm: bool
    vhost: bool


class _Known(msgspec.Struct, frozen=True):
    circumstances: _Circumstances
    abilities: Abilities


async def abilities(home: Path) -> Abilities:
    """What QEMU can do here; dear only for the first asker since the host was booted."""
    remembered = home / "qemu.json"
    now = await in_thread(_circumstances)
    known = await in_thread(_recall, remembered)
    if known is None or known.circumstances != now:
        known = _Known(now, await _find_out(now))
        await in_thread(_remember, remembered, known)
    return known.abilities


def _circumstances() -> _Circumstances:
    return _Circumstances(
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip(),
        qemu=Path(shutil.which(BINARY) or BINARY).stat().st_mtime_ns,
        kvm=os.access("/dev/kvm", os.R_OK | os.W_OK),
        vhost=os.access("/dev/vhost-net", os.R_OK | os.W_OK),
    )


def _recall(path: Path) -> _Known | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Known)
    except (OSError, msgspec.MsgspecError):
        return None


def _remember(path: Path, known: _Known) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(known))
    commit(part, path)


async def _find_out(now: _Circumstances) -> Abilities:
    with tempfile.NamedTemporaryFile(prefix="maldon-probe-") as image, tempfile.TemporaryFile() as output:
        image.write(BOOT_SECTOR.ljust(1024**2, b"\0"))  # firmware reads no disk without a cylinder
        image.flush()
        disk = Path(image.name)
        accel = "kvm" if now.kvm and await _answers(disk, output, ACCELERATED["kvm"]) else "tcg"
        sandbox = await _answers(disk, output, ACCELERATED[accel] + SANDBOX)
        version = await _version()
    return Abilities(accel, sandbox, now.vhost, version)


async def _answers(disk: Path, output: IO[bytes], options: list[str]) -> bool:
    line = [BINARY, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "32", *options]
    line += ["-blockdev", f"driver=raw,node-name=probe,read-only=on,file.driver=file,file.filename={disk}"]
    line += ["-device", "virtio-blk-pci,drive=probe", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
    try:
        return await run(line, timeout_s=ANSWER_S, output=output) == ANSWERED
    except TimeoutError:
        return False


async def _version() -> int:
    """QEMU's version as the hypervisors API shows it: 7.2.22 is 7002022."""
    with tempfile.TemporaryFile() as output:
        await run([BINARY, "--version"], timeout_s=ANSWER_S, output=output)
        output.seek(0)
        found = re.search(rb"version (\d+)\.(\d+)\.(\d+)", output.read())
    major, minor, patch = (int(part) for part in found.groups()) if found else (0, 0, 0)
    return major * 1_000_000 + minor * 1_000 + patch
