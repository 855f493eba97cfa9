"""What a disk image really is, told from its bytes as they stream by.

An image is refused when its bytes are not what its disk format says (a qcow2 declared raw would be opened by whatever
probes it), and when they point outside themselves: backing files, external data files, extents or parents elsewhere.
So is what cannot be read without a key. Nobody needs to hold the image: the first 320 KiB, the last 1.5 KiB and for
VHDX one range of at most 1 MiB are kept.

Bytes that are no container are raw; so are partition tables and file systems, and an ISO 9660 image may be declared
raw, because it boots as a disk. Each container has one reader: a generator that is given the head, yields the slice of
the file it needs besides, and returns the virtual size; one that needs no more than the head is a plain function.
"""

import re
import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

HEAD_BYTES = 320 * 1024
TAIL_BYTES = 1536
WINDOW_BYTES = 1024 * 1024
SECTOR = 512
MAX_VIRTUAL_SIZE = 2**63 - 1

Reading = Generator[slice, bytes, int]


class BadImage(Exception):
    """The bytes are refused; the text is a sentence for whoever sent them."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What an image is. `virtual_size` is the size of the disk a guest sees; None for what is no disk."""

    format: str
    virtual_size: int | None


class Inspector:
    """Give it an image's bytes in order, then ask. `feed` raises BadImage as soon as that is certain."""

    def __init__(self, disk_format: str) -> None:
        if disk_format not in PLAIN and disk_format not in READERS:
            raise BadImage(f"Images of the format {disk_format!r} are not supported.")
        self._format = disk_format
        self._size = 0
        self._head = bytearray()
        self._tail = b""
        self._begun = False
        self._reading: Reading | None = None
        self._wanted: slice | None = None
        self._window = bytearray()
        self._virtual_size: int | None = None

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the image, as many as there happen to be."""
        start, self._size = self._size, self._size + len(chunk)
        self._tail = (self._tail + chunk[-TAIL_BYTES:])[-TAIL_BYTES:]
        if not self._begun:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._begin()
        if self._wanted is not None and self._wanted.start >= 0:
            self._capture(self._wanted, start, chunk)

    def finish(self) -> Inspected:
        """The verdict, when all bytes were fed."""
        if not self._begun:
            self._begin()
        while self._wanted is not None:
            self._answer(bytes(self._window) if self._wanted.start >= 0 else self._tail[self._wanted])
        if self._format in PLAIN:
            self._virtual_size = None if self._format in OPAQUE else self._size
        if (self._virtual_size or 0) > MAX_VIRTUAL_SIZE:
            raise BadImage("The image states an impossible virtual size.")
        return Inspected(self._format, self._virtual_size)

    def _begin(self) -> None:
        self._begun = True
        head = bytes(self._head)
        self._head.clear()
        _refuse_mismatch(self._format, head)
        if reader := READERS.get(self._format):
            outcome = reader(head)
            if isinstance(outcome, int):
                self._virtual_size = outcome
            else:
                self._reading = outcome
                self._answer(None)

    def _capture(self, wanted: slice, start: int, chunk: bytes) -> None:
        at = wanted.start + len(self._window) - start
        self._window += chunk[max(at, 0) : max(wanted.stop - start, 0)] if at < len(chunk) else b""
        if len(self._window) == wanted.stop - wanted.start:
            self._answer(bytes(self._window))

    def _answer(self, data: bytes | None) -> None:
        """Give the reader what it waits for, and note what it wants next, or its result."""
        self._window.clear()
        self._wanted = None
        if self._reading is None:
            return
        try:
            self._wanted = next(self._reading) if data is None else self._reading.send(data)
        except StopIteration as done:
            self._virtual_size = done.value


def _refuse_mismatch(declared: str, head: bytes) -> None:
    found = _contents(head)
    if "luks" in found:
        raise BadImage("The image is encrypted with LUKS, which is not supported.")
    if other := sorted(found - {declared, "iso"}):  # a CD's file system may be in any container, and alone is raw, too
        raise BadImage(f"The image is declared as {declared}, but its content is {' and '.join(other)}.")
    told_by_head = declared == "iso" or declared in READERS.keys() - {"vhd"}  # a fixed VHD is told by its last sector
    if told_by_head and declared not in found:
        raise BadImage(f"The image is declared as {declared}, but its content is not.")


def _contents(head: bytes) -> set[str]:
    """Every container format these first bytes can be taken for."""
    found = {name for name, offset, magic in SIGNATURES if head.startswith(magic, offset)}
    if any(head.startswith(magic, 32769) for magic in (b"CD001", b"BEA01")):
        found.add("iso")
    if _VMDK_TEXT.match(head[:2048]):
        found.add("vmdk")
    return found


def _field(layout: str, data: bytes, offset: int = 0) -> Any:
    """One number or byte string of a header."""
    try:
        return struct.unpack_from(layout, data, offset)[0]
    except struct.error as error:
        raise BadImage("The image is cut short: its header is not whole.") from error


def _require(*, holds: bool, otherwise: str) -> None:
    if not holds:
        raise BadImage(otherwise)


def _qcow2(head: bytes) -> int:
    version = _field(">I", head, 4)
    _require(holds=version in {2, 3}, otherwise=f"The image is qcow version {version}; versions 2 and 3 are supported.")
    backed = _field(">Q", head, 8) or _field(">I", head, 16)
    _require(holds=not backed, otherwise="The image has a backing file; flatten it before uploading.")
    _require(holds=not _field(">I", head, 32), otherwise="The image is encrypted, which is not supported.")
    _require(holds=9 <= _field(">I", head, 20) <= 21, otherwise="The image has an impossible cluster size.")
    incompatible = _field(">Q", head, 72) if version == 3 else 0
    _require(holds=not incompatible & 2, otherwise="The image is marked as corrupt.")
    _require(holds=not incompatible & 4, otherwise="The image keeps its data in another file; convert it first.")
    unknown = incompatible & ~0b11111  # dirty, corrupt, data file, compression type, extended L2
    _require(holds=not unknown, otherwise=f"The image needs qcow2 features that are not known here ({unknown:#x}).")
    return int(_field(">Q", head, 24))


def _vdi(head: bytes) -> int:
    _require(holds=_field("<I", head, 0x44) == 0x10001, otherwise="The image is not VDI version 1.1.")
    linked = head[0x1A8:0x1C8].strip(b"\0")
    _require(holds=_field("<I", head, 0x4C) in {1, 2} and not linked, otherwise=_HAS_PARENT)
    return int(_field("<Q", head, 0x170))


def _ploop(head: bytes) -> int:
    _require(holds=_field("<I", head, 16) == 2, otherwise="The image is not ploop version 2.")
    sectors = int(_field("<Q", head, 36))
    return SECTOR * (sectors if head.startswith(b"WithouFreSpacExt") else sectors & 0xFFFFFFFF)


def _vhd(head: bytes) -> Reading:
    """Fixed ones are raw bytes and a footer; the others begin with a copy of it, and both copies are looked at."""
    footer = (yield slice(-SECTOR, None))[:SECTOR]
    _require(holds=footer.startswith(b"conectix"), otherwise="The image is declared as vhd, but has no VHD footer.")
    copies = [footer, head] if head.startswith(b"conectix") else [footer]
    kinds = {_field(">I", copy, 60) for copy in copies}
    _require(holds=4 not in kinds, otherwise=_HAS_PARENT)
    _require(holds=kinds == {3 if len(copies) == 2 else 2}, otherwise="The image is neither a fixed nor a dynamic VHD.")
    return int(_field(">Q", copies[-1], 48))


def _vmdk(head: bytes) -> Reading:
    _require(
        holds=head.startswith(b"KDMV"), otherwise="Only single-file VMDK images with a sparse extent are supported."
    )
    capacity = _field("<Q", head, 12)
    # A capacity of nothing makes QEMU believe the descriptor's extents instead of the header.
    _require(holds=capacity > 0, otherwise="The VMDK header states no capacity.")
    start, length = SECTOR * _field("<Q", head, 28), SECTOR * _field("<Q", head, 36)
    inside = start >= SECTOR and length > 0 and start + length <= len(head)
    _require(holds=inside, otherwise="The VMDK descriptor is not near the start of the image.")
    _check_descriptor(head[start : start + length].split(b"\0", 1)[0])
    if _field("<Q", head, 56) == _AT_END:
        footer = yield slice(-TAIL_BYTES, None)
        same = footer.startswith(b"KDMV", SECTOR) and footer[SECTOR + 12 : SECTOR + 20] == head[12:20]
        _require(holds=same, otherwise="The VMDK footer differs from its header.")
    return int(capacity) * SECTOR


def _check_descriptor(descriptor: bytes) -> None:
    """Every mention of a key counts: programs differ on which of two they believe."""
    text = descriptor.decode("latin-1").lower()
    kinds = set(_VMDK_KIND.findall(text))
    known = len(kinds) == 1 and kinds <= {"monolithicsparse", "streamoptimized"}
    _require(holds=known, otherwise="The VMDK type is not supported; use monolithicSparse or streamOptimized.")
    parentless = "parentfilenamehint" not in text and set(_VMDK_PARENT.findall(text)) <= {"ffffffff"}
    _require(holds=parentless, otherwise=_HAS_PARENT)
    extents = _VMDK_EXTENT.findall(text)
    inside = len(extents) == 1 and re.fullmatch(r'\d+\s+sparse\s+"[^"/\\]+"\s*', extents[0])
    _require(holds=bool(inside), otherwise="The VMDK descriptor names extents outside the image.")


def _vhdx(head: bytes) -> Reading:
    for offset in (64 * 1024, 128 * 1024):
        logged = head.startswith(b"head", offset) and head[offset + 48 : offset + 64].strip(b"\0")
        _require(holds=not logged, otherwise="The VHDX image was not closed cleanly; its log has still to be replayed.")
    regions = head[192 * 1024 : 256 * 1024]
    _require(holds=regions == head[256 * 1024 : 320 * 1024], otherwise="The two VHDX region tables differ.")
    _require(holds=regions.startswith(b"regi"), otherwise="The VHDX image has no region table.")
    entry = _entry(regions, 16, _field("<I", regions, 8), _VHDX_METADATA)
    start, length = _field("<Q", entry, 16), _field("<I", entry, 24)
    _require(holds=start >= WINDOW_BYTES, otherwise="The VHDX metadata is not where it belongs.")
    metadata = yield slice(start, start + min(length, WINDOW_BYTES))
    _require(holds=metadata.startswith(b"metadata"), otherwise="The VHDX image has no metadata table.")
    _require(holds=not _vhdx_item("<I", metadata, _VHDX_PARAMETERS, skip=4) & 2, otherwise=_HAS_PARENT)
    return int(_vhdx_item("<Q", metadata, _VHDX_SIZE))


def _vhdx_item(layout: str, metadata: bytes, item: bytes, skip: int = 0) -> int:
    entry = _entry(metadata, 32, _field("<H", metadata, 10), item)
    return int(_field(layout, metadata, _field("<I", entry, 16) + skip))


def _entry(table: bytes, start: int, count: int, guid: bytes) -> bytes:
    """The one entry of a VHDX table with this GUID; entries are 32 bytes and begin with it."""
    entries = [table[at : at + 32] for at in range(start, start + 32 * min(count, 2047), 32)]
    matching = [entry for entry in entries if entry.startswith(guid)]
    _require(holds=len(matching) == 1, otherwise="A VHDX table lacks an entry, or has it twice.")
    return matching[0]


_HAS_PARENT = "The image is only the difference to a parent image; flatten it before uploading."
_AT_END = 0xFFFFFFFFFFFFFFFF
_VMDK_TEXT = re.compile(rb"(?:#[^\n]*\n|[ \t]*\r?\n)*[ \t]*version[ \t]*=", re.IGNORECASE)
_VMDK_KIND = re.compile(r'createtype\s*=\s*"?(\w*)')
_VMDK_PARENT = re.compile(r'parentcid\s*=\s*"?(\w*)')
_VMDK_EXTENT = re.compile(r"^[ \t]*(?:rw|rdonly|noaccess)\b[ \t]*([^\r\n]*)", re.MULTILINE)
_VHDX_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_VHDX_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_VHDX_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le

OPAQUE = frozenset({"ami", "ari", "aki"})
PLAIN = frozenset({"raw", "iso"}) | OPAQUE
READERS: dict[str, Callable[[bytes], int | Reading]] = {
    "qcow2": _qcow2,
    "vmdk": _vmdk,
    "vdi": _vdi,
    "vhd": _vhd,
    "vhdx": _vhdx,
    "ploop": _ploop,
}
SIGNATURES = (
    ("qcow2", 0, b"QFI\xfb"),
    ("vmdk", 0, b"KDMV"),
    ("vmdk", 0, b"COWD"),
    ("vdi", 64, b"\x7f\x10\xda\xbe"),
    ("vhd", 0, b"conectix"),
    ("vhdx", 0, b"vhdxfile"),
    ("ploop", 0, b"WithoutFreeSpace"),
    ("ploop", 0, b"WithouFreSpacExt"),
    ("luks", 0, b"LUKS\xba\xbe"),
    ("qed", 0, b"QED\0"),
    ("bochs", 0, b"Bochs Virtual HD Image"),
    ("cloop", 0, b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop"),
)
