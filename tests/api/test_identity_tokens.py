"""Tokens: made by a login, looked at, revoked; what a change elsewhere does to them."""

import asyncio

import pytest

from maldon.identity.service import Passwords, TokenVerifier
from tests.identity_cloud import ADMIN, DEMO_USER, QUICK, identity_cloud, project_scope


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


def shape(token):
    """The keys of a token, with those of what is in it."""
    return {k: sorted(v) if isinstance(v, dict) else type(v).__name__ for k, v in token.items()}


UNSCOPED = {
    "methods": "list",
    "user": ["domain", "id", "name", "password_expires_at"],
    "audit_ids": "list",
    "expires_at": "str",
    "issued_at": "str",
}
SCOPED = {**UNSCOPED, "roles": "list", "catalog": "list"}


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        (project_scope("admin"), {**SCOPED, "project": ["domain", "id", "name"], "is_domain": "bool"}),
        (None, {**SCOPED, "project": ["domain", "id", "name"], "is_domain": "bool"}),
        ({"domain": {"id": "default"}}, {**SCOPED, "domain": ["id", "name"]}),
        ({"domain": {"name": "Default"}}, {**SCOPED, "domain": ["id", "name"]}),
        ({"system": {"all": True}}, {**SCOPED, "system": ["all"]}),
        ({"unscoped": {}}, UNSCOPED),
        ("unscoped", UNSCOPED),
    ],
)
async def test_a_token_has_the_scope_asked_for(keystone, scope, wanted):
    got = await keystone.login("admin", ADMIN, scope)
    assert got.status == 201
    assert shape(got.json["token"]) == wanted
    looked = await keystone.look(got.headers["x-subject-token"])
    assert (looked.status, looked.body) == (200, got.body)
    assert looked.headers["x-subject-token"] == got.headers["x-subject-token"]


async def test_a_token_says_who_and_what(keystone):
    got = (await keystone.login("demo", DEMO_USER)).json["token"]
    assert got["user"]["name"] == "demo"
    assert got["user"]["domain"] == got["project"]["domain"] == {"id": "default", "name": "Default"}
    assert got["methods"] == ["password"]
    assert sorted(role["name"] for role in got["roles"]) == ["member", "reader"]
    assert (got["issued_at"], got["expires_at"]) == ("2023-11-14T22:13:21.000000Z", "2023-11-14T23:13:21.000000Z")
    (audit_id,) = got["audit_ids"]
    assert len(audit_id) == 22
    volume = next(service for service in got["catalog"] if service["type"] == "volume")
    assert {e["url"] for e in volume["endpoints"]} == {f"http://cloud.test/volume/v3/{got['project']['id']}"}
    assert sorted(e["interface"] for e in volume["endpoints"]) == ["admin", "internal", "public"]


async def test_an_address_that_wants_a_project_is_left_out_without_one(keystone):
    got = (await keystone.login("admin", ADMIN, {"system": {"all": True}})).json["token"]
    assert {s["type"]: len(s["endpoints"]) for s in got["catalog"]} == {"identity": 3, "compute": 3, "volume": 0}


async def test_the_catalog_can_be_left_out(keystone):
    proof = {"methods": ["token"], "token": {"id": keystone.token}}
    assert "catalog" not in (await keystone.auth(proof, project_scope("admin"), "?nocatalog")).json["token"]
    assert "catalog" not in (await keystone.look(keystone.token, "?nocatalog")).json["token"]
    assert "catalog" in (await keystone.look(keystone.token)).json["token"]


async def test_a_token_gets_another_of_the_same_end_and_descent(keystone):
    first = await keystone.login("demo", DEMO_USER, "unscoped")
    keystone.cloud.clock.advance(60)
    proof = {"methods": ["token"], "token": {"id": first.headers["x-subject-token"]}}
    second = await keystone.auth(proof, project_scope("demo"))
    one, two = first.json["token"], second.json["token"]
    assert two["expires_at"] == one["expires_at"]
    assert two["issued_at"] > one["issued_at"]
    assert two["methods"] == ["password", "token"]
    assert len(two["audit_ids"]) == 2
    assert two["audit_ids"][1] == one["audit_ids"][0]
    assert two["user"] == one["user"]


