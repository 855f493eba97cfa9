"""Images made by qemu-img are recognised; what points outside itself or lies about its format is refused."""

import contextlib
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maldon.image.plan.formats import PLAIN, READERS, SIGNATURES, BadImage, Inspected, Inspector

MIB = 1024 * 1024
SIZE = 8 * MIB
QEMU_NAMES = {"vhd": "vpc", "ploop": "parallels"}
FORMATS = sorted({*PLAIN, *READERS})
REAL = [
    ("raw", ""),
    ("qcow2", ""),
    ("qcow2", "compat=0.10"),
    ("qcow2", "cluster_size=512"),
    ("qcow2", "extended_l2=on,cluster_size=131072"),
    ("qcow2", "compression_type=zstd"),
    ("qcow2", "lazy_refcounts=on"),
    ("vmdk", ""),
    ("vmdk", "subformat=streamOptimized"),
    ("vdi", ""),
    ("vdi", "static=on"),
    ("vhd", "force_size=on"),
    ("vhd", "force_size=on,subformat=fixed"),
    ("vhdx", ""),
    ("vhdx", "subformat=fixed"),
    ("ploop", ""),
]


def made(path: Path, disk_format: str, options: str = "", *more: str) -> bytes:
    name = QEMU_NAMES.get(disk_format, disk_format)
    with_options = ["-o", options] if options else []
    command = ["qemu-img", "create", "-q", "-f", name, *with_options, *more, str(path), str(SIZE)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return path.read_bytes()


def inspected(disk_format: str, content: bytes, chunk: int = 65536) -> Inspected:
    inspector = Inspector(disk_format)
    for start in range(0, len(content), chunk):
        inspector.feed(content[start : start + chunk])
    return inspector.finish()


def patched(content: bytes, *patches: tuple[int, bytes]) -> bytes:
    for offset, data in patches:
        content = content[:offset] + data + content[offset + len(data) :]
    return content


def refusal(disk_format: str, content: bytes) -> str:
    with pytest.raises(BadImage) as caught:
        inspected(disk_format, content)
    return str(caught.value)


@pytest.mark.parametrize("chunk", [4096, 100_000, MIB, 64 * MIB])
@pytest.mark.parametrize(("disk_format", "options"), REAL)
def test_an_image_of_qemu_img_is_what_it_was_made_as(tmp_path, disk_format, options, chunk):
    content = made(tmp_path / "image", disk_format, options)
    assert inspected(disk_format, content, chunk) == Inspected(disk_format, SIZE)


@pytest.mark.parametrize("disk_format", list(READERS))
def test_a_container_declared_as_anything_else_is_refused(tmp_path, disk_format):
    content = made(tmp_path / "image", disk_format)
    for declared in FORMATS:
        if declared != disk_format:
            assert f"declared as {declared}, but its content is {disk_format}" in refusal(declared, content)


@pytest.mark.parametrize("disk_format", [*READERS, "iso"])
def test_raw_bytes_declared_as_a_container_are_refused(disk_format):
    assert f"declared as {disk_format}" in refusal(disk_format, bytes(MIB))


@pytest.mark.parametrize("declared", ["raw", "iso"])
def test_a_cd_may_be_declared_raw(declared):
    hybrid = patched(bytes(MIB), (510, b"\x55\xaa"), (32768, b"\x01CD001\x01"))
    assert inspected(declared, hybrid) == Inspected(declared, MIB)


def test_kernels_and_their_disks_are_opaque():
    assert [inspected(name, b"anything") for name in ("aki", "ami", "ari")] == [
        Inspected("aki", None),
        Inspected("ami", None),
        Inspected("ari", None),
    ]


def test_a_refusal_comes_before_the_last_byte(tmp_path):
    content = made(tmp_path / "image", "qcow2")
    inspector = Inspector("raw")
    with pytest.raises(BadImage):
        inspector.feed(content + bytes(MIB))


def test_memory_is_bounded():
    inspector = Inspector("raw")
    for _ in range(64):
        inspector.feed(bytes(MIB))
    kept = [getattr(inspector, name) for name in ("_head", "_tail", "_window")]
    assert sum(map(len, kept)) <= 2 * MIB
    assert inspector.finish() == Inspected("raw", 64 * MIB)


def test_an_unknown_format_is_refused():
    with pytest.raises(BadImage, match="'floppy' are not supported"):
        Inspector("floppy")


def test_encryption_is_refused(tmp_path):
    """LUKS is not made by qemu-img here: it measures the machine first, and gives up on a busy one."""
    secret = ["--object", "secret,id=key,data=secret"]
    content = made(tmp_path / "image", "qcow2", "encrypt.format=aes,encrypt.key-secret=key", *secret)
    assert "encrypted" in refusal("qcow2", content)
    assert "encrypted" in refusal("qcow2", patched(content, (32, struct.pack(">I", 2))))
    for declared in FORMATS:
        assert "LUKS" in refusal(declared, b"LUKS\xba\xbe\x00\x02" + bytes(MIB))


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk"])
def test_a_backing_file_is_refused(tmp_path, disk_format):
    made(tmp_path / "base", disk_format)
    content = made(tmp_path / "image", disk_format, "", "-b", str(tmp_path / "base"), "-F", disk_format)
    assert "flatten it" in refusal(disk_format, content)


def test_an_external_data_file_is_refused(tmp_path):
    content = made(tmp_path / "image", "qcow2", f"data_file={tmp_path / 'data'}")
    assert "another file" in refusal("qcow2", content)


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ((4, struct.pack(">I", 1)), "version 1"),
        ((72, struct.pack(">Q", 1 << 40)), "0x10000000000"),
        ((72, struct.pack(">Q", 2)), "corrupt"),
        ((20, struct.pack(">I", 60)), "cluster size"),
        ((24, struct.pack(">Q", 2**64 - 1)), "virtual size"),
        ((16, struct.pack(">I", 5)), "backing file"),
    ],
)
def test_a_qcow2_header_that_cannot_be_honoured_is_refused(tmp_path, patch, said):
    content = made(tmp_path / "image", "qcow2")
    assert said in refusal("qcow2", patched(content, patch))


