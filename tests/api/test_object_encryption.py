"""Bytes encrypted at rest: clients notice nothing, and the disks have nothing to tell."""

import base64
import hashlib
import json
import os

import pytest

from maldon.kernel.settings import BadSetting
from maldon.objectstore.middleware.keys import EncryptionSettings, Keys
from tests.object_cloud import object_store
from tests.object_cluster import object_cluster


def secret(name: str, byte: int) -> str:
    return f"{name}:{base64.b64encode(bytes([byte]) * 32).decode()}"


ONE, TWO = secret("k1", 1), secret("k2", 2)
SECRET = EncryptionSettings(root_secrets=(ONE,))
SMALL = b"plain text that is looked for" * 10
LARGE = b"a long text that is looked for, too; " * 40_000


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def at_rest(home) -> bytes:
    """Every byte of every file: segments, large files, indexes, books and their logs."""
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


@pytest.fixture
async def store(tmp_path):
    async with object_store(tmp_path, SECRET) as made:
        await made("PUT", "c")
        yield made


@pytest.mark.parametrize("chunked", [False, True])
async def test_nothing_a_client_sends_is_found_on_the_disks(store, tmp_path, chunked):
    as_sent = {"Content_Length": None, "Transfer_Encoding": "chunked"} if chunked else {}
    for name, body in (("small", SMALL), ("large", LARGE), ("empty", b"")):
        put = await store("PUT", f"c/{name}", body, X_Object_Meta_Secret=f"told with {name}", **as_sent)
        assert (put.status, put.headers["etag"]) == (201, md5(body))
        got = await store("GET", f"c/{name}")
        assert (got.status, got.body, got.headers["etag"]) == (200, body, md5(body))
        assert (got.headers["content-length"], got.headers["x-object-meta-secret"]) == (
            str(len(body)), f"told with {name}",
        )  # fmt: skip
        head = await store("HEAD", f"c/{name}")
        assert (head.headers["etag"], head.headers["content-length"]) == (md5(body), str(len(body)))
        assert not any("crypto" in header for header in (*got.headers, *head.headers))
    await store("POST", "c/large", X_Object_Meta_Secret="told afterwards", X_Object_Meta_Nothing="")
    assert (await store("HEAD", "c/large")).headers["x-object-meta-secret"] == "told afterwards"
    assert (await store("HEAD", "c/large")).headers["x-object-meta-nothing"] == ""
    rows = {row["name"]: row["hash"] for row in (await store("GET", "c", query="format=json")).json}
    assert rows == {"small": md5(SMALL), "large": md5(LARGE), "empty": md5(b"")}
    kept = at_rest(tmp_path)
    assert b"large" in kept  # names are not hidden, so this is where the rest would be
    for plain in (b"looked for", b"told with", b"told afterwards", md5(SMALL).encode(), md5(LARGE).encode()):
        assert plain not in kept


async def test_conditions_speak_of_the_plain_bytes(store):
    for name, body in (("small", SMALL), ("large", LARGE)):
        path, etag, other = f"c/{name}", md5(body), md5(b"other")
        await store("PUT", path, body)
        for header, status in (
            ({"If_None_Match": etag}, 304), ({"If_None_Match": f'"{etag}"'}, 304), ({"If_None_Match": other}, 200),
            ({"If_Match": etag}, 200), ({"If_Match": other}, 412), ({"If_None_Match": "*"}, 304),
            ({"If_Match": etag, "Range": "bytes=1-5"}, 206), ({"If_Range": other, "Range": "bytes=1-5"}, 200),
            ({"If_Range": etag, "Range": "bytes=1-5"}, 206),
        ):  # fmt: skip
            got = await store("GET", path, **header)
            wanted = {304: b"", 200: body, 206: body[1:6]}.get(status, got.body)
            assert (got.status, got.body) == (status, wanted), (name, header)
            assert got.headers["etag"].strip('"') == etag


@pytest.mark.parametrize(
    ("wanted", "first", "stop"),
    [("17-40", 17, 41), ("0-0", 0, 1), ("-33", -33, None), ("100001-1300000", 100001, 1300001), ("16-", 16, None)],
)
async def test_a_range_is_decrypted_from_where_it_begins(store, wanted, first, stop):
    await store("PUT", "c/o", LARGE)
    got = await store("GET", "c/o", Range=f"bytes={wanted}")
    assert (got.status, got.body) == (206, LARGE[first:stop])
    assert got.headers["etag"] == md5(LARGE)


async def test_several_ranges(store):
    await store("PUT", "c/o", SMALL)
    got = await store("GET", "c/o", Range="bytes=3-20,50-60")
    assert got.status == 206
    assert SMALL[3:21] in got.body
    assert SMALL[50:61] in got.body
    beyond = await store("GET", "c/o", Range="bytes=100000-")
    assert (beyond.status, beyond.headers["etag"]) == (416, md5(SMALL))


@pytest.mark.parametrize("body", [SMALL, LARGE])
async def test_a_wrong_etag_leaves_nothing(store, body):
    assert (await store("PUT", "c/o", body, ETag=md5(b"other"))).status == 422
    assert (await store("GET", "c/o")).status == 404
    assert (await store("PUT", "c/o", body, ETag=md5(body))).status == 201


