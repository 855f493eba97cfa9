"""Containers and accounts through the proxy: what they say of themselves, what they list, and to whom."""

import msgspec
import pytest

from tests.object_cloud import ACCOUNT, ADMINS, OTHERS, object_store

NAMES = ["a", "a/", "a/b", "a/b/c", "b", "c/d", "ü"]
ALL = "\n".join(NAMES).encode() + b"\n"


@pytest.fixture
async def store(tmp_path):
    async with object_store(tmp_path) as made:
        yield made


@pytest.fixture
async def filled(store):
    await store("PUT", "c")
    for name in NAMES:
        await store("PUT", f"c/{name}", name.encode(), Content_Type="text/x")
    return store


async def test_a_container_comes_and_goes(store):
    assert [(await store("PUT", "c")).status for _ in range(2)] == [201, 202]
    head = await store("HEAD", "c")
    assert (head.status, head.body) == (204, b"")
    assert {n: v for n, v in head.headers.items() if n.startswith(("x-container", "x-storage", "accept"))} == {
        "x-container-object-count": "0",
        "x-container-bytes-used": "0",
        "x-storage-policy": "Policy-0",
        "accept-ranges": "bytes",
    }
    await store("PUT", "c/o", b"123")
    assert (await store("DELETE", "c")).status == 409
    await store("DELETE", "c/o")
    assert [(await store("DELETE", "c")).status for _ in range(2)] == [204, 404]
    assert [(await store(m, "c")).status for m in ("GET", "HEAD", "POST")] == [404] * 3
    assert (await store("PUT", "c")).status == 201


async def test_totals_are_those_of_the_objects(filled):
    head = (await filled("HEAD", "c")).headers
    size = sum(len(name.encode()) for name in NAMES)
    assert (head["x-container-object-count"], head["x-container-bytes-used"]) == ("7", str(size))
    await filled("PUT", "c/a", b"longer")
    await filled("DELETE", "c/b")
    head = (await filled("HEAD", "c")).headers
    assert (head["x-container-object-count"], head["x-container-bytes-used"]) == ("6", str(size + 5 - 1))


async def test_metadata_is_merged_and_taken_away(store):
    await store("PUT", "c", X_Container_Meta_A="1", X_Container_Meta_B="2")
    await store("POST", "c", X_Container_Meta_B="3", X_Container_Meta_C="4")
    assert (await store("POST", "c", X_Remove_Container_Meta_A="x", X_Container_Meta_C="")).status == 204
    headers = (await store("HEAD", "c")).headers
    assert {n: v for n, v in headers.items() if n.startswith("x-container-meta")} == {"x-container-meta-b": "3"}
    assert (await store("POST", "none", X_Container_Meta_B="3")).status == 404
    answer = await store("POST", "c", **{f"X_Container_Meta_N{n}": "x" for n in range(90)})
    assert (answer.status, answer.body) == (400, b"Too many metadata items; max 90")


@pytest.mark.parametrize(
    ("query", "listed"),
    [
        ("", ALL),
        ("limit=2", b"a\na/\n"),
        ("limit=0", b""),
        ("marker=b", "c/d\nü\n".encode()),
        ("end_marker=b", b"a\na/\na/b\na/b/c\n"),
        ("marker=a&end_marker=b", b"a/\na/b\na/b/c\n"),
        ("prefix=a", b"a\na/\na/b\na/b/c\n"),
        ("prefix=a/", b"a/\na/b\na/b/c\n"),
        ("delimiter=/", "a\na/\nb\nc/\nü\n".encode()),
        ("prefix=a/&delimiter=/", b"a/\na/b\na/b/\n"),
        ("delimiter=b/", "a\na/\na/b\na/b/\nb\nc/d\nü\n".encode()),
        ("path=", "a\na/\nb\nü\n".encode()),
        ("path=a", b"a/b\n"),
        ("path=a/", b"a/b\n"),
        ("reverse=on&limit=3", "ü\nc/d\nb\n".encode()),
        ("reverse=1&marker=b&end_marker=a", b"a/b/c\na/b\na/\n"),
        ("prefix=%C3%BC", "ü\n".encode()),
        ("limit=x", ALL),
        ("marker=z&limit=10000", "ü\n".encode()),
    ],
)
async def test_a_listing(filled, query, listed):
    answer = await filled("GET", "c", query=query)
    assert (answer.status, answer.body) == (200 if listed else 204, listed)


