"""Containers of two clouds are kept the same: what one is told, the other has, and what is newer stays."""

import base64
import contextlib
import json
import time
from dataclasses import replace

import pytest

from maldon.objectstore.books.settings import BookSettings
from maldon.objectstore.daemons.shard import Sharder
from maldon.objectstore.middleware.encryption import EncryptionSettings
from maldon.objectstore.sync.realms import Realms, signature
from maldon.objectstore.sync.settings import ContainerSyncSettings
from maldon.objectstore.timestamp import stamp, text
from tests.object_cloud import ACCOUNT, OTHERS, object_store, served, syncer

LARGE = bytes(range(251)) * 5000
CONF = """
[DEFAULT]
mtime_check_interval = 0
[Realm]
key = between us
key2 = as it was
cluster_east = {east}/v1/
cluster_West = {west}/v1/
"""


@contextlib.asynccontextmanager
async def two_clouds(tmp_path, *options, **settings):
    """East and west, on sockets, in one realm; in each a container that is synced to the other's."""
    conf, known = tmp_path / "realms.conf", {"known_s": 0.0, **settings}
    async with contextlib.AsyncExitStack() as stack:
        stores, urls = [], {}
        for name in ("east", "west"):
            wanted = ContainerSyncSettings(realms=str(conf), current=f"//REALM/{name}", container_time_s=20.0)
            store = await stack.enter_async_context(object_store(tmp_path / name, wanted, *options, **known))
            urls[name] = await stack.enter_async_context(served(store.proxy))
            stores.append(store)
        conf.write_text(CONF.format(**urls))
        for store, to in zip(stores, ("west", "east"), strict=True):
            headers = {"X_Container_Sync_To": f"//realm/{to}/{ACCOUNT}/c", "X_Container_Sync_Key": "ours"}
            assert (await store("PUT", "c", **headers)).status == 201
        yield stores


@pytest.fixture
async def clouds(tmp_path):
    async with two_clouds(tmp_path) as stores:
        yield stores


async def seen(store, path):
    """What both clouds must agree on."""
    got = await store("GET", path)
    same = (
        "etag",
        "x-timestamp",
        "content-type",
        "x-object-meta-a",
        "content-encoding",
        "x-delete-at",
        "last-modified",
    )
    return got.status, got.body, {name: got.headers[name] for name in same if name in got.headers}


async def listing(store, container="c"):
    return (await store("GET", container, query="format=json")).json


async def test_what_is_written_here_is_there_and_the_other_way_round(clouds):
    east, west = clouds
    end = str(int(time.time()) + 1000)
    await east("PUT", "c/ü/small?", b"bytes", X_Object_Meta_A="ü", Content_Type="text/x", X_Delete_At=end)
    await east("PUT", "c/large", LARGE, Content_Encoding="x-own")
    await east("PUT", "c/empty")
    await west("PUT", "c/back", b"west")
    assert (await syncer(east).once(), await syncer(west).once()) == (3, 3)  # small ones go back in vain
    for path in ("c/ü/small?", "c/large", "c/empty", "c/back"):
        here = await seen(east, path)
        assert here[0] == 200
        assert here == await seen(west, path)
    assert await listing(east) == await listing(west)
    await east("DELETE", "c/large")
    await east("POST", "c/empty", X_Object_Meta_A="posted", Content_Type="text/new")
    assert await syncer(east).once() == 3  # those two, and back what west had
    assert (await west("GET", "c/large")).status == 404
    assert (await seen(west, "c/empty"))[2]["x-object-meta-a"] == "posted"
    assert await listing(east) == await listing(west)
    assert await syncer(east).once() == 0


async def test_what_is_newer_there_stays(clouds):
    east, west = clouds
    await east("PUT", "c/o", b"old")
    await east("PUT", "c/gone", b"old")
    await east("DELETE", "c/gone")
    await west("PUT", "c/o", b"new")
    await west("PUT", "c/gone", b"new")
    await syncer(east).once()
    await syncer(west).once()
    for path in ("c/o", "c/gone"):
        assert (await seen(east, path))[1] == b"new"
        assert await seen(east, path) == await seen(west, path)