async def test_a_copy_has_a_key_of_its_own(store, tmp_path):
    await store("PUT", "d")
    await store("PUT", "c/o", LARGE, X_Object_Meta_Colour="blue")
    assert (await store("COPY", "c/o", Destination="d/p")).status == 201
    got = await store("GET", "d/p")
    assert (got.body, got.headers["etag"], got.headers["x-object-meta-colour"]) == (LARGE, md5(LARGE), "blue")
    (row,) = (await store("GET", "d", query="format=json")).json
    assert row["hash"] == md5(LARGE)
    bodies = [path.read_bytes() for path in tmp_path.rglob("large/*/*") if path.is_file()]
    assert len(bodies) == 2
    assert bodies[0][: len(LARGE)] != bodies[1][: len(LARGE)]


async def test_what_is_made_of_segments_is_read_as_one(store, tmp_path):
    await store("PUT", "c/1", LARGE)
    await store("PUT", "c/2", SMALL)
    manifest = [{"path": "/c/1", "etag": md5(LARGE)}, {"path": "/c/2", "etag": md5(SMALL)}]
    put = await store("PUT", "c/all", json.dumps(manifest).encode(), "multipart-manifest=put")
    assert put.status == 201
    got = await store("GET", "c/all")
    assert (got.body, got.headers["etag"]) == (LARGE + SMALL, put.headers["etag"])
    part = await store("GET", "c/all", Range=f"bytes={len(LARGE) - 7}-{len(LARGE) + 7}")
    assert part.body == LARGE[-7:] + SMALL[:8]
    rows = {row["name"]: row for row in (await store("GET", "c", query="format=json")).json}
    assert rows["all"]["slo_etag"] == put.headers["etag"]
    assert (await store("COPY", "c/all", query="multipart-manifest=get", Destination="c/again")).status == 201
    assert (await store("GET", "c/again")).body == LARGE + SMALL
    assert b"looked for" not in at_rest(tmp_path)


async def test_a_new_secret_encrypts_and_old_ones_still_decrypt(tmp_path):
    async with object_store(tmp_path, SECRET) as store:
        await store("PUT", "c")
        await store("PUT", "c/old", SMALL, X_Object_Meta_A="1")
    listed = tmp_path / "secrets"
    listed.write_text(f"# kept in a safe\n{TWO}\n")
    both = EncryptionSettings(root_secrets=(ONE,), root_secrets_file=str(listed), active_root_secret_id="k2")
    async with object_store(tmp_path, both) as store:
        await store("PUT", "c/new", LARGE)
        await store("POST", "c/old", X_Object_Meta_A="2")
        for name, body in (("old", SMALL), ("new", LARGE)):
            assert (await store("GET", f"c/{name}")).body == body
    async with object_store(tmp_path, EncryptionSettings(root_secrets=(TWO,))) as store:
        assert (await store("GET", "c/new")).body == LARGE
        assert (await store("GET", "c/old")).status == 500
        rows = {row["name"]: row["hash"] for row in (await store("GET", "c", query="format=json")).json}
        assert rows == {"new": md5(LARGE), "old": "<unknown>"}


async def test_encryption_switched_off_writes_in_the_clear_and_reads_everything(tmp_path):
    async with object_store(tmp_path, SECRET) as store:
        await store("PUT", "c")
        await store("PUT", "c/old", SMALL, X_Object_Meta_A="sealed")
    off = EncryptionSettings(root_secrets=(ONE,), disable_encryption=True)
    async with object_store(tmp_path, off) as store:
        await store("PUT", "c/new", LARGE, X_Object_Meta_A="open")
        for name, body, said in (("old", SMALL, "sealed"), ("new", LARGE, "open")):
            got = await store("GET", f"c/{name}", If_Match=md5(body))
            assert (got.status, got.body, got.headers["x-object-meta-a"]) == (200, body, said)
        await store("POST", "c/old", X_Object_Meta_A="in the clear")
        assert (await store("GET", "c/old")).headers["x-object-meta-a"] == "in the clear"
    assert b"looked for, too" in at_rest(tmp_path)
    async with object_store(tmp_path, SECRET) as store:
        await store("POST", "c/new", X_Object_Meta_A="sealed again")
        got = await store("GET", "c/new", Range="bytes=5-9")
        assert (got.body, got.headers["x-object-meta-a"]) == (LARGE[5:10], "sealed again")
    assert b"sealed again" not in at_rest(tmp_path)


async def test_nodes_away_get_the_etag_with_the_bytes(tmp_path):
    async with object_cluster(tmp_path, 3, 3, options=(SECRET,)) as nodes:
        asker = nodes[0].asker()
        assert (await asker("PUT", "c")).status == 201
        body = os.urandom(700_001)
        assert (await asker("PUT", "c/o", body, X_Object_Meta_A="told")).headers["etag"] == md5(body)
        for node in nodes:
            got = await node.asker()("GET", "c/o")
            assert (got.body, got.headers["etag"], got.headers["x-object-meta-a"]) == (body, md5(body), "told")
            (row,) = (await node.asker()("GET", "c", query="format=json")).json
            assert row["hash"] == md5(body)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (EncryptionSettings(root_secrets=("k:c2hvcnQ=",)), "at least 32 bytes"),
        (EncryptionSettings(root_secrets=(ONE,), active_root_secret_id="k9"), "none of the root secrets"),
        (EncryptionSettings(root_secrets_file="/nowhere/secrets"), "cannot be read"),
    ],
)
def test_bad_settings(settings, said):
    with pytest.raises(BadSetting, match=said):
        Keys(settings)
