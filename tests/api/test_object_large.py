"""Large objects: manifests that list segments (slo), and those that name a prefix (dlo)."""

import hashlib
import html
import json

import pytest

from tests.object_cloud import object_store

PARTS = {"one": b"a" * 300, "two": b"b" * 200, "three": b"c" * 100}
WHOLE = b"".join(PARTS.values())


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
async def store(tmp_path):
    async with object_store(tmp_path) as made:
        for container in ("c", "seg"):
            assert (await made("PUT", container)).status == 201
        for name, content in PARTS.items():
            assert (await made("PUT", f"seg/{name}", content)).status == 201
        yield made


async def put_slo(store, rows, path="c/large", query="multipart-manifest=put", **headers):
    return await store("PUT", path, json.dumps(rows).encode(), query, **headers)


def row(name: str, **more):
    return {"path": f"/seg/{name}", "etag": md5(PARTS[name]), "size_bytes": len(PARTS[name]), **more}


ROWS = [row("one"), row("two"), row("three")]
SLO_ETAG = md5("".join(md5(part) for part in PARTS.values()).encode())


async def test_a_static_large_object_is_its_segments_one_after_another(store):
    put = await put_slo(store, ROWS, Content_Type="text/x")
    assert (put.status, put.headers["etag"]) == (201, f'"{SLO_ETAG}"')
    got = await store("GET", "c/large")
    assert (got.status, got.body, got.headers["etag"]) == (200, WHOLE, f'"{SLO_ETAG}"')
    assert (got.headers["content-length"], got.headers["content-type"]) == ("600", "text/x")
    head = await store("HEAD", "c/large")
    assert (head.status, head.headers["content-length"]) == (200, "600")
    assert head.headers["x-static-large-object"] == "True"
    assert head.headers["x-manifest-etag"] == got.headers["x-manifest-etag"]
    assert not any("sysmeta" in name for name in head.headers)


@pytest.mark.parametrize(
    ("wanted", "body", "content_range"),
    [
        ("bytes=290-309", b"a" * 10 + b"b" * 10, "bytes 290-309/600"),
        ("bytes=-50", b"c" * 50, "bytes 550-599/600"),
        ("bytes=0-599", WHOLE, "bytes 0-599/600"),
    ],
)
async def test_ranges_are_of_the_whole(store, wanted, body, content_range):
    await put_slo(store, ROWS)
    got = await store("GET", "c/large", Range=wanted)
    assert (got.status, got.body, got.headers["content-range"]) == (206, body, content_range)


async def test_conditions_are_of_the_whole(store):
    await put_slo(store, ROWS)
    assert (await store("GET", "c/large", If_None_Match=f'"{SLO_ETAG}"')).status == 304
    assert (await store("GET", "c/large", If_Match='"other"')).status == 412
    assert (await store("GET", "c/large", If_Match=SLO_ETAG)).body == WHOLE
    assert (await store("GET", "c/large", Range="bytes=600-")).status == 416


async def test_a_part_is_read_by_its_number(store):
    await put_slo(store, ROWS)
    got = await store("GET", "c/large", query="part-number=2")
    assert (got.status, got.body, got.headers["x-parts-count"]) == (206, PARTS["two"], "3")
    assert got.headers["content-range"] == "bytes 300-499/600"
    head = await store("HEAD", "c/large", query="part-number=3")
    assert (head.status, head.headers["content-length"]) == (206, "100")
    assert (await store("GET", "c/large", query="part-number=4")).status == 416
    assert (await store("GET", "c/large", query="part-number=0")).status == 400


async def test_segments_may_be_ranges_manifests_and_bytes(store):
    await put_slo(store, [row("one", range="0-9"), row("two")], "c/inner")
    etag = (await store("HEAD", "c/inner")).headers["etag"].strip('"')
    rows = [{"path": "c/inner", "etag": etag}, {"data": "aGVsbG8="}, {"path": "/seg/three", "range": "-5"}]
    assert (await put_slo(store, rows, "c/outer")).status == 201
    body = b"a" * 10 + PARTS["two"] + b"hello" + b"c" * 5
    assert (await store("GET", "c/outer")).body == body
    assert (await store("GET", "c/outer", Range="bytes=205-217")).body == body[205:218]