async def test_large_objects_and_links_come_as_they_are(clouds):
    east, west = clouds
    for name, body in (("a", b"A" * 10), ("b", LARGE)):
        await east("PUT", f"c/s/{name}", body)
    manifest = json.dumps([{"path": "/c/s/a"}, {"path": "/c/s/b", "range": "0-9"}]).encode()
    assert (await east("PUT", "c/slo", manifest, query="multipart-manifest=put")).status == 201
    await east("PUT", "c/dlo", b"", X_Object_Manifest="c/s/")
    await east("PUT", "c/link", b"", X_Symlink_Target="c/s/a")
    etag = (await east("HEAD", "c/s/a")).headers["etag"]
    await east("PUT", "c/static", b"", X_Symlink_Target="c/s/a", X_Symlink_Target_Etag=etag)
    await syncer(east).once()
    for path, body in (("c/slo", b"A" * 10 + LARGE[:10]), ("c/dlo", b"A" * 10 + LARGE), ("c/link", b"A" * 10)):
        assert (await west("GET", path)).body == body
        assert (await east("HEAD", path)).headers["etag"] == (await west("HEAD", path)).headers["etag"]
    assert await listing(east) == await listing(west)
    shown = [(await store("GET", "c/static", query="symlink=get")).headers for store in clouds]
    assert shown[0]["x-symlink-target-etag"] == shown[1]["x-symlink-target-etag"] == etag
    assert (await west("GET", "c/slo", query="multipart-manifest=get")).json == (
        await east("GET", "c/slo", query="multipart-manifest=get")
    ).json


async def test_versions_are_those_of_each_side(clouds):
    east, west = clouds
    await east("POST", "c", X_Versions_Enabled="true")
    await east("PUT", "c/o", b"one")
    await syncer(east).once()
    assert (await west("GET", "c/o")).body == b"one"
    await west("POST", "c", X_Versions_Enabled="true")
    await east("PUT", "c/o", b"two")
    await syncer(east).once()
    assert (await west("GET", "c/o")).body == b"two"
    assert len((await west("GET", "c", query="versions")).json) == 2
    await west("PUT", "c/o", b"three")
    await syncer(east).once()
    assert (await west("GET", "c/o")).body == b"three"
    await syncer(west).once()
    assert (await east("GET", "c/o")).body == b"three"


async def test_encrypted_here_is_encrypted_anew_there(tmp_path):
    secret = EncryptionSettings(root_secrets=(f"k1:{base64.b64encode(bytes(range(32))).decode()}",))
    async with two_clouds(tmp_path, secret) as (east, west):
        await east("PUT", "c/o", LARGE, X_Object_Meta_A="1")
        assert await syncer(east).once() == 1
        assert (await seen(west, "c/o"))[1] == LARGE
        assert await seen(east, "c/o") == await seen(west, "c/o")


async def test_a_sharded_container_is_synced_from_its_shards(tmp_path):
    async with two_clouds(tmp_path, BookSettings(shard_rows=4)) as (east, west):
        for n in range(10):
            await east("PUT", f"c/{n}", b"x")
        await syncer(east).once()
        placing = east.proxy.store.placing
        assert await Sharder(placing.nodes.own.books, placing).once() > 1
        await east("PUT", "c/11", b"x")
        await east("DELETE", "c/3")
        await syncer(east).once()
        assert await listing(east) == await listing(west)


async def test_another_target_gets_everything(clouds):
    east, west = clouds
    await east("PUT", "c/o", b"x")
    loop = syncer(east)
    assert (await loop.once(), await loop.once(), await loop.all()) == (1, 0, 0)
    await west("PUT", "d", X_Container_Sync_Key="theirs")
    await east("POST", "c", X_Container_Sync_To=f"//realm/west/{ACCOUNT}/d", X_Container_Sync_Key="theirs")
    assert await loop.once() == 1
    assert (await west("GET", "d/o")).body == b"x"


async def test_nothing_is_missed_while_the_other_is_away(clouds):
    east, west = clouds
    loop = syncer(east)
    await west("POST", "c", X_Container_Sync_Key="another")
    await east("PUT", "c/o", b"x")
    await east("PUT", "c/p", b"x")
    assert await loop.once() == 0
    assert await listing(west) == []
    await west("POST", "c", X_Container_Sync_Key="ours")
    assert await loop.once() == 2
    assert await listing(east) == await listing(west)


async def test_what_the_other_does_not_take_holds_up_nothing(tmp_path):
    hosts = ContainerSyncSettings(allowed_sync_hosts=("127.0.0.1",))
    async with contextlib.AsyncExitStack() as stack:
        small = await stack.enter_async_context(object_store(tmp_path / "a", max_object_name_length=10, known_s=0.0))
        store = await stack.enter_async_context(object_store(tmp_path / "b", hosts, known_s=0.0))
        url = await stack.enter_async_context(served(small.proxy))
        await small("PUT", "c", X_Container_Sync_Key="ours")
        headers = {"X_Container_Sync_To": f"{url}/v1/{ACCOUNT}/c", "X_Container_Sync_Key": "ours"}
        assert (await store("PUT", "c", **headers)).status == 201
        for name in ("a", "much too long", "z"):
            await store("PUT", f"c/{name}", b"x")
        await store("PUT", "c/bytes", b"x", X_Object_Meta_A="\udcff")  # which this client cannot send
        loop = syncer(store)
        assert (await loop.once(), await loop.once()) == (2, 0)
        assert [row["name"] for row in await listing(small)] == ["a", "z"]
        await store("DELETE", "c/much too long")
        await store("DELETE", "c/bytes")
        assert (await loop.once(), await loop.once()) == (4, 0)  # as names that failed, and as changes


