"""Copies, links and versions."""

import pytest

from tests.object_cloud import OTHERS, object_store


@pytest.fixture
async def store(tmp_path):
    async with object_store(tmp_path) as made:
        for container in ("c", "d"):
            await made("PUT", container)
        await made("PUT", "c/o", b"body", Content_Type="text/x", X_Object_Meta_A="1", Content_Encoding="gzip")
        yield made


async def test_a_copy_has_bytes_and_metadata(store):
    for method, path, headers in (
        ("COPY", "c/o", {"Destination": "d/o"}),
        ("PUT", "d/p", {"X_Copy_From": "/c/o", "Content_Length": 0}),
    ):
        made = await store(method, path, **headers)
        assert (made.status, made.headers["x-copied-from"]) == (201, "c/o")
        assert made.headers["x-copied-from-account"] == store.account
        got = await store("GET", "d/o" if method == "COPY" else path)
        assert (got.body, got.headers["content-type"], got.headers["x-object-meta-a"]) == (b"body", "text/x", "1")
        assert got.headers["content-encoding"] == "gzip"


async def test_a_copy_takes_what_the_request_brings(store):
    await store("COPY", "c/o", Destination="d/o", X_Object_Meta_A="2", X_Object_Meta_B="3", Content_Type="text/y")
    got = await store("HEAD", "d/o")
    assert [got.headers[n] for n in ("x-object-meta-a", "x-object-meta-b", "content-type")] == ["2", "3", "text/y"]
    await store("COPY", "c/o", Destination="d/fresh", X_Fresh_Metadata="true", X_Object_Meta_B="3")
    got = await store("HEAD", "d/fresh")
    assert "x-object-meta-a" not in got.headers
    assert (got.headers["x-object-meta-b"], got.headers["content-type"]) == ("3", "text/x")


async def test_a_range_can_be_copied_and_conditions_are_of_the_source(store):
    await store("COPY", "c/o", Destination="d/part", Range="bytes=1-2")
    assert (await store("GET", "d/part")).body == b"od"
    assert (await store("COPY", "c/o", Destination="d/x", If_Match="nothing")).status == 412


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("COPY", {}, 412),
        ("COPY", {"Destination": "d"}, 412),
        ("COPY", {"Destination": "none/o"}, 404),
        ("PUT", {"X_Copy_From": "c"}, 412),
        ("PUT", {"X_Copy_From": "c/none"}, 404),
        ("COPY", {"Destination": "d/o", "Destination_Account": "a/b"}, 412),
        ("COPY", {"Destination": "d/%00"}, 412),
        ("COPY", {"Destination": "d/%ff"}, 412),
        ("COPY", {"Destination": "d/o", "Destination_Account": OTHERS}, 403),
    ],
)
async def test_copies_that_cannot_be(store, method, headers, status):
    assert (await store(method, "c/o", **headers)).status == status
    assert (await store("GET", "c/o")).body == b"body"


async def test_a_copy_needs_the_right_to_read(store):
    other = store.as_("other", OTHERS)
    await other("PUT", "mine")
    denied = await other("PUT", "mine/o", X_Copy_From="c/o", X_Copy_From_Account=store.account)
    assert denied.status == 403
    await store("POST", "c", X_Container_Read=f"{OTHERS.removeprefix('AUTH_')}:*")
    made = await other("PUT", "mine/o", X_Copy_From="c/o", X_Copy_From_Account=store.account)
    assert (made.status, (await other("GET", "mine/o")).body) == (201, b"body")


async def test_a_link_is_read_as_its_target(store):
    made = await store("PUT", "d/link", X_Symlink_Target="c/o")
    assert made.status == 201
    got = await store("GET", "d/link")
    assert (got.body, got.headers["content-location"]) == (b"body", f"/v1/{store.account}/c/o")
    assert got.headers["x-object-meta-a"] == "1"
    assert (await store("GET", "d/link", Range="bytes=0-1")).body == b"bo"
    assert (await store("GET", "d/link", If_None_Match=got.headers["etag"])).status == 304
    own = await store("GET", "d/link", query="symlink=get")
    assert (own.body, own.headers["x-symlink-target"], own.headers["content-length"]) == (b"", "c/o", "0")
    (row,) = (await store("GET", "d", query="format=json")).json
    assert (row["symlink_path"], row["hash"]) == (f"/v1/{store.account}/c/o", "d41d8cd98f00b204e9800998ecf8427e")
    await store("DELETE", "d/link")
    assert (await store("GET", "c/o")).status == 200


async def test_a_static_link_is_of_one_version(store):
    etag = (await store("HEAD", "c/o")).headers["etag"]
    assert (await store("PUT", "d/link", X_Symlink_Target="c/o", X_Symlink_Target_Etag="0" * 32)).status == 409
    assert (await store("PUT", "d/link", X_Symlink_Target="c/none", X_Symlink_Target_Etag=etag)).status == 409
    assert (await store("PUT", "d/link", X_Symlink_Target="c/o", X_Symlink_Target_Etag=etag)).status == 201
    assert (await store("GET", "d/link")).body == b"body"
    (row,) = (await store("GET", "d", query="format=json")).json
    assert (row["symlink_etag"], row["symlink_bytes"], row["content_type"]) == (etag, 4, "text/x")
    await store("PUT", "c/o", b"other")
    assert (await store("GET", "d/link")).status == 409