async def test_revoking_a_token_leaves_the_one_it_came_from(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER, "unscoped")
    proof = {"methods": ["token"], "token": {"id": demo.token}}
    child = (await demo.auth(proof, project_scope("demo"))).headers["x-subject-token"]
    assert (await demo("HEAD", "/auth/tokens", X_Subject_Token=child)).status == 200
    assert (await demo("DELETE", "/auth/tokens", X_Subject_Token=child)).status == 204
    assert (await demo("HEAD", "/auth/tokens", X_Subject_Token=child)).status == 404
    assert (await demo("DELETE", "/auth/tokens", X_Subject_Token=child)).status == 404
    assert (await demo.as_(child)("GET", "/auth/projects")).status == 401
    assert (await demo.auth({"methods": ["token"], "token": {"id": child}})).status == 404
    assert (await demo.auth(proof, project_scope("demo"))).status == 201


async def test_only_the_holder_and_admins_may_look_at_a_token_or_revoke_it(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER)
    for method in ("GET", "HEAD", "DELETE"):
        assert (await demo(method, "/auth/tokens", X_Subject_Token=keystone.token)).status == 403
    assert (await keystone.look(demo.token)).status == 200
    assert (await keystone("DELETE", "/auth/tokens", X_Subject_Token=demo.token)).status == 204
    assert (await demo("GET", "/auth/projects")).status == 401


async def test_an_expired_token_is_dead_except_for_those_who_ask_for_it(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER)
    keystone.cloud.clock.advance(QUICK.token_lifetime_s)
    assert (await demo("GET", "/auth/projects")).status == 401
    admin = await keystone.logged_in("admin", ADMIN)
    assert (await admin.look(demo.token)).status == 404
    assert (await admin.look(demo.token, "?allow_expired=1")).json["token"]["user"]["name"] == "demo"
    assert (await admin.look(demo.token, "?allow_expired=0")).status == 404
    assert (await admin("DELETE", "/auth/tokens?allow_expired=1", X_Subject_Token=demo.token)).status == 204
    assert (await admin.look(demo.token, "?allow_expired=1")).status == 404
    keystone.cloud.clock.advance(QUICK.token_lifetime_s + QUICK.expired_window_s)
    last = await keystone.logged_in("admin", ADMIN)
    assert (await last.look(admin.token, "?allow_expired=1")).status == 404


@pytest.mark.parametrize(
    ("who", "password", "scope"),
    [
        ("demo", "wrong", None),
        ("nobody", DEMO_USER, None),
        ("disabled", "pw", None),
        ("hashless", "", None),
        ("demo", DEMO_USER, project_scope("admin")),
        ("demo", DEMO_USER, project_scope("nowhere")),
        ("demo", DEMO_USER, {"project": {"id": "nowhere"}}),
        ("demo", DEMO_USER, {"domain": {"id": "default"}}),
        ("demo", DEMO_USER, {"domain": {"id": "nowhere"}}),
        ("demo", DEMO_USER, {"system": {"all": True}}),
    ],
)
async def test_a_refused_login_costs_one_check_and_says_nothing(keystone, who, password, scope):
    await keystone.make("user", name="disabled", password="pw", enabled=False)
    await keystone.make("user", name="hashless")
    passwords = keystone.cloud.kit[Passwords]
    before = passwords.checks
    got = await keystone.login(who, password, scope)
    assert got.status == 401
    assert got.json["error"]["message"] == "The request you have made requires authentication."
    assert got.headers["www-authenticate"].startswith("Keystone uri=")
    assert passwords.checks == before + 1


@pytest.mark.parametrize(
    ("identity", "scope", "status"),
    [
        ({"methods": []}, None, 400),
        ({"methods": ["password"]}, None, 400),
        ({"methods": "password"}, None, 400),
        ({"methods": ["totp"], "totp": {}}, None, 400),
        ({"methods": ["retina"], "retina": {}}, None, 401),
        ({"methods": ["token"], "token": {"id": "x"}}, None, 404),
        ({"methods": ["token"], "token": {"id": "ünïcode"}}, None, 404),
        ({"methods": ["token"], "token": {"id": 1}}, None, 400),
        ({"methods": ["password"], "password": {"user": {"name": "a", "password": "b"}}}, None, 400),
        ({"methods": ["password"], "password": {"user": {"name": "a", "password": "b", "domain": {}}}}, None, 400),
        ({"methods": ["password"], "password": {"user": {"id": "a"}}}, None, 400),
        ({"methods": ["password"], "password": {"user": {"id": "a", "password": "b" * 5000}}}, None, 400),
        (None, {"project": {"name": "a"}}, 400),
        (None, {"project": {"id": "a"}, "domain": {"id": "b"}}, 400),
        (None, {"system": {"all": False}}, 400),
        (None, {"OS-TRUST:trust": {"id": "a"}}, 404),
        (None, {}, 400),
        (None, "scoped", 400),
    ],
)
async def test_a_login_that_makes_no_sense_is_refused(keystone, identity, scope, status):
    right = {"methods": ["token"], "token": {"id": keystone.token}}
    assert (await keystone.auth(identity or right, scope)).status == status