async def test_urls_are_only_those_of_hosts_that_are_allowed(tmp_path, clouds):
    _, west = clouds
    await west("POST", "c", X_Container_Sync_Key="ours")
    allowed = ContainerSyncSettings(allowed_sync_hosts=("127.0.0.1", "other.test:81", "[::1]:82"))
    async with object_store(tmp_path / "a", allowed, known_s=0.0) as store, served(west.proxy) as url:
        for to, status in (
            (f"{url}/v1/{ACCOUNT}/c", 201), ("http://other.test:81/v1/a/c", 202), ("https://other.test/v1/a/c", 400),
            ("http://[::1]:82/v1/a/c", 202), ("http://[::1/v1/a/c", 400), ("http://169.254.169.254/v1/a/c", 400),
            ("http://127.0.0.1:99999/v1/a/c", 400), ("ftp://127.0.0.1/v1/a/c", 400), ("http://127.0.0.1/v1/a", 400),
            ("http://127.0.0.1/v1/../c/d", 400), ("http://127.0.0.1@evil.test/v1/a/c", 400), ("/v1/a/c", 400),
            ("http://evil.test@127.0.0.1/v1/a/c", 400), ("http://127.0.0.1/v1/a/c?x", 400), ("http:///v1/a/c", 400),
            ("http://127.0.0.1/v1/a/c#x", 400), ("http://127.0.0.1/v1/ä/c", 400), ("http://127.0.0.1/v1/a b/c", 400),
            ("//realm/west/a/c", 400), ("//realm/c", 400), ("//", 400), ("http://127.0.0.1/v1//a/c", 400),
        ):  # fmt: skip
            answer = await store("PUT", "c", X_Container_Sync_To=to)
            assert (to, answer.status) == (to, status), answer.body
        await store("PUT", "c", X_Container_Sync_To=f"{url}/v1/{ACCOUNT}/c", X_Container_Sync_Key="ours")
        await store("PUT", "c/o", b"x")
        for settings, count in (
            (replace(allowed, allowed_sync_hosts=()), 0), (replace(allowed, allow_full_urls=False), 0), (allowed, 1),
        ):  # fmt: skip
            assert await syncer(store, settings).once() == count


async def test_names_in_a_realm_are_checked(clouds):
    east, _ = clouds
    for to in (
        "//other/west/a/c", "//realm/south/a/c", "//realm/west/a", "//realm/west/a/c/d", "//realm/west/../c",
        "//realm/west//c", "http://127.0.0.1/v1/a/c",
    ):  # fmt: skip
        answer = await east("POST", "c", X_Container_Sync_To=to)
        assert (answer.status, b"X-Container-Sync-To" in answer.body or b"endpoint" in answer.body) == (400, True)
    assert (await east("POST", "c", X_Container_Sync_To="")).status == 204
    assert "x-container-sync-to" not in (await east("HEAD", "c")).headers
    info = (await east.raw("GET", "/info")).json["container_sync"]
    assert info == {"realms": {}}  # the file came later


async def test_info_tells_of_realms(tmp_path):
    conf = tmp_path / "realms.conf"
    conf.write_text(CONF.format(east="https://e.test", west="https://w.test"))
    async with object_store(tmp_path / "h", ContainerSyncSettings(str(conf), "//realm/East")) as store:
        info = (await store.raw("GET", "/info")).json["container_sync"]
        assert info == {"realms": {"REALM": {"clusters": {"EAST": {"current": True}, "WEST": {}}}}}


def by(method, where, at, key="between us", user="ours", nonce="n", realm="realm"):
    """The headers of a signed request."""
    made = signature(key, user, method, where, at, nonce)
    return {"X_Timestamp": at, "X_Container_Sync_Auth": f"{realm} {nonce} {made}"}


