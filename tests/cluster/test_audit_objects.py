"""Damage on one disk: the auditor sets it aside, and in the next round of the others everything is there again."""

import os

import pytest

from maldon.objectstore.daemons.audit_objects import AuditObjects
from maldon.objectstore.device.quarantine import listed
from tests.cluster.test_replicate_objects import LARGE, content, disk, round_of, same, settle
from tests.object_cluster import object_cluster

SMALL = [f"small-{n}" for n in range(12)]
GONE = [f"gone-{n}" for n in range(3)]


@pytest.fixture
async def nodes(tmp_path):
    async with object_cluster(tmp_path) as made:
        asker = made[0].asker()
        await asker("PUT", "c")
        for name in (*SMALL, *GONE):
            assert (await asker("PUT", f"c/{name}", name.encode() * 100)).status == 201
        for name in ("large-1", "large-2"):
            assert (await asker("PUT", f"c/{name}", LARGE)).status == 201
        for name in ("small-3", "large-1"):
            assert (await asker("POST", f"c/{name}", X_Object_Meta_Tint="red")).status == 202
        for name in GONE:
            assert (await asker("DELETE", f"c/{name}")).status == 204
        yield made


def files(root, folder):
    found = [one for one in (root / folder).rglob("*") if one.is_file() and one.stat().st_size]
    return sorted(found, key=lambda one: one.stat().st_size)


def overwrite(file, at, content):
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


def segment_headers(root):
    """Every record's header of every segment."""
    for file in files(root, "segments"):
        magic, content = file.read_bytes()[:8], file.read_bytes()
        at = content.find(magic)
        while at >= 0:
            overwrite(file, at, b"\xff" * 8)
            at = content.find(magic, at + 1)


def first_page(root):
    for file in files(root, "segments"):
        overwrite(file, 0, os.urandom(4096))


def truncated_segments(root):
    for file in files(root, "segments"):
        os.truncate(file, file.stat().st_size // 3)


def emptied_segments(root):
    for file in files(root, "segments"):
        os.truncate(file, 0)


def tombstones(root):
    """The last records are those of the deletions."""
    file = files(root, "segments")[-1]
    size = file.stat().st_size
    overwrite(file, size - 300, b"\0" * 300)


def flipped_large(root):
    file = files(root, "large")[0]
    overwrite(file, 1_500_000, bytes([file.read_bytes()[1_500_000] ^ 1]))


def truncated_large(root):
    os.truncate(files(root, "large")[0], 1 << 20)


def lost_large(root):
    files(root, "large")[0].unlink()


DAMAGES = [
    segment_headers, first_page, truncated_segments, emptied_segments, tombstones, flipped_large, truncated_large,
    lost_large,
]  # fmt: skip


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
async def test_what_was_set_aside_is_brought_back_within_a_pass(nodes, damage, restarted):
    before = await same(nodes)
    wanted = {name: await content(nodes[1], name) for name in (*SMALL, "large-1", "large-2")}
    root = disk(nodes[0]).root
    if restarted:
        await nodes[0].stop()
    damage(root)
    if restarted:
        await nodes[0].start()
    bad = await AuditObjects({"disk-1": disk(nodes[0])}).once()
    assert bad > 0
    assert len({one.hash for one in listed(root)}) == bad
    assert await round_of(nodes[1]) == bad
    assert await settle(nodes) == 0
    assert await same(nodes) == before
    assert {name: await content(nodes[0], name) for name in wanted} == wanted
    assert await AuditObjects({"disk-1": disk(nodes[0])}).once() == 0
    asker = nodes[0].asker()
    assert [(await asker("GET", f"c/{name}")).status for name in (*SMALL, *GONE)] == [200] * 12 + [404] * 3
    assert (await asker("PUT", "c/new", b"after")).status == 201
    assert (await content(nodes[0], "new"))[1] == b"after"