async def test_a_default_project_without_a_role_is_passed_over(keystone):
    admin_project = await keystone.id_of("project", "admin")
    await keystone.make("user", name="guest", password="pw", default_project_id=admin_project)
    assert "project" not in (await keystone.login("guest", "pw")).json["token"]


async def change(keystone, what, demo_id, project_id):
    """One of the changes after which demo's token on the project is worth nothing."""
    match what:
        case "assignment removed":
            role_id = await keystone.id_of("role", "member")
            return await keystone("DELETE", f"/projects/{project_id}/users/{demo_id}/roles/{role_id}")
        case "user disabled":
            return await keystone("PATCH", f"/users/{demo_id}", {"user": {"enabled": False}})
        case "user disabled and enabled":
            await keystone("PATCH", f"/users/{demo_id}", {"user": {"enabled": False}})
            return await keystone("PATCH", f"/users/{demo_id}", {"user": {"enabled": True}})
        case "password reset":
            return await keystone("PATCH", f"/users/{demo_id}", {"user": {"password": "new"}})
        case "password changed":
            body = {"user": {"original_password": DEMO_USER, "password": "new"}}
            return await keystone("POST", f"/users/{demo_id}/password", body)
        case "user deleted":
            return await keystone("DELETE", f"/users/{demo_id}")
        case "project disabled":
            return await keystone("PATCH", f"/projects/{project_id}", {"project": {"enabled": False}})
        case "project deleted":
            return await keystone("DELETE", f"/projects/{project_id}")
    raise AssertionError(what)


@pytest.mark.parametrize(
    "what",
    [
        "assignment removed",
        "user disabled",
        "user disabled and enabled",
        "password reset",
        "password changed",
        "user deleted",
        "project disabled",
        "project deleted",
    ],
)
async def test_a_change_kills_remembered_tokens_at_once_here_and_within_a_second_elsewhere(keystone, what):
    demo = await keystone.logged_in("demo", DEMO_USER)
    shown = (await keystone.look(demo.token)).json["token"]
    elsewhere = TokenVerifier(keystone.cloud.db, keystone.keys, keystone.cloud.clock, QUICK)
    assert (await elsewhere.actor(demo.token)).user_name == "demo"
    assert (await change(keystone, what, shown["user"]["id"], shown["project"]["id"])).status in {200, 204}
    assert (await demo("GET", "/auth/projects")).status == 401
    assert (await keystone.look(demo.token)).status == 404
    assert (await elsewhere.actor(demo.token)).user_name == "demo"
    keystone.cloud.clock.advance(1)
    with pytest.raises(Exception, match="requires authentication"):
        await elsewhere.actor(demo.token)


async def test_a_disabled_domain_stops_its_users_and_projects(keystone):
    domain = await keystone.make("domain", name="acme")
    project = await keystone.make("project", name="p", domain_id=domain["id"])
    user = await keystone.make("user", name="u", password="pw", domain_id=domain["id"])
    role_id = await keystone.id_of("role", "member")
    for path in (f"/projects/{project['id']}", f"/domains/{domain['id']}"):
        assert (await keystone("PUT", f"{path}/users/{user['id']}/roles/{role_id}")).status == 204
    proof = {"methods": ["password"], "password": {"user": {"id": user["id"], "password": "pw"}}}
    scopes = ({"project": {"id": project["id"]}}, {"domain": {"id": domain["id"]}}, "unscoped")
    tokens = [(await keystone.auth(proof, scope)).headers["x-subject-token"] for scope in scopes]
    assert [(await keystone.look(token)).status for token in tokens] == [200, 200, 200]
    await keystone("PATCH", f"/domains/{domain['id']}", {"domain": {"enabled": False}})
    assert [(await keystone.look(token)).status for token in tokens] == [404, 404, 404]
    await keystone("PATCH", f"/domains/{domain['id']}", {"domain": {"enabled": True}})
    assert [(await keystone.look(token)).status for token in tokens] == [404, 404, 404]
    keystone.cloud.clock.advance(1)
    assert [(await keystone.auth(proof, scope)).status for scope in scopes] == [201, 201, 201]


