"""Objects through the proxy: bytes and metadata come back as they were put."""

import base64
import hashlib
import time
from dataclasses import replace

import pytest

from maldon.objectstore.middleware.encryption import EncryptionSettings
from maldon.objectstore.proxy.app import Proxy
from maldon.objectstore.service import ObjectSettings
from tests.object_cloud import object_store

BODY = bytes(range(256)) * 16
ETAG = hashlib.md5(BODY).hexdigest()
SECRET = EncryptionSettings(root_secrets=(f"k1:{base64.b64encode(bytes(range(32))).decode()}",))


@pytest.fixture
async def store(tmp_path):
    async with object_store(tmp_path) as made:
        assert (await made("PUT", "c")).status == 201
        yield made


def told(answer, *but):
    """The headers that say something of the thing."""
    return {n: v for n, v in answer.headers.items() if n not in {"x-trans-id", "x-openstack-request-id", *but}}


async def test_what_was_put_comes_back(store):
    put = await store("PUT", "c/a b/ü%", BODY, Content_Type="image/x", X_Object_Meta_Colour="blau ü", X_Junk="no")
    assert (put.status, put.body, put.headers["etag"]) == (201, b"", ETAG)
    got = await store("GET", "c/a b/ü%")
    assert (got.status, got.body) == (200, BODY)
    assert told(got, "last-modified", "x-timestamp") == {
        "content-type": "image/x",
        "content-length": "4096",
        "etag": ETAG,
        "accept-ranges": "bytes",
        "x-object-meta-colour": "blau ü",
    }
    assert got.headers["last-modified"] == put.headers["last-modified"]
    assert got.headers["x-trans-id"].startswith("tx")
    assert got.headers["x-openstack-request-id"] == got.headers["x-trans-id"]
    head = await store("HEAD", "c/a b/ü%")
    assert (head.status, head.body, told(head)) == (200, b"", told(got))


async def test_a_name_keeps_its_bytes(store):
    for path in ("c/%2F//x%2f", "c/a%00", "c/%ff"):
        answer = await store.raw("PUT", f"/v1/{store.account}/{path}", b"x")
        assert answer.status == (201 if "2F" in path else 412), path
    assert (await store("GET", "c")).body == b"///x/\n"
    assert (await store.raw("GET", f"/v1/{store.account}/c////x/")).body == b"x"


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content_range"),
    [
        ("bytes=0-9", 206, BODY[:10], "bytes 0-9/4096"),
        ("bytes=4090-", 206, BODY[4090:], "bytes 4090-4095/4096"),
        ("bytes=-6", 206, BODY[-6:], "bytes 4090-4095/4096"),
        ("bytes=-9999", 206, BODY, "bytes 0-4095/4096"),
        ("bytes=4000-9999", 206, BODY[4000:], "bytes 4000-4095/4096"),
        ("bytes=4096-", 416, None, "bytes */4096"),
        ("bytes=-0", 416, None, "bytes */4096"),
        ("bytes=9-3", 200, BODY, None),
        ("bytes=x", 200, BODY, None),
        ("lines=0-3", 200, BODY, None),
        ("bytes=", 200, BODY, None),
    ],
)
async def test_a_range(store, wanted, status, body, content_range):
    await store("PUT", "c/o", BODY)
    got = await store("GET", "c/o", Range=wanted)
    assert (got.status, got.headers.get("content-range")) == (status, content_range)
    if body is not None:
        assert got.body == body
        assert got.headers["content-length"] == str(len(body))


async def test_several_ranges(store):
    await store("PUT", "c/o", BODY, Content_Type="text/x")
    got = await store("GET", "c/o", Range="bytes=0-2,4093-,9000-")
    boundary = got.headers["content-type"].partition("boundary=")[2]
    assert got.status == 206
    assert got.body.decode("latin-1").split("\r\n") == [
        f"--{boundary}", "Content-Type: text/x", "Content-Range: bytes 0-2/4096", "", "\x00\x01\x02",
        f"--{boundary}", "Content-Type: text/x", "Content-Range: bytes 4093-4095/4096", "", "\xfd\xfe\xff",
        f"--{boundary}--",
    ]  # fmt: skip
    assert got.headers["content-length"] == str(len(got.body))


async def test_ranges_that_ask_for_the_same_again_and_again_are_refused(store):
    await store("PUT", "c/o", BODY)
    assert (await store("GET", "c/o", Range="bytes=" + ",".join(["0-"] * 5))).status == 416
    assert (await store("GET", "c/o", Range="bytes=" + ",".join(f"{n}-{n}" for n in range(0, 200, 2)))).status == 416


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("If_Match", ETAG, 200), ("If_Match", f'"{ETAG}"', 200), ("If_Match", "*", 200), ("If_Match", '"other"', 412),
        ("If_None_Match", ETAG, 304), ("If_None_Match", "*", 304), ("If_None_Match", "other", 200),
        ("If_Modified_Since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("If_Modified_Since", "Fri, 01 Jan 2100 00:00:00 GMT", 304),
        ("If_Unmodified_Since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
        ("If_Unmodified_Since", "Fri, 01 Jan 2100 00:00:00 GMT", 200),
        ("If_Modified_Since", "yesterday", 200),
    ],
)  # fmt: skip
async def test_a_condition(store, name, value, status):
    await store("PUT", "c/o", BODY)
    got = await store("GET", "c/o", **{name: value})
    assert (got.status, got.body if status != 412 else BODY) == (status, b"" if status == 304 else BODY)
    assert got.headers["etag"] == ETAG