async def test_a_listing_as_json(filled):
    answer = await filled("GET", "c", query="format=json&prefix=a&delimiter=/")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    modified = answer.json[0].pop("last_modified")
    assert len(modified) == len("2024-01-01T00:00:00.000000")
    assert answer.json[:1] != []
    rows = msgspec.json.decode(answer.body)
    del rows[0]["last_modified"]
    digest = "0cc175b9c0f1b6a831c399e269772661"
    assert rows == [{"name": "a", "bytes": 1, "hash": digest, "content_type": "text/x"}, {"subdir": "a/"}]
    assert (await filled("GET", "c", query="format=json&prefix=none")).body == b"[]"


async def test_a_listing_as_xml(filled):
    answer = await filled("GET", "c", query="format=xml&prefix=a&delimiter=/")
    modified = answer.body.decode().partition("<last_modified>")[2].partition("<")[0]
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<container name="c"><object><name>a</name>'
        "<hash>0cc175b9c0f1b6a831c399e269772661</hash><bytes>1</bytes><content_type>text/x</content_type>"
        f"<last_modified>{modified}</last_modified></object>"
        '<subdir name="a/"><name>a/</name></subdir></container>'
    )


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        ("application/json", 200, "application/json"),
        ("text/plain;q=0.2, application/xml;q=0.9, */*;q=0.1", 200, "application/xml"),
        ("text/xml", 200, "text/xml"),
        ("*/*", 200, "text/plain"),
        ("text/html, text/*;q=0.5", 200, "text/plain"),
        ("image/png", 406, "text/html"),
        ("application/json;q=0", 406, "text/html"),
    ],
)
async def test_the_format_is_what_is_accepted(filled, accept, status, media):
    answer = await filled("GET", "c", Accept=accept)
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (status, media)


async def test_too_large_a_page_and_bad_text_are_refused(filled):
    assert (await filled("GET", "c", query="limit=10001")).body == b"Maximum limit is 10000"
    for query, status in (("limit=10001", 412), ("prefix=%ff", 400), ("marker=%00", 200)):
        assert (await filled("GET", "c", query=query)).status == status, query


async def test_an_account_lists_its_containers(store):
    empty = await store("GET")
    assert (empty.status, empty.headers["x-account-container-count"]) == (204, "0")
    for name in ("one", "two", "three"):
        await store("PUT", name)
    assert (await store("GET")).body == b"one\nthree\ntwo\n"
    await store("DELETE", "three")
    rows = (await store("GET", query="format=json")).json
    assert [(row["name"], row["count"], row["bytes"], set(row)) for row in rows] == [
        ("one", 0, 0, {"name", "count", "bytes", "last_modified", "storage_policy"}),
        ("two", 0, 0, {"name", "count", "bytes", "last_modified", "storage_policy"}),
    ]
    xml = (await store("GET", query="format=xml&limit=1")).body.decode()
    assert xml.startswith(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<account name="{ACCOUNT}"><container><name>one</name><count>0</count>'
    )
    head = (await store("HEAD")).headers
    assert head["x-account-container-count"] == "2"


async def test_account_metadata(store):
    assert (await store("POST", X_Account_Meta_Colour="red", X_Account_Meta_Temp_Url_Key="secret")).status == 204
    headers = (await store("HEAD")).headers
    assert (headers["x-account-meta-colour"], headers["x-account-meta-temp-url-key"]) == ("red", "secret")
    await store("POST", X_Remove_Account_Meta_Colour="x")
    assert "x-account-meta-colour" not in (await store("HEAD")).headers
    assert "x-account-meta-temp-url-key" not in (await store.as_("reader")("HEAD")).headers


async def test_accounts_are_not_made_by_hand_unless_allowed(store, tmp_path):
    assert [(await store.as_("reseller")(m)).status for m in ("PUT", "DELETE")] == [405, 405]
    async with object_store(tmp_path / "managed", allow_account_management=True, account_autocreate=False) as managed:
        reseller = managed.as_("reseller")
        assert [(await managed(m)).status for m in ("PUT", "DELETE")] == [403, 403]
        assert [(await managed("GET")).status, (await managed("PUT", "c")).status] == [404, 404]
        assert [(await reseller("PUT")).status for _ in range(2)] == [201, 202]
        assert (await managed("PUT", "c")).status == 201
        assert [(await reseller("DELETE")).status, (await managed("GET")).status] == [204, 404]
        assert [(await managed("GET", "c")).status, (await reseller("PUT")).status] == [404, 403]