async def test_a_new_role_shows_in_the_token_at_once(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER)
    shown = (await keystone.look(demo.token)).json["token"]
    role_id = await keystone.id_of("role", "manager")
    path = f"/projects/{shown['project']['id']}/users/{shown['user']['id']}/roles/{role_id}"
    assert (await keystone("PUT", path)).status == 204
    names = {role["name"] for role in (await keystone.look(demo.token)).json["token"]["roles"]}
    assert names == {"manager", "member", "reader"}


async def test_a_remembered_token_costs_no_sql(keystone):
    await keystone.look(keystone.token)
    before = keystone.cloud.db.statements
    for _ in range(10):
        assert (await keystone.look(keystone.token)).status == 200
    assert keystone.cloud.db.statements == before
    keystone.cloud.clock.advance(1)
    assert (await keystone.look(keystone.token)).status == 200
    assert keystone.cloud.db.statements == before + 1


async def test_a_token_learnt_while_it_was_revoked_is_not_remembered(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER)
    for _ in range(10):
        demo = await keystone.logged_in("demo", DEMO_USER)
        keystone.cloud.kit[TokenVerifier].forget()
        await asyncio.gather(
            *(keystone.look(demo.token) for _ in range(3)),
            keystone("DELETE", "/auth/tokens", X_Subject_Token=demo.token),
            *(keystone.look(demo.token) for _ in range(3)),
        )
        assert (await keystone.look(demo.token)).status == 404


async def test_the_memory_for_tokens_is_bounded(keystone):
    settings = type(QUICK)(cached_tokens=3)
    verifier = TokenVerifier(keystone.cloud.db, keystone.keys, keystone.cloud.clock, settings)
    tokens = [(await keystone.logged_in("demo", DEMO_USER)).token for _ in range(5)]
    for token in tokens:
        await verifier.actor(token)
    assert list(verifier._known) == tokens[2:]


async def test_rotated_keys_still_open_older_tokens_until_they_are_dropped(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER)
    keystone.keys.rotate()
    keystone.cloud.clock.advance(1)
    assert (await keystone.look(demo.token)).status == 200
    assert (await keystone.look((await keystone.logged_in("demo", DEMO_USER)).token)).status == 200
    keystone.keys.rotate()
    keystone.cloud.clock.advance(1)
    assert (await demo("GET", "/auth/projects")).status == 401


async def test_what_a_token_opens_is_listed(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER, "unscoped")
    got = (await demo("GET", "/auth/projects")).json
    assert [p["name"] for p in got["projects"]] == ["demo"]
    assert got["links"] == {"self": "http://cloud.test/identity/v3/auth/projects", "previous": None, "next": None}
    assert (await demo("GET", "/auth/domains")).json["domains"] == []
    assert (await demo("GET", "/auth/system")).json["system"] == []
    assert (await demo("GET", "/auth/catalog")).status == 403
    assert [d["id"] for d in (await keystone("GET", "/auth/domains")).json["domains"]] == ["default"]
    assert (await keystone("GET", "/auth/system")).json["system"] == [{"all": True}]
    catalog = (await keystone("GET", "/auth/catalog")).json["catalog"]
    assert sorted(service["name"] for service in catalog) == ["cinder", "keystone", "nova"]


async def test_a_hash_of_other_parameters_is_accepted_and_made_anew(keystone):
    from sqlalchemy import select, update

    from maldon.identity.models.user import user

    old = [await Passwords(type(QUICK)(hash_memory_kib=128)).hash(DEMO_USER)]
    bcrypt = pytest.importorskip("bcrypt")
    old.append(bcrypt.hashpw(DEMO_USER.encode(), bcrypt.gensalt(4)).decode())
    for stored in old:
        async with keystone.cloud.db.begin() as session:
            await session.run(update(user).where(user.c.name == "demo").values(password=stored))
        assert (await keystone.login("demo", "wrong")).status == 401
        assert (await keystone.login("demo", DEMO_USER)).status == 201
        async with keystone.cloud.db.read() as session:
            now = await session.scalar(select(user.c.password).where(user.c.name == "demo"))
        assert now.startswith("$argon2id$v=19$m=64,t=1,p=1$")
        assert (await keystone.login("demo", DEMO_USER)).status == 201