async def test_if_range_sends_all_of_another_version(store):
    await store("PUT", "c/o", BODY)
    assert (await store("GET", "c/o", Range="bytes=0-1", If_Range=f'"{ETAG}"')).body == BODY[:2]
    assert (await store("GET", "c/o", Range="bytes=0-1", If_Range='"other"')).body == BODY


async def test_post_replaces_metadata_and_keeps_the_rest(store):
    await store("PUT", "c/o", BODY, X_Object_Meta_A="1", Content_Type="text/a", Content_Encoding="gzip")
    assert (await store("POST", "c/o", X_Object_Meta_B="2", Content_Disposition="inline")).status == 202
    got = await store("GET", "c/o")
    shown = {n: v for n, v in got.headers.items() if n.startswith(("x-object", "content-"))}
    assert got.body == BODY
    assert shown == {
        "x-object-meta-b": "2",
        "content-type": "text/a",
        "content-disposition": "inline",
        "content-length": "4096",
    }
    assert (await store("POST", "c/none", X_Object_Meta_B="2")).status == 404


async def test_delete(store):
    await store("PUT", "c/o", BODY)
    assert [(await store("DELETE", "c/o")).status for _ in range(2)] == [204, 404]
    assert [(await store(method, "c/o")).status for method in ("GET", "HEAD", "POST")] == [404, 404, 404]
    assert (await store("GET", "c")).status == 204


async def test_a_large_object_streams(store):
    body = bytes(range(251)) * 8000
    assert (await store("PUT", "c/large", body)).headers["etag"] == hashlib.md5(body).hexdigest()
    got = await store("GET", "c/large")
    assert (got.body == body, got.headers["content-length"]) == (True, str(len(body)))
    assert (await store("GET", "c/large", Range="bytes=1000000-1000009")).body == body[1000000:1000010]


async def test_wrong_digest_leaves_nothing(store):
    assert (await store("PUT", "c/o", BODY, ETag="0" * 32)).status == 422
    assert (await store("GET", "c/o")).status == 404
    assert (await store("PUT", "c/o", BODY, ETag=f'"{ETAG}"')).status == 201


async def test_put_only_if_it_is_new(store):
    answers = [(await store("PUT", "c/o", BODY, If_None_Match=what)).status for what in ("*", "*", ETAG)]
    assert answers == [201, 412, 400]


async def test_type_follows_the_name_where_none_is_given(store):
    for name, given, shown in (
        ("a.html", None, "text/html"), ("a.nothing-known", None, "application/octet-stream"), ("b.html", "x/y", "x/y"),
    ):  # fmt: skip
        await store("PUT", f"c/{name}", b"", Content_Type=given)
        assert (await store("HEAD", f"c/{name}")).headers["content-type"] == shown
    await store("PUT", "c/c.html", b"", Content_Type="x/y", X_Detect_Content_Type="true")
    assert (await store("HEAD", "c/c.html")).headers["content-type"] == "text/html"


async def test_what_expires_is_gone(store):
    at = int(time.time()) + 2
    await store("PUT", "c/o", b"x", X_Delete_At=at)
    assert (await store("HEAD", "c/o")).headers["x-delete-at"] == str(at)
    await store("PUT", "c/p", b"x", X_Delete_After=1000)
    assert int((await store("HEAD", "c/p")).headers["x-delete-at"]) - time.time() > 990
    await store("POST", "c/p")
    assert "x-delete-at" not in (await store("HEAD", "c/p")).headers
    time.sleep(max(0.0, at - time.time()) + 0.01)  # the store's clock is the machine's
    assert [(await store(m, "c/o")).status for m in ("GET", "HEAD", "POST")] == [404] * 3
    assert (await store("GET", "c/o", X_Open_Expired="true")).status == 404
    opened = replace(store, proxy=Proxy(replace(store.proxy.store, settings=ObjectSettings(allow_open_expired=True))))
    assert (await opened("GET", "c/o", X_Open_Expired="true")).body == b"x"
    later = str(at + 1000)
    assert (await store("POST", "c/o", X_Open_Expired="true", X_Delete_At=later)).status == 404
    assert (await opened("POST", "c/o", X_Open_Expired="true", X_Delete_At=later)).status == 202
    assert (await store("HEAD", "c/o")).headers["x-delete-at"] == later
    at = int(time.time()) + 1
    assert (await store("PUT", "c/o", b"x", X_Delete_At=at)).status == 201
    time.sleep(max(0.0, at - time.time()) + 0.01)
    assert [(await opened("DELETE", "c/o", X_If_Delete_At=end)).status for end in ("never", at + 1)] == [400, 412]
    assert (await store("DELETE", "c/o")).status == 404
    assert (await opened("GET", "c/o", X_Open_Expired="true")).status == 404


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ({"X_Delete_At": "soon"}, 400, b"Non-integer X-Delete-At"),
        ({"X_Delete_At": "100"}, 400, b"X-Delete-At in past"),
        ({"X_Delete_After": "-1"}, 400, b"X-Delete-After in past"),
        ({"X_Delete_After": "1.5"}, 400, b"Non-integer X-Delete-After"),
        ({"X_Object_Meta_": "x"}, 400, b"Metadata name cannot be empty"),
        ({"X_Object_Meta_" + "N" * 129: "x"}, 400, b"Metadata name too long: " + b"n" * 128),
        ({"X_Object_Meta_V": "x" * 257}, 400, b"Metadata value longer than 256: v"),
        ({f"X_Object_Meta_N{n}": "x" for n in range(91)}, 400, b"Too many metadata items; max 90"),
        ({f"X_Object_Meta_N{n}": "x" * 250 for n in range(17)}, 400, b"Total metadata too large; max 4096"),
        ({"X_Object_Meta_V": "x" * 8193}, 400, b"Header value too long: x-object-meta-v"),
        (
            {"Content_Encoding": b"\xff".decode("utf-8", "surrogateescape")},
            400,
            b"content-encoding must be valid UTF-8",
        ),
        ({"Content_Length": None}, 411, b"Missing Content-Length header."),
        ({"Content_Length": 5 * 2**30 + 3}, 413, b"Your request is too large."),
    ],
)
async def test_what_cannot_be_kept_is_refused(store, headers, status, sentence):
    answer = await store("PUT", "c/o", b"", **headers)
    assert (answer.status, answer.body) == (status, sentence)
    assert (await store("GET", "c/o")).status == 404