async def test_the_manifest_is_shown_as_it_is_kept_and_as_it_was_put(store):
    await put_slo(store, ROWS)
    kept = await store("GET", "c/large", query="multipart-manifest=get")
    assert kept.headers["content-type"] == "application/json; charset=utf-8"
    assert [(one["name"], one["bytes"], one["hash"]) for one in kept.json] == [
        (f"/seg/{name}", len(part), md5(part)) for name, part in PARTS.items()
    ]
    assert (await store("GET", "c/large", query="multipart-manifest=get&format=raw")).json == ROWS


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("one") | {"etag": "0" * 32}], "/seg/one, Etag Mismatch"),
        ([row("one") | {"size_bytes": 1}], "/seg/one, Size Mismatch"),
        ([{"path": "/seg/none"}], "/seg/none, 404 Not Found"),
        ([row("one", range="400-500")], "/seg/one, Unsatisfiable Range"),
        ({"a": 1}, "Manifest must be a list."),
        ([{"path": "/seg"}], "Index 0: path does not refer to an object"),
        ([row("one", colour=1)], "Index 0: extraneous keys 'colour'"),
        ([{"data": "aGVsbG8="}], "at least one object-backed segment"),
        ([{"data": "!"}], "Index 0: data must be valid base64"),
        ([row("one")] * 1001, "Number of segments must be <= 1000"),
    ],
)
async def test_a_manifest_that_is_not_true_is_refused(store, rows, said):
    put = await put_slo(store, rows)
    assert put.status == 400
    assert said in html.unescape(put.body.decode())
    assert (await store("HEAD", "c/large")).status == 404


async def test_a_segment_that_changed_makes_the_whole_unreadable(store):
    await put_slo(store, ROWS)
    await store("PUT", "seg/one", b"x" * 300)
    assert (await store("GET", "c/large")).status == 409
    assert (await store("GET", "c/large", Range="bytes=300-309")).body == b"b" * 10


async def test_the_listing_shows_the_size_of_the_whole(store):
    await put_slo(store, ROWS)
    (listed,) = (await store("GET", "c", query="format=json")).json
    assert (listed["bytes"], listed["slo_etag"]) == (600, f'"{SLO_ETAG}"')
    assert listed["hash"] == (await store("HEAD", "c/large")).headers["x-manifest-etag"]


async def test_a_manifest_is_deleted_with_its_segments(store):
    await put_slo(store, ROWS)
    done = await store("DELETE", "c/large", query="multipart-manifest=delete", Accept="application/json")
    assert (done.status, done.json["Number Deleted"], done.json["Errors"]) == (200, 4, [])
    assert (await store("GET", "seg")).body == b""
    assert (await store("GET", "c")).body == b""


async def test_a_beating_put_tells_its_outcome_in_the_body(store):
    put = await put_slo(store, ROWS, query="multipart-manifest=put&heartbeat=on", Accept="application/json")
    assert (put.status, put.json["Response Status"], put.json["Etag"]) == (202, "201 Created", f'"{SLO_ETAG}"')
    bad = await put_slo(store, [{"path": "/seg/none"}], "c/bad", "multipart-manifest=put&heartbeat=on")
    assert b"Response Status: 400 Bad Request" in bad.body
    assert b"/seg/none, 404 Not Found" in bad.body


async def test_a_dynamic_large_object_is_what_its_prefix_lists(store):
    for n, part in enumerate(PARTS.values()):
        await store("PUT", f"seg/p/{n}", part)
    assert (await store("PUT", "c/dyn", X_Object_Manifest="seg/p/", Content_Type="text/x")).status == 201
    got = await store("GET", "c/dyn")
    assert (got.status, got.body, got.headers["etag"]) == (200, WHOLE, f'"{SLO_ETAG}"')
    assert (got.headers["content-length"], got.headers["x-object-manifest"]) == ("600", "seg/p/")
    assert (await store("GET", "c/dyn", Range="bytes=299-300")).body == b"ab"
    assert (await store("GET", "c/dyn", If_None_Match=SLO_ETAG)).status == 304
    assert (await store("HEAD", "c/dyn")).headers["content-length"] == "600"
    await store("PUT", "seg/p/3", b"more")
    assert (await store("GET", "c/dyn")).body == WHOLE + b"more"
    assert (await store("GET", "c/dyn", query="multipart-manifest=get")).body == b""
    assert (await store("PUT", "c/bad", X_Object_Manifest="seg")).status == 400


async def test_a_dynamic_object_longer_than_a_page_comes_in_chunks(tmp_path):
    async with object_store(tmp_path, container_listing_limit=3) as store:
        await store("PUT", "c")
        for n in range(8):
            await store("PUT", f"c/s/{n}", bytes([n]) * 10)
        await store("PUT", "c/dyn", X_Object_Manifest="c/s/")
        got = await store("GET", "c/dyn")
        assert got.body == b"".join(bytes([n]) * 10 for n in range(8))
        assert "content-length" not in got.headers