async def test_a_storage_policy_is_for_ever(tmp_path):
    policies = ("0:gold:yellow", "1:silver", "2:tin:deprecated")
    async with object_store(tmp_path, policies=policies, default_policy="silver") as store:
        assert [(await store("PUT", "c")).status, (await store("PUT", "g", X_Storage_Policy="Yellow")).status] == [
            201,
            201,
        ]
        shown = [(await store("HEAD", name)).headers["x-storage-policy"] for name in ("c", "g")]
        assert shown == ["silver", "gold"]
        assert [(await store("PUT", "c", X_Storage_Policy=p)).status for p in ("silver", "gold", "none")] == [
            202,
            409,
            400,
        ]
        assert (await store("PUT", "t", X_Storage_Policy="tin")).status == 400
        for name in ("c", "g"):
            assert (await store("PUT", f"{name}/o", name.encode())).status == 201
            assert (await store("GET", f"{name}/o")).body == name.encode()
        info = (await store.raw("GET", "/info")).json["swift"]["policies"]
        assert info == [
            {"name": "gold", "aliases": "gold, yellow"},
            {"name": "silver", "aliases": "silver", "default": True},
        ]


@pytest.mark.parametrize(
    ("name", "acl", "kept"),
    [
        ("Read", ".r:*, .rlistings", ".r:*,.rlistings"),
        ("Read", ".referer : *.example.com , p:u,", ".r:.example.com,p:u"),
        ("Read", ".r:-evil.com", ".r:-evil.com"),
        ("Write", "p:*,*:u,*:*,role", "p:*,*:u,*:*,role"),
        ("Write", ".r:*", None),
        ("Read", ".x:*", None),
        ("Read", ".r:", None),
        ("Read", ".strange", None),
    ],
)
async def test_an_access_list_is_kept_clean(store, name, acl, kept):
    answer = await store("PUT", "c", **{f"X_Container_{name}": acl})
    if kept is None:
        assert answer.status == 400
        assert answer.body
    else:
        assert (await store("HEAD", "c")).headers[f"x-container-{name.lower()}"] == kept


async def test_without_a_list_only_the_project_gets_in(store):
    await store("PUT", "c")
    await store("PUT", "c/o", b"x")
    for who, reads, writes in (("reader", 200, 403), ("other", 403, 403), ("", 401, 401), ("bad", 401, 401)):
        asker = store.as_(who)
        assert [(await asker("GET", p)).status for p in ("c/o", "c", "")] == [reads] * 3, who
        got = [
            (await asker(m, p, b"")).status for m, p in (("PUT", "c/p"), ("DELETE", "c/o"), ("PUT", "d"), ("POST", ""))
        ]
        assert got == [writes] * 4, who
    assert (await store.as_("")("GET", "c/o")).headers["www-authenticate"] == f'Swift realm="{ACCOUNT}"'
    assert (await store.as_("admin")("GET", "c/o")).status == 403
    assert (await store.as_("reseller")("GET", "c/o")).status == 200
    assert (await store.as_("demo", OTHERS)("GET")).status == 403
    assert (await store.as_("admin", ADMINS)("GET")).status == 204


async def test_lists_let_others_in(store):
    await store("PUT", "c")
    await store("PUT", "c/o", b"x")
    other, nobody = store.as_("other"), store.as_("")
    for acl, sees, lists in (
        ("e" * 32 + ":*", 200, 200), ("e" * 32 + ":u-other", 200, 200), ("*:u-other", 200, 200), ("*:*", 200, 200),
        ("e" * 32 + ":u-demo", 403, 403), ("u-other", 403, 403), (".r:*", 200, 403), (".r:*,.rlistings", 200, 200),
        (".rlistings", 403, 403), (".r:.shop.com", 403, 403), ("member", 403, 403),
    ):  # fmt: skip
        await store("POST", "c", X_Container_Read=acl)
        assert ((await other("GET", "c/o")).status, (await other("GET", "c")).status) == (sees, lists), acl
        assert (await other("PUT", "c/p", b"")).status == 403
    await store("POST", "c", X_Container_Read=".r:.shop.com,.r:-bad.shop.com")
    for page, status in (("http://www.shop.com/x", 200), ("https://bad.shop.com", 401), ("http://shop.com.evil", 401)):
        assert (await nobody("GET", "c/o", Referer=page)).status == status
    await store("POST", "c", X_Remove_Container_Read="x", X_Container_Write="e" * 32 + ":*")
    assert [(await other(m, "c/p", b"")).status for m in ("PUT", "POST", "DELETE", "GET")] == [201, 202, 204, 403]
    assert "x-container-write" not in (await store.as_("reader")("HEAD", "c")).headers


