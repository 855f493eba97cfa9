"""Objects kept in fragments of an erasure code: clients see no difference to those kept whole."""

import asyncio
import base64
import hashlib
import json
import os
import time

import pytest

from maldon.kernel.settings import BadSetting
from maldon.objectstore.daemons.expire_objects import ExpireObjects
from maldon.objectstore.middleware.keys import EncryptionSettings
from tests.disks import lose_index
from tests.object_cloud import object_store
from tests.object_coded import coded_store

SEGMENT = 8192
SIZES = (0, 1, 3, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 300_000, 40 * SEGMENT + 7)


@pytest.fixture
async def store(tmp_path):
    async with coded_store(tmp_path) as made:
        assert (await made("PUT", "c")).status == 201
        yield made


def about(answer):
    return {n: answer.headers[n] for n in ("etag", "content-length", "content-type") if n in answer.headers}


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_put_is_got(store, size):
    data = os.urandom(size)
    etag = hashlib.md5(data).hexdigest()
    put = await store("PUT", "c/o", data, ETag=etag, Content_Type="a/b", X_Object_Meta_A="ü")
    assert (put.status, put.headers["etag"]) == (201, etag)
    got, head = await store("GET", "c/o"), await store("HEAD", "c/o")
    assert (got.status, got.body, head.status) == (200, data, 200)
    assert about(got) == about(head) == {"etag": etag, "content-length": str(size), "content-type": "a/b"}
    assert got.headers["x-object-meta-a"] == "ü"
    assert not [name for name in got.headers if "sysmeta" in name]
    (row,) = (await store("GET", "c", query="format=json")).json
    assert (row["bytes"], row["hash"], row["content_type"]) == (size, etag, "a/b")
    counted = (await store("HEAD", "c")).headers
    assert (counted["x-container-bytes-used"], counted["x-storage-policy"]) == (str(size), "coded")


@pytest.mark.parametrize("size", [0, 1, 5 * SEGMENT, 300_000, 40 * SEGMENT + 7])
async def test_ranges_are_those_of_the_bytes(store, size):
    data = os.urandom(size)
    await store("PUT", "c/o", data)
    for first, last in (
        (0, 0),
        (1, 10),
        (SEGMENT - 1, SEGMENT),
        (SEGMENT, 2 * SEGMENT - 1),
        (max(size - 1, 0), size + 5),
    ):
        got = await store("GET", "c/o", Range=f"bytes={first}-{last}")
        if first >= size:
            assert (got.status, got.headers.get("content-range")) == (416, f"bytes */{size}")
        else:
            assert (got.status, got.body) == (206, data[first : last + 1])
            assert got.headers["content-range"] == f"bytes {first}-{min(last, size - 1)}/{size}"
    if size > SEGMENT:
        assert (await store("GET", "c/o", Range="bytes=-9000")).body == data[-9000:]
        several = await store("GET", "c/o", Range=f"bytes=0-1,{size - 3}-")
        assert several.status == 206
        assert all(f"bytes {span}/{size}".encode() in several.body for span in ("0-1", f"{size - 3}-{size - 1}"))


async def test_conditions_are_on_the_bytes(store):
    data = os.urandom(50_000)
    etag = hashlib.md5(data).hexdigest()
    assert (await store("PUT", "c/o", data, If_None_Match="*")).status == 201
    assert (await store("PUT", "c/o", data, If_None_Match="*")).status == 412
    for method in ("GET", "HEAD"):
        assert (await store(method, "c/o", If_None_Match=etag)).status == 304
        assert (await store(method, "c/o", If_Match=f'"{etag}"')).status == 200
        assert (await store(method, "c/o", If_Match="other")).status == 412
    modified = (await store("HEAD", "c/o")).headers["last-modified"]
    assert (await store("GET", "c/o", If_Modified_Since=modified)).status == 304
    assert (await store("GET", "c/o", Range="bytes=1-2", If_Range=etag)).body == data[1:3]
    assert (await store("GET", "c/o", Range="bytes=1-2", If_Range="other")).body == data


@pytest.mark.parametrize("size", [10, 300_000])
async def test_what_is_not_what_was_announced_is_not_there(store, size):
    data = os.urandom(size)
    assert (await store("PUT", "c/o", data, ETag="0" * 32)).status == 422
    assert (await store("PUT", "c/o", data[:-1], Content_Length=size)).status == 400
    assert [(await store(method, "c/o")).status for method in ("GET", "HEAD", "POST", "DELETE")] == [404] * 4
    assert (await store("GET", "c")).body == b""
    assert (await store("PUT", "c/o", data)).status == 201
    assert (await store("PUT", "c/o", data + b"2", ETag="0" * 32)).status == 422
    assert (await store("GET", "c/o")).body == data


@pytest.mark.parametrize("size", [10, 300_000])
async def test_metadata_is_replaced_and_bytes_stay(store, size):
    data = os.urandom(size)
    await store("PUT", "c/o", data, Content_Type="a/b", X_Object_Meta_A="1")
    assert (await store("POST", "c/o", X_Object_Meta_B="2", X_Delete_After="1000")).status == 202
    got = await store("GET", "c/o")
    assert (got.body, got.headers["content-type"], got.headers["x-object-meta-b"]) == (data, "a/b", "2")
    assert "x-object-meta-a" not in got.headers
    assert "x-delete-at" in got.headers
    assert (await store("PUT", "c/o", b"new")).status == 201
    assert (await store("GET", "c/o")).body == b"new"
    assert [(await store("DELETE", "c/o")).status for _ in range(2)] == [204, 404]
    assert (await store("GET", "c/o")).status == 404
    assert (await store("GET", "c")).body == b""
    assert (await store("HEAD", "c")).headers["x-container-bytes-used"] == "0"
    assert (await store("DELETE", "c")).status == 204