async def test_links_go_so_far_and_not_in_circles(store):
    for name, target in (("a", "c/o"), ("b", "d/a"), ("e", "d/b"), ("x", "d/y"), ("y", "d/x")):
        await store("PUT", f"d/{name}", X_Symlink_Target=target)
    assert [(await store("GET", f"d/{name}")).status for name in "abexy"] == [200, 200, 409, 409, 409]
    assert (await store("PUT", "d/self", X_Symlink_Target="d/self")).status == 400
    assert (await store("PUT", "d/bad", X_Symlink_Target="d")).status == 412
    assert (await store("PUT", "d/bad", b"x", X_Symlink_Target="c/o")).status == 400
    for hidden in ("c/%00", "%00versions%00c/o", "c/%ff"):
        assert (await store("PUT", "d/bad", X_Symlink_Target=hidden)).status == 412


async def test_a_post_to_a_link_tells_where_its_target_is(store):
    await store("PUT", "d/link", X_Symlink_Target="c/o")
    said = await store("POST", "d/link", X_Object_Meta_A="9")
    assert (said.status, said.headers["location"]) == (307, f"/v1/{store.account}/c/o")
    assert (await store("HEAD", "c/o")).headers["x-object-meta-a"] == "1"


async def test_old_versions_are_put_aside_and_come_back(store):
    await store("POST", "c", X_Versions_Location="d")
    await store("PUT", "c/o", b"second")
    await store("PUT", "c/o", b"third")
    assert len((await store("GET", "d", query="prefix=001o/")).body.split()) == 2
    for body in (b"second", b"body"):
        assert (await store("DELETE", "c/o")).status == 204
        assert (await store("GET", "c/o")).body == body
    assert (await store("HEAD", "c/o")).headers["content-type"] == "text/x"
    assert (await store("DELETE", "c/o")).status == 204
    assert (await store("GET", "c/o")).status == 404


async def test_history_keeps_what_was_deleted(store):
    await store("POST", "c", X_History_Location="d")
    await store("DELETE", "c/o")
    rows = (await store("GET", "d", query="format=json&prefix=001o/")).json
    assert [row["content_type"] for row in rows] == ["text/x", "application/x-deleted;swift_versions_deleted=1"]
    assert (await store("POST", "c", X_History_Location="d", X_Versions_Location="d")).status == 400
    for bad in ("a/b", "%00versions%00c", "%ff"):
        assert (await store("POST", "c", X_History_Location=bad)).status == 412


async def versions(store, query=""):
    rows = (await store("GET", "c", query=f"versions&format=json{query}")).json
    return [(row["name"], row["is_latest"], row["version_id"]) for row in rows]


async def test_every_version_has_an_id(store):
    assert (await store("POST", "c", X_Versions_Enabled="true")).status == 204
    assert (await store("HEAD", "c")).headers["x-versions-enabled"] == "True"
    first = (await store("HEAD", "c/o")).headers["x-timestamp"]
    assert await versions(store) == [("o", True, "null")]
    ids = [(await store("PUT", "c/o", body)).headers["x-object-version-id"] for body in (b"2", b"3")]
    assert await versions(store) == [("o", True, ids[1]), ("o", False, ids[0]), ("o", False, first)]
    assert (await store("GET", "c/o")).body == b"3"
    assert (await store("GET", "c/o")).headers["x-object-version-id"] == ids[1]
    assert (await store("GET", "c/o", query=f"version-id={ids[0]}")).body == b"2"
    assert (await store("GET", "c/o", query=f"version-id={first}")).body == b"body"
    assert (await store("GET", "c/o", query="version-id=null")).status == 404
    (row,) = (await store("GET", "c", query="format=json")).json
    assert (row["name"], row["bytes"], row["hash"]) == ("o", 1, "eccbc87e4b5ce2fe28308fd9f2a7baf3")
    assert (await store("GET")).body == b"c\nd\n"


async def test_versions_are_their_owners_alone(store):
    other = store.as_("other")
    await store("POST", "c", X_Versions_Enabled="true", X_Container_Read=f"{OTHERS.removeprefix('AUTH_')}:*")
    id_ = (await store("PUT", "c/o", b"2")).headers["x-object-version-id"]
    assert [(await other("GET", "c/o", query=query)).status for query in ("", f"version-id={id_}")] == [200, 403]
    assert (await other("DELETE", "c/o", query=f"version-id={id_}")).status == 403
    assert (await store("GET", "c/o", query=f"version-id={id_}")).body == b"2"


async def test_a_deletion_is_a_version_and_a_version_can_be_brought_back(store):
    await store("POST", "c", X_Versions_Enabled="true")
    first = (await store("PUT", "c/o", b"1")).headers["x-object-version-id"]
    marker = await store("DELETE", "c/o")
    assert (await store("GET", "c/o")).status == 404
    assert (await versions(store))[0] == ("o", True, marker.headers["x-object-version-id"])
    restored = await store("PUT", "c/o", query=f"version-id={first}")
    assert (restored.status, (await store("GET", "c/o")).body) == (201, b"1")
    gone = await store("DELETE", "c/o", query=f"version-id={first}")
    assert (gone.status, (await store("GET", "c/o")).status) == (204, 404)
    assert (await store("GET", "c/o", query=f"version-id={first}")).status == 404
    assert (await store("GET", "c/o", query="version-id=nonsense")).status == 400
    assert (await store("DELETE", "c")).status == 409