async def test_what_is_inside_stays_inside(store):
    await store("PUT", "c", X_Container_Sysmeta_Secret="1", X_Backend_Thing="2")
    await store("PUT", "c/o", b"x", X_Object_Sysmeta_Secret="1", X_Object_Transient_Sysmeta_S="1")
    await store("POST", X_Account_Sysmeta_Secret="1")
    for path in ("", "c", "c/o"):
        assert [n for n in (await store("HEAD", path)).headers if "sysmeta" in n or "backend" in n] == []
    assert (await store.proxy.store.known.container(_path(store))).headers == {}


def _path(store):
    from maldon.objectstore.path import Path

    return Path(store.account, "c")


async def test_a_browser_of_another_origin(store):
    lets = {"Allow_Origin": "http://a.com http://b.com", "Expose_Headers": "X-Other", "Max_Age": "60"}
    await store("PUT", "c", **{f"X_Container_Meta_Access_Control_{name}": value for name, value in lets.items()})
    await store("PUT", "c/o", b"x", X_Object_Meta_Colour="red")
    ask = {"Origin": "http://b.com", "Access_Control_Request_Method": "PUT"}
    nobody = store.as_("")
    preflight = await nobody("OPTIONS", "c/o", **ask, Access_Control_Request_Headers="x-a, x-b")
    assert preflight.status == 200
    assert {n: v for n, v in preflight.headers.items() if n.startswith("access-control")} == {
        "access-control-allow-origin": "http://b.com",
        "access-control-allow-methods": "COPY, DELETE, GET, HEAD, OPTIONS, POST, PUT",
        "access-control-allow-headers": "x-a, x-b",
        "access-control-max-age": "60",
    }
    assert (await nobody("OPTIONS", "c/o", **{**ask, "Origin": "http://evil.com"})).status == 401
    assert (await nobody("OPTIONS", "c/o", **{**ask, "Access_Control_Request_Method": "BREW"})).status == 401
    got = await store("GET", "c/o", Origin="http://b.com")
    assert got.headers["access-control-allow-origin"] == "http://b.com"
    assert {"x-object-meta-colour", "x-other", "etag"} <= set(got.headers["access-control-expose-headers"].split(", "))
    refused = await nobody("GET", "c/o", Origin="http://b.com")
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "http://b.com")
    assert "access-control-allow-origin" not in (await store("GET", "c/o", Origin="http://evil.com")).headers
    assert (await nobody("OPTIONS", "", **ask)).headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_credentials_are_for_origins_that_are_named(store):
    ask = {"Origin": "http://a.com", "Access_Control_Request_Method": "GET"}
    for origins, wanted, sent in (("http://a.com", "true", "true"), ("http://a.com", "no", None), ("*", "true", None)):
        names = {"Allow_Origin": origins, "Allow_Credentials": wanted}
        await store("PUT", "c", **{f"X_Container_Meta_Access_Control_{name}": text for name, text in names.items()})
        for answer in (await store("OPTIONS", "c", **ask), await store("GET", "c", Origin="http://a.com")):
            assert answer.headers.get("access-control-allow-credentials") == sent


async def test_information_and_health(store):
    info = (await store.as_("").raw("GET", "/info")).json
    assert info["swift"]["max_file_size"] == 5 * 2**30 + 2
    assert info["swift"]["policies"] == [{"name": "Policy-0", "aliases": "Policy-0", "default": True}]
    assert (await store.as_("").raw("HEAD", "/info")).body == b""
    assert (await store.as_("").raw("GET", "/healthcheck")).body == b"OK"


async def test_everything_is_there_after_a_restart(tmp_path):
    async with object_store(tmp_path) as store:
        await store("PUT", "c", X_Container_Meta_A="1")
        await store("PUT", "c/o", b"bytes", X_Object_Meta_B="2")
    async with object_store(tmp_path) as store:
        assert (await store("GET", "c")).body == b"o\n"
        assert (await store("HEAD", "c")).headers["x-container-meta-a"] == "1"
        got = await store("GET", "c/o")
        assert (got.body, got.headers["x-object-meta-b"]) == (b"bytes", "2")
