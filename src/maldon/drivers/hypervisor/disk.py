"""Root disks: a qcow2 overlay over the image's bytes, in the guest's directory.

The image is hard-linked beside the overlay (where the file system can), so that the image cache may forget it while
guests still read it. Formats are always given, never probed: a raw image whose bytes look like qcow2 stays raw. The
rename of the finished overlay is the commit; what a dead process left unfinished is made anew.
"""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from maldon.drivers.hypervisor.outside import in_thread, run
from maldon.ports.hypervisor import DriverRefused, GuestFiles, GuestSpec

GIB = 1024**3
ROOT = "root.qcow2"
BASE = "base"
CREATE_S = 60.0


def size_for(root_gb: int, image_bytes: int) -> int:
    """How large the root disk is to be, in bytes; refuses an image that does not fit."""
    if not root_gb:
        return image_bytes
    if image_bytes > root_gb * GIB:
        need = -(-image_bytes // GIB)
        raise DriverRefused(
            f"the image needs a root disk of {need} GiB and the flavor gives {root_gb} GiB: "
            f"choose a flavor with a root disk of at least {need} GiB"
        )
    return root_gb * GIB


def virtual_size(image: Path, disk_format: str) -> int:
    """The size of the disk that an image holds."""
    if disk_format == "raw":
        return -(-image.stat().st_size // 512) * 512
    with image.open("rb") as file:
        header = file.read(32)
    if len(header) < 32 or header[:4] != b"QFI\xfb":
        raise DriverRefused("the image is not what its disk format says: qcow2")
    return int.from_bytes(header[24:32], "big")


async def make_root(directory: Path, spec: GuestSpec, files: GuestFiles) -> None:
    """Make the root disk unless it is there, whole."""
    if (directory / ROOT).exists():
        return
    if files.base is None and spec.image is not None:
        raise FileNotFoundError("the image is not on this host yet")
    image_bytes = await in_thread(virtual_size, files.base, files.base_format) if files.base else 0
    size = size_for(spec.root_gb, image_bytes)
    if not size:
        raise DriverRefused("the server has neither an image nor a root disk: give it one of them")
    # A name of our own: the program that a killed agent left behind may still be writing under another.
    part = directory / f"{ROOT}.{secrets.token_hex(4)}.part"
    backing = []
    if files.base:
        backing = ["-b", await in_thread(_link_base, directory, files.base), "-F", files.base_format]
    try:
        await _create(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(part), str(size)])
        await in_thread(commit, part, directory / ROOT)
    finally:
        await in_thread(_drop_unfinished, directory)


async def _create(command: list[str]) -> None:
    with tempfile.TemporaryFile() as output:
        if await run(command, timeout_s=CREATE_S, output=output):
            output.seek(0)
            raise OSError(f"the root disk could not be made: {output.read(2000).decode(errors='replace').strip()}")


def _drop_unfinished(directory: Path) -> None:
    for part in directory.glob(f"{ROOT}.*.part"):
        part.unlink(missing_ok=True)


def _link_base(directory: Path, base: Path) -> str:
    """The name under which the overlay finds its image."""
    with suppress(FileExistsError, OSError):
        (directory / BASE).hardlink_to(base)
    return BASE if (directory / BASE).exists() else str(base.resolve())


def commit(part: Path, whole: Path) -> None:
    """Give a finished file its name, durably."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(whole)
    directory = os.open(whole.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def copy_config_drive(source: Path, directory: Path) -> None:
    """Keep a config drive with its guest, which may be started long after the agent forgot the file."""
    part = directory / "config.iso.part"
    part.write_bytes(source.read_bytes())
    commit(part, directory / "config.iso")