@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_a_vmdk_with_extents_elsewhere_is_refused(tmp_path, subformat):
    content = made(tmp_path / "image", "vmdk", f"subformat={subformat}")
    assert "single-file" in refusal("vmdk", content)
    assert "content is vmdk" in refusal("raw", content)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'SPARSE "image"', b'SPARSE "/dev/a"', "extents outside"),
        (b"RW 16384 SPARSE", b"RW 16384 FLAT", "extents outside"),
        (b"# The Disk Data Base", b'RW 1 FLAT "/etc/shadow" 0\n#', "extents outside"),
        (b"monolithicSparse", b"monolithicFlat", "VMDK type"),
        (b"# The Disk Data Base", b'createType="custom"\n#', "VMDK type"),
        (b"# The Disk Data Base", b'parentFileNameHint="x"\n#', "parent"),
        (b"parentCID=ffffffff", b"parentCID=00000001", "parent"),
    ],
)
def test_a_vmdk_descriptor_that_points_outside_is_refused(tmp_path, old, new, said):
    content = made(tmp_path / "image", "vmdk")
    assert old in content
    start = content.index(b"# Disk DescriptorFile")
    text = content[start : start + 2048].replace(old, new)[:2048]
    assert said in refusal("vmdk", patched(content, (start, text)))


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ((12, bytes(8)), "no capacity"),
        ((28, struct.pack("<Q", 1 << 30)), "not near the start"),
        ((28, bytes(8)), "not near the start"),
        ((56, b"\xff" * 8), "footer differs"),
    ],
)
def test_a_vmdk_header_that_misleads_is_refused(tmp_path, patch, said):
    content = made(tmp_path / "image", "vmdk")
    assert said in refusal("vmdk", patched(content, patch))


def test_differences_to_a_parent_are_refused(tmp_path):
    vdi = made(tmp_path / "vdi", "vdi")
    assert "parent" in refusal("vdi", patched(vdi, (0x4C, struct.pack("<I", 4))))
    assert "parent" in refusal("vdi", patched(vdi, (0x1B8, b"\x01")))
    vhd = made(tmp_path / "vhd", "vhd")
    for at in (60, len(vhd) - 512 + 60):
        assert "parent" in refusal("vhd", patched(vhd, (at, struct.pack(">I", 4))))
    vhdx = made(tmp_path / "vhdx", "vhdx")
    parameters = vhdx.index(bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b"))
    metadata = vhdx.index(b"metadata")
    at = metadata + struct.unpack_from("<I", vhdx, parameters + 16)[0] + 4
    assert "parent" in refusal("vhdx", patched(vhdx, (at, struct.pack("<I", 2))))


@pytest.mark.parametrize(
    ("patch", "said"),
    [((64 * 1024 + 48, b"\x01"), "closed cleanly"), ((192 * 1024 + 100, b"\x01"), "region tables differ")],
)
def test_a_vhdx_that_would_change_when_opened_is_refused(tmp_path, patch, said):
    content = made(tmp_path / "image", "vhdx")
    assert content[64 * 1024 :].startswith(b"head")
    assert said in refusal("vhdx", patched(content, patch))


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> dict[str, bytes]:
    place = tmp_path_factory.mktemp("samples")
    return {name: made(place / name, name) for name in READERS}


def survives(disk_format: str, chunks: Iterable[bytes]) -> None:
    inspector = Inspector(disk_format)
    with contextlib.suppress(BadImage):
        for chunk in chunks:
            inspector.feed(chunk)
        assert inspector.finish().format == disk_format


MAGICS = st.sampled_from([bytes(offset) + magic for _, offset, magic in SIGNATURES])


@given(
    disk_format=st.sampled_from(FORMATS),
    chunks=st.lists(st.binary(max_size=600), max_size=6),
    magic=MAGICS | st.just(b""),
)
def test_no_bytes_do_worse_than_being_refused(disk_format, chunks, magic):
    survives(disk_format, [magic, *chunks])


@given(
    disk_format=st.sampled_from(sorted(READERS)),
    length=st.integers(0, 3 * MIB),
    patches=st.lists(st.tuples(st.integers(0, 1024), st.binary(max_size=8)), max_size=5),
    near=st.sampled_from([0, 65536, 192 * 1024, 256 * 1024, 2 * MIB, 2 * MIB + 65536]),
)
def test_no_damage_to_an_image_does_worse_than_having_it_refused(samples, disk_format, length, patches, near):
    content = bytearray(samples[disk_format][:length])
    for offset, data in patches:
        content[near + offset : near + offset + len(data)] = data
    survives(disk_format, [bytes(content)])
