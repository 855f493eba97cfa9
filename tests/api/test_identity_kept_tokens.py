"""UUID tokens kept in a key-value store, beside a real Redis; and what was revoked of late."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from maldon.drivers.keyvalue.memory import MemoryKeyValue
from maldon.drivers.keyvalue.redis import RedisKeyValue
from maldon.identity.models.token import revocation
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


async def test_what_is_gone_or_taken_away_is_listed_until_its_tokens_have_ended(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as keystone:
        made = {
            noun: await keystone.make(noun, name=f"a {noun}") for noun in ("user", "group", "project", "role", "domain")
        }
        user, group, project, role, domain = (
            made[noun]["id"] for noun in ("user", "group", "project", "role", "domain")
        )
        below = await keystone.make("project", name="below", domain_id=domain)
        grants = (
            f"/projects/{project}/users/{user}",
            f"/projects/{project}/groups/{group}",
            f"/domains/default/users/{user}",
        )
        await keystone("PUT", f"/groups/{group}/users/{user}")
        await keystone("PATCH", f"/domains/{domain}", {"domain": {"enabled": False}})
        keystone.cloud.clock.advance(QUICK.token_lifetime_s)
        admin = await keystone.logged_in("admin", ADMIN, project_scope("admin"))
        for grant in grants:
            assert (await admin("PUT", f"{grant}/roles/{role}")).status == 204
        assert (
            await admin("PUT", f"/OS-INHERIT/domains/default/users/{user}/roles/{role}/inherited_to_projects")
        ).status == 204
        paths = [
            *(f"{grant}/roles/{role}" for grant in grants),
            f"/OS-INHERIT/domains/default/users/{user}/roles/{role}/inherited_to_projects",
            f"/groups/{group}/users/{user}",
            f"/roles/{role}",
            f"/users/{user}",
            f"/projects/{project}",
            f"/domains/{domain}",
        ]
        for path in paths:
            admin.cloud.clock.advance(1)
            assert (await admin("DELETE", path)).status == 204, path
        held = {"user_id": user, "role_id": role}
        told = [
            held | {"project_id": project},
            held | {"project_id": project},
            held | {"domain_id": "default"},
            held,
            {"user_id": user},
            {"role_id": role},
            {"user_id": user},
            {"project_id": project},
        ]
        events = (await admin("GET", "/OS-REVOKE/events")).json["events"]
        without_time = [{name: value for name, value in event.items() if name != "issued_before"} for event in events]
        assert without_time[:-2] == told
        assert sorted(without_time[-2:], key=str) == [{"domain_id": domain}, {"project_id": below["id"]}]
        assert [event["issued_before"] for event in events] == sorted(event["issued_before"] for event in events)
        since = (await admin("GET", f"/OS-REVOKE/events?since={events[-1]['issued_before']}")).json["events"]
        assert since == events[-2:]
        admin.cloud.clock.advance(QUICK.token_lifetime_s)
        late = await admin.logged_in("admin", ADMIN, project_scope("admin"))
        assert (await late("GET", "/OS-REVOKE/events")).json["events"] == []
        other = await late.make("user", name="other")
        assert (await late("DELETE", f"/users/{other['id']}")).status == 204
        async with late.cloud.db.read() as session:
            assert [row.about for row in await session.all(select(revocation))] == [{"user_id": other["id"]}]