async def test_a_time_is_believed_of_who_signs_alone(clouds):
    east = clouds[0].as_("")
    where, at = f"/v1/{ACCOUNT}/c/o", "1500000000.00001"
    assert (await east.raw("PUT", where, b"x", **by("PUT", where, at))).status == 201
    assert (await clouds[0]("HEAD", "c/o")).headers["x-timestamp"] == at
    newer = "1500000000.00002"
    good = by("PUT", where, newer)
    for headers in (
        {**good, "X_Timestamp": "1500000001.00000"}, by("DELETE", where, newer), by("PUT", where + "x", newer),
        by("PUT", where, newer, key="guess"), by("PUT", where, newer, user="guess"), {"X_Timestamp": newer},
        {**good, "X_Container_Sync_Auth": "realm n"}, {**good, "X_Container_Sync_Auth": "other n 00"},
        {**good, "X_Container_Sync_Auth": "ü ü ü"}, {**good, "X_Timestamp": None},
        {"X_Timestamp": newer, "X_Container_Sync_Key": "guess"},
    ):  # fmt: skip
        assert (await east.raw("PUT", where, b"y", **headers)).status == 401, headers
    assert (await clouds[0]("PUT", "c/p", b"x", X_Timestamp=at)).status == 201
    assert (await clouds[0]("HEAD", "c/p")).headers["x-timestamp"] != at
    assert (await east.raw("PUT", where, b"old key", **by("PUT", where, newer, key="as it was"))).status == 201
    assert (await east.raw("PUT", where, b"late", **by("PUT", where, at))).status == 202
    assert (await clouds[0]("GET", "c/o")).body == b"old key"
    for wrong in ("never", "1.x", "99999999999", text(stamp() + 2 * 86_400 * 100_000)):
        assert (await east.raw("PUT", where, b"z", **by("PUT", where, wrong))).status == 400
    assert (await east.raw("GET", where, **by("GET", where, newer))).status == 401
    assert (await east.raw("DELETE", where, **by("DELETE", where, at))).status == 409
    assert (await east.raw("DELETE", where, **by("DELETE", where, "1500000000.00003"))).status == 204


async def test_who_signs_reaches_one_container_alone(clouds):
    east = clouds[0]
    stranger = east.as_("", OTHERS)
    await east("PUT", "private")
    await east("PUT", "private/o", b"secret")
    where, at = f"/v1/{ACCOUNT}/c/o", text(stamp())
    copy = await stranger.raw("PUT", where, b"", X_Copy_From="private/o", **by("PUT", where, at))
    assert copy.status == 201
    assert (await east("GET", "c/o")).body == b""
    manifest = json.dumps([{"path": "/private/o"}]).encode()
    slo = await stranger.raw("PUT", where, manifest, "multipart-manifest=put", **by("PUT", where, text(stamp())))
    assert slo.status == 201  # the bytes as they are, for nobody signed the query
    assert (await east("GET", "c/o")).body == manifest
    for body in (b"no json", b"[1]", b'[{"name":"x"}]', b'[{"name":"/c/o","bytes":5,"range":"9-2"}]', b"[]", b"{}"):
        headers = {**by("PUT", where, text(stamp())), "X_Static_Large_Object": "true"}
        status = (await stranger.raw("PUT", where, body, **headers)).status
        assert (body, status) == (body, 201 if body == b"[]" else 400)
    other = f"/v1/{ACCOUNT}/private/o"
    assert (await stranger.raw("DELETE", other, **by("DELETE", other, at))).status == 401
    await east("DELETE", "private/o")


async def test_a_url_that_leads_elsewhere_is_not_followed(tmp_path):
    reached = []

    async def away(scope, _receive, send):
        reached.append(scope["path"])
        headers = [(b"location", b"http://127.0.0.1:9/v1/a/c/o"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    hosts = ContainerSyncSettings(allowed_sync_hosts=("127.0.0.1",))
    async with object_store(tmp_path, hosts, known_s=0.0) as store, served(away) as url:
        await store("PUT", "c", X_Container_Sync_To=f"{url}/v1/a/c", X_Container_Sync_Key="k")
        await store("PUT", "c/o", b"x")
        assert await syncer(store).once() == 0
    assert reached == ["/v1/a/c/o"]


def test_signatures_are_those_of_swift():
    assert signature("realmkey", "userkey", "PUT", "/v1/a/c/%C3%BC", "1700000000.12345", "nonce") == (
        "8fc282de889e72246539f2c5fd7b4e796875c5b3"
    )


def test_a_file_of_realms_is_read_anew(tmp_path):
    conf = tmp_path / "realms.conf"
    now = [0.0]
    realms = Realms(str(conf), lambda: now[0])
    assert realms.all() == {}
    conf.write_text(CONF.format(east="https://e.test/", west="w"))
    now[0] = 299.0
    assert realms.all() == {}
    now[0] = 300.0
    found = realms.named("rEaLm")
    assert (found.keys, dict(found.clusters)) == (
        ("between us", "as it was"), {"EAST": "https://e.test//v1", "WEST": "w/v1"},
    )  # fmt: skip
    conf.write_text("no file of ours")
    assert realms.named("realm") == found
    conf.write_text("[other]\nkey = k\n")
    assert list(realms.all()) == ["OTHER"]