async def test_names_have_a_length(store):
    assert (await store("PUT", "c/" + "ü" * 512, b"")).status == 201
    answer = await store("PUT", "c/" + "ü" * 512 + "x", b"")
    assert (answer.status, answer.body) == (400, b"Object name length of 1025 longer than 1024")
    assert (await store("PUT", "x" * 257)).body == b"Container name length of 257 longer than 256"


async def test_without_a_container_there_is_no_object(store):
    assert [(await store(m, "none/o", b"")).status for m in ("PUT", "GET", "HEAD", "POST", "DELETE")] == [404] * 5


async def test_what_is_no_path_or_no_method(store):
    for where, status in (("/", 412), ("/v2/a", 404), ("/x", 412), ("/v1/a//o", 404), ("/v1", 412), ("/v1/", 412)):
        assert (await store.raw("GET", where)).status == status, where
    answer = await store("BREW", "c/o")
    assert (answer.status, answer.headers["allow"]) == (405, "COPY, DELETE, GET, HEAD, OPTIONS, POST, PUT")
    assert (await store("OPTIONS", "c/o")).headers["allow"] == answer.headers["allow"]
    assert (await store("GET", "c/o", query="%ff=1&x=%ff")).status in {400, 404}


async def test_transaction_ids_take_what_the_client_adds(store):
    answer = await store("GET", "c", X_Trans_Id_Extra="mine-" + "x" * 40)
    assert answer.headers["x-trans-id"].endswith("-mine-" + "x" * 27)


BYTES = b"no text: \xe9\xff\xc3".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("options", [(), (SECRET,)], ids=["plain", "encrypted"])
async def test_metadata_of_objects_may_be_any_bytes(tmp_path, options):
    async with object_store(tmp_path, *options) as store:
        await store("PUT", "c")
        more = {"X_Object_Meta_Text": "ü", "Content_Disposition": BYTES}
        assert (await store("PUT", "c/o", b"x", X_Object_Meta_A=BYTES, **more)).status == 201
        for method in ("GET", "HEAD"):
            got = (await store(method, "c/o")).headers
            shown = [got[name] for name in ("x-object-meta-a", "x-object-meta-text", "content-disposition")]
            assert shown == [BYTES, "ü", BYTES]
            assert not [name for name in got if "sysmeta" in name]
        assert (await store("COPY", "c/o", Destination="c/p", X_Object_Meta_B="2")).status == 201
        got = (await store("GET", "c/p")).headers
        assert (got["x-object-meta-a"], got["x-object-meta-b"]) == (BYTES, "2")
        assert (await store("POST", "c/o", X_Object_Meta_B=BYTES)).status == 202
        got = (await store("HEAD", "c/o")).headers
        assert (got["x-object-meta-b"], "x-object-meta-a" in got) == (BYTES, False)
        assert (await store("POST", "c/o", X_Object_Meta_B="text")).status == 202
        assert (await store("HEAD", "c/o")).headers["x-object-meta-b"] == "text"
        for path, name in (("c/o", "Content_Type"), ("c", "X_Container_Meta_A"), ("", "X_Account_Meta_A")):
            assert (await store("POST", path, **{name: BYTES})).status == 400


async def test_metadata_is_counted_in_bytes_of_any_kind(store):
    assert (await store("PUT", "c/o", X_Object_Meta_A="\udcff" * 256)).status == 201
    assert (await store("PUT", "c/o", X_Object_Meta_A="\udcff" * 257)).status == 400
