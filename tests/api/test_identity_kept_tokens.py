"""UUID tokens kept in a key-value store, beside a real Redis; and what was revoked of late."""

from dataclasses import replace

import pytest

from maldon.drivers.keyvalue.memory import MemoryKeyValue
from maldon.drivers.keyvalue.redis import RedisKeyValue
from maldon.identity.service import TokenVerifier
from tests.identity_cloud import ADMIN, DEMO_USER, QUICK, identity_cloud, project_scope
from tests.servers import redis

KEPT = replace(QUICK, tokens="uuid")


@pytest.fixture(params=["memory", "redis"])
async def store(request):
    made = RedisKeyValue(request.getfixturevalue("redis_url")) if request.param == "redis" else MemoryKeyValue()
    yield made
    await made.close()


@pytest.fixture
async def keystone(tmp_path, store):
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path, KEPT, store=store) as made:
        yield made


def elsewhere(keystone, store):
    return TokenVerifier(keystone.cloud.db, keystone.keys, keystone.cloud.clock, KEPT, store)


async def test_a_kept_token_is_short_and_says_what_a_sealed_one_says(keystone, store):
    demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
    assert (len(demo.token), demo.token.isalnum()) == (32, True)
    shown = (await keystone.look(demo.token)).json["token"]
    assert (shown["user"]["name"], shown["project"]["name"]) == ("demo", "demo")
    assert (await elsewhere(keystone, store).actor(demo.token)).user_name == "demo"
    proof = {"methods": ["token"], "token": {"id": demo.token}}
    assert len((await keystone.auth(proof, "unscoped")).json["token"]["audit_ids"]) == 2
    for wrong in ("0" * 32, demo.token[:-1], demo.token.upper(), "ünï", "x" * 2000):
        assert (await keystone.look(wrong)).status == 404


async def test_who_reads_the_store_learns_no_token(keystone, store):
    demo = await keystone.logged_in("demo", DEMO_USER)
    assert [key async for key, _ in store.scan("token/") if demo.token in key] == []


async def test_a_revoked_kept_token_is_refused_everywhere_within_a_second(keystone, store):
    demo = await keystone.logged_in("demo", DEMO_USER)
    other = elsewhere(keystone, store)
    await other.actor(demo.token)
    assert (await keystone("DELETE", "/auth/tokens", X_Subject_Token=demo.token)).status == 204
    assert (await demo("GET", "/auth/projects")).status == 401
    keystone.cloud.clock.advance(1)
    with pytest.raises(Exception, match="requires authentication"):
        await other.actor(demo.token)


async def test_without_the_store_new_tokens_are_503_and_known_ones_go_on(tmp_path):
    with redis() as server:
        store = RedisKeyValue(server.url)
        async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path, KEPT, store=store) as keystone:
            demo = await keystone.logged_in("demo", DEMO_USER)
            assert (await demo("GET", "/auth/projects")).status == 200
            server.kill()
            assert (await demo("GET", "/auth/projects")).status == 200
            got = await keystone.login("demo", DEMO_USER)
            assert (got.status, got.json["error"]["message"]) == (
                503,
                "Tokens cannot be looked up at the moment; please try again.",
            )
            assert (await keystone.look("0" * 32)).status == 503
            server.start()
            assert (await keystone.login("demo", DEMO_USER)).status == 201
        await store.close()


async def test_what_was_revoked_of_late_is_listed(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as keystone:
        demo = await keystone.logged_in("demo", DEMO_USER)
        shown = (await keystone.look(demo.token)).json["token"]
        user_id, project_id = shown["user"]["id"], shown["project"]["id"]
        keystone.cloud.clock.advance(10)
        assert (await demo("DELETE", "/auth/tokens", X_Subject_Token=demo.token)).status == 204
        keystone.cloud.clock.advance(10)
        assert (await keystone("PATCH", f"/users/{user_id}", {"user": {"password": "new"}})).status == 200
        keystone.cloud.clock.advance(10)
        assert (await keystone("PATCH", f"/projects/{project_id}", {"project": {"enabled": False}})).status == 200
        single = {"audit_id": shown["audit_ids"][0], "issued_before": "2023-11-14T22:13:31.000000Z"}
        user = {"user_id": user_id, "issued_before": "2023-11-14T22:13:41.000000Z"}
        project = {"project_id": project_id, "issued_before": "2023-11-14T22:13:51.000000Z"}
        assert (await keystone("GET", "/OS-REVOKE/events")).json["events"] == [single, user, project]
        since = "/OS-REVOKE/events?since=2023-11-14T22:13:41Z"
        assert (await keystone("GET", since)).json["events"] == [user, project]
        assert (await keystone("GET", "/OS-REVOKE/events?since=yesterday")).status == 400
        keystone.cloud.clock.advance(QUICK.token_lifetime_s)
        late = await keystone.logged_in("admin", ADMIN)
        assert (await late("GET", "/OS-REVOKE/events")).json["events"] == []
        ann = (await late.user("ann", "reader", "admin"))["name"]
        assert (
            await (await late.logged_in(ann, "pw", project_scope("admin")))("GET", "/OS-REVOKE/events")
        ).status == 403