async def test_copies_go_between_policies(store):
    data = os.urandom(300_000)
    await store("PUT", "w", X_Storage_Policy="whole")
    await store("PUT", "c/o", data, X_Object_Meta_A="1")
    assert (await store("COPY", "c/o", Destination="w/o")).status == 201
    assert (await store("PUT", "c/back", X_Copy_From="/w/o")).status == 201
    for name in ("w/o", "c/back"):
        got = await store("GET", name)
        assert (got.body, got.headers["x-object-meta-a"]) == (data, "1")
        assert got.headers["etag"] == hashlib.md5(data).hexdigest()
    assert (await store("PUT", "c", X_Storage_Policy="whole")).status == 409


async def test_large_objects_are_made_of_coded_segments(store):
    parts = [os.urandom(n) for n in (100_000, 3, 30_000)]
    for n, part in enumerate(parts):
        await store("PUT", f"c/p/{n}", part)
    manifest = [
        {"path": f"/c/p/{n}", "etag": hashlib.md5(part).hexdigest(), "size_bytes": len(part)}
        for n, part in enumerate(parts)
    ]
    put = await store("PUT", "c/slo", json.dumps(manifest).encode(), query="multipart-manifest=put")
    assert put.status == 201
    await store("PUT", "c/dlo", X_Object_Manifest="c/p/")
    whole = b"".join(parts)
    for name in ("slo", "dlo"):
        assert (await store("GET", f"c/{name}")).body == whole
        assert (await store("GET", f"c/{name}", Range="bytes=99990-100010")).body == whole[99990:100011]


async def test_a_chunked_upload_has_its_etag_all_the_same(store):
    data = os.urandom(300_000)
    put = await store("PUT", "c/o", data, Content_Length=None, Transfer_Encoding="chunked")
    assert (put.status, put.headers["etag"]) == (201, hashlib.md5(data).hexdigest())
    assert (await store("GET", "c/o")).body == data
    assert (await store("HEAD", "c/o")).headers["content-length"] == str(len(data))


async def test_what_is_encrypted_is_coded(tmp_path):
    secret = base64.b64encode(bytes(32)).decode()
    async with coded_store(tmp_path, EncryptionSettings(root_secrets=(f"a:{secret}",))) as store:
        await store("PUT", "c")
        for size in (10, 300_000):
            data = os.urandom(size)
            etag = hashlib.md5(data).hexdigest()
            assert (await store("PUT", "c/o", data, X_Object_Meta_A="1")).headers["etag"] == etag
            got = await store("GET", "c/o")
            assert (got.body, got.headers["etag"], got.headers["x-object-meta-a"]) == (data, etag, "1")
            assert (await store("GET", "c/o", Range="bytes=3-7")).body == data[3:8]
            (row,) = (await store("GET", "c", query="format=json")).json
            assert (row["bytes"], row["hash"]) == (size, etag)


async def test_a_store_says_what_is_missing(tmp_path):
    coded = {"policies": ("0:gold:ec=isa_l_rs_vand/4+2",)}
    with pytest.raises(BadSetting, match="wants a ring object with 6 replicas, and there is one with 1"):
        async with object_store(tmp_path, **coded):
            pass


async def test_an_object_ends_when_it_said(tmp_path):
    async with coded_store(tmp_path) as store:
        await store("PUT", "c")
        assert (await store("PUT", "c/o", os.urandom(100_000), X_Delete_After="1")).status == 201
        end = (await store("HEAD", "c/o")).headers["x-delete-at"]
        assert (await store("DELETE", "c/o", X_If_Delete_At="1")).status == 412
        devices = store.proxy.store.placing.nodes.own.devices
        expirer = ExpireObjects(devices, store.proxy.store.placing, lambda: int(end) + 1)
        while int(end) > time.time():
            await asyncio.sleep(0.1)
        assert [(await store(method, "c/o")).status for method in ("GET", "HEAD")] == [404, 404]
        assert await expirer.once() == 1
        assert (await store("GET", "c")).body == b""


async def test_a_version_that_was_replaced_can_be_had_again(tmp_path):
    async with coded_store(tmp_path) as store:
        await store("PUT", "old")
        await store("PUT", "c", X_Versions_Location="old")
        for body in (b"one", os.urandom(100_000), b"three"):
            assert (await store("PUT", "c/o", body)).status == 201
        assert (await store("DELETE", "c/o")).status == 204
        assert len((await store("GET", "c/o")).body) == 100_000
        assert (await store("DELETE", "c/o")).status == 204
        assert (await store("GET", "c/o")).body == b"one"


async def test_the_log_gives_back_what_an_index_lost(tmp_path):
    data = os.urandom(50_000)
    async with coded_store(tmp_path) as store:
        await store("PUT", "c")
        await store("PUT", "c/o", b"old")
        await store("PUT", "c/o", data)
    for number in range(1, 7):
        lose_index(tmp_path / "objects" / f"disk-{number}")
    async with coded_store(tmp_path) as store:
        assert (await store("GET", "c/o")).body == data
        assert (await store("GET", "c")).body == b"o\n"
