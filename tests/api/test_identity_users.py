"""Users, their passwords, groups and who is in them."""

import pytest

from maldon.identity.service import Passwords
from tests.identity_cloud import ADMIN, DEMO_USER, identity_cloud, project_scope


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


async def test_a_user_is_shown_as_it_was_made_without_the_password(keystone):
    project_id = await keystone.id_of("project", "demo")
    made = await keystone.make(
        "user", name="a", password="pw", email="a@b.c", description="d", default_project_id=project_id, rank=[1, None]
    )
    assert made == {
        "id": made["id"],
        "name": "a",
        "domain_id": "default",
        "enabled": True,
        "email": "a@b.c",
        "description": "d",
        "rank": [1, None],
        "default_project_id": project_id,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"http://cloud.test/identity/v3/users/{made['id']}"},
    }
    assert await keystone.show("user", made["id"]) == made
    assert made in (await keystone("GET", "/users")).json["users"]


async def test_a_user_changes_and_goes(keystone):
    made = await keystone.make("user", name="a", password="pw", email="x")
    path = f"/users/{made['id']}"
    got = (await keystone("PATCH", path, {"user": {"name": "b", "email": None, "enabled": False}})).json["user"]
    assert got == {**made, "name": "b", "email": None, "enabled": False}
    assert (await keystone("PATCH", path, {"user": {"domain_id": "other"}})).status == 400
    assert (await keystone("PATCH", path, {"user": {"domain_id": "default"}})).status == 200
    assert (await keystone("DELETE", path)).status == 204
    assert [(await keystone(method, path)).status for method in ("GET", "DELETE")] == [404, 404]


async def test_users_are_found_by_filters(keystone):
    await keystone.make("user", name="off", enabled=False)
    for query, wanted in {"enabled=false": ["off"], "name=demo": ["demo"], "name__contains=ff": ["off"]}.items():
        assert [u["name"] for u in (await keystone("GET", f"/users?{query}")).json["users"]] == wanted


async def test_a_user_belongs_to_a_domain_that_exists(keystone):
    got = await keystone("POST", "/users", {"user": {"name": "a", "domain_id": "0" * 32}})
    assert (got.status, got.json["error"]["title"]) == (404, "Not Found")
    project_id = await keystone.id_of("project", "demo")
    assert (await keystone("POST", "/users", {"user": {"name": "a", "domain_id": project_id}})).status == 404


async def test_a_user_changes_the_own_password(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER)
    id_ = await keystone.id_of("user", "demo")
    passwords = keystone.cloud.kit[Passwords]
    for user_id, old in ((id_, "wrong"), ("0" * 32, DEMO_USER)):
        before = passwords.checks
        got = await demo("POST", f"/users/{user_id}/password", {"user": {"password": "x", "original_password": old}})
        assert (got.status, got.json["error"]["message"]) == (
            401,
            "The request you have made requires authentication.",
        )
        assert passwords.checks == before + 1
    same = {"user": {"password": DEMO_USER, "original_password": DEMO_USER}}
    assert (await demo("POST", f"/users/{id_}/password", same)).status == 400
    keystone.cloud.clock.advance(1)
    body = {"user": {"password": "new", "original_password": DEMO_USER}}
    assert (await demo("POST", f"/users/{id_}/password", body)).status == 204
    assert (await demo("GET", "/auth/projects")).status == 401
    keystone.cloud.clock.advance(1)
    assert (await keystone.login("demo", DEMO_USER)).status == 401
    assert (await keystone.login("demo", "new")).status == 201


async def test_a_locked_password_is_not_changed_by_its_user(keystone):
    made = await keystone.make("user", name="a", password="pw", options={"lock_password": True})
    body = {"user": {"password": "new", "original_password": "pw"}}
    assert (await keystone("POST", f"/users/{made['id']}/password", body)).status == 400


async def test_options_that_nothing_would_honour_are_refused(keystone):
    for options in ({"unknown": 1}, {"lock_password": "yes"}, {"multi_factor_auth_rules": [[]]}):
        assert (await keystone("POST", "/users", {"user": {"name": "a", "options": options}})).status == 400


async def test_options_are_kept_changed_and_taken_away(keystone):
    rules = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"], ["token"]]}
    made = await keystone.make("user", name="a", options=rules | {"ignore_password_expiry": True})
    assert made["options"] == rules | {"ignore_password_expiry": True}
    body = {"user": {"options": {"multi_factor_auth_enabled": False, "multi_factor_auth_rules": None}}}
    changed = (await keystone("PATCH", f"/users/{made['id']}", body)).json["user"]["options"]
    assert changed == {"multi_factor_auth_enabled": False, "ignore_password_expiry": True}


async def test_the_default_project_of_a_user_is_no_domain(keystone):
    body = {"user": {"name": "a", "default_project_id": "default"}}
    assert (await keystone("POST", "/users", body)).status == 400
    made = await keystone.make("user", name="a", default_project_id="a project to come")
    assert (await keystone("PATCH", f"/users/{made['id']}", body)).status == 400


async def test_a_member_sees_the_own_user_only(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER)
    own, other = await keystone.id_of("user", "demo"), await keystone.id_of("user", "admin")
    for path in (f"/users/{own}", f"/users/{own}/projects", f"/users/{own}/groups"):
        assert (await demo("GET", path)).status == 200
    for path in (f"/users/{other}", f"/users/{other}/projects", f"/users/{other}/groups", "/users", "/users/none"):
        assert (await demo("GET", path)).status == 403
    for method, body in (("PATCH", {"user": {"name": "x"}}), ("DELETE", None)):
        assert (await demo(method, f"/users/{own}", body)).status == 403


async def test_the_projects_of_a_user_are_those_with_a_role(keystone):
    user = await keystone.make("user", name="a")
    group = await keystone.make("group", name="g")
    role_id = await keystone.id_of("role", "member")
    await keystone("PUT", f"/groups/{group['id']}/users/{user['id']}")
    top = await keystone.make("project", name="top")
    low = await keystone.make("project", name="low", parent_id=top["id"])
    direct = await keystone.make("project", name="direct")
    by_group = await keystone.make("project", name="by group", enabled=False)
    await keystone.make("project", name="not at all")
    for path in (
        f"/projects/{direct['id']}/users/{user['id']}/roles/{role_id}",
        f"/projects/{by_group['id']}/groups/{group['id']}/roles/{role_id}",
        f"/OS-INHERIT/projects/{top['id']}/users/{user['id']}/roles/{role_id}/inherited_to_projects",
    ):
        assert (await keystone("PUT", path)).status == 204
    listed = (await keystone("GET", f"/users/{user['id']}/projects")).json["projects"]
    assert sorted(p["name"] for p in listed) == ["by group", "direct", "low"]
    assert low in listed
    await keystone("PATCH", f"/users/{user['id']}", {"user": {"password": "pw"}})
    keystone.cloud.clock.advance(1)
    own = await keystone.logged_in("a", "pw")
    assert sorted(p["name"] for p in (await own("GET", "/auth/projects")).json["projects"]) == ["direct", "low"]


async def test_a_group_lives(keystone):
    made = await keystone.make("group", name="g", description="d", project_id="x")
    assert made == {
        "id": made["id"],
        "name": "g",
        "domain_id": "default",
        "description": "d",
        "project_id": "x",
        "links": {"self": f"http://cloud.test/identity/v3/groups/{made['id']}"},
    }
    path = f"/groups/{made['id']}"
    changed = {**made, "name": "h"}
    assert (await keystone("PATCH", path, {"group": {"name": "h"}})).json["group"] == changed
    assert await keystone.show("group", made["id"]) == changed
    assert (await keystone("GET", "/groups?name=h")).json["groups"] == [changed]
    assert (await keystone("PATCH", path, {"group": {"domain_id": "x"}})).status == 400
    assert (await keystone("DELETE", path)).status == 204
    assert (await keystone("GET", path)).status == 404


async def test_users_enter_and_leave_groups(keystone):
    group, user = await keystone.make("group", name="g"), await keystone.make("user", name="u")
    path = f"/groups/{group['id']}/users/{user['id']}"
    assert (await keystone("HEAD", path)).status == 404
    assert [(await keystone("PUT", path)).status for _ in range(2)] == [204, 204]
    assert (await keystone("HEAD", path)).status == 204
    assert (await keystone("GET", f"/groups/{group['id']}/users")).json["users"] == [user]
    wanted = {**group, "membership_expires_at": None}
    assert (await keystone("GET", f"/users/{user['id']}/groups")).json["groups"] == [wanted]
    assert [(await keystone("DELETE", path)).status for _ in range(2)] == [204, 404]
    for missing in (f"/groups/none/users/{user['id']}", f"/groups/{group['id']}/users/none"):
        assert [(await keystone(method, missing)).status for method in ("PUT", "HEAD", "DELETE")] == [404] * 3


async def test_a_role_by_a_group_counts_as_long_as_one_is_in_it(keystone):
    user = await keystone.make("user", name="u", password="pw")
    group = await keystone.make("group", name="g")
    project_id, role_id = await keystone.id_of("project", "demo"), await keystone.id_of("role", "manager")
    await keystone("PUT", f"/projects/{project_id}/groups/{group['id']}/roles/{role_id}")
    assert (await keystone.login("u", "pw", project_scope("demo"))).status == 401
    await keystone("PUT", f"/groups/{group['id']}/users/{user['id']}")
    own = await keystone.logged_in("u", "pw", project_scope("demo"))
    roles = (await keystone.look(own.token)).json["token"]["roles"]
    assert {r["name"] for r in roles} == {"manager", "member", "reader"}
    await keystone("DELETE", f"/groups/{group['id']}/users/{user['id']}")
    assert (await own("GET", "/auth/projects")).status == 401


async def test_the_first_password_still_works_after_the_cloud_begins_again(keystone):
    from maldon.identity.service import bootstrap
    from tests.identity_cloud import START

    await keystone("PATCH", f"/users/{await keystone.id_of('user', 'demo')}", {"user": {"password": "own choice"}})
    assert await bootstrap(keystone.cloud.op(), START) is False
    keystone.cloud.clock.advance(1)
    assert (await keystone.login("admin", ADMIN)).status == 201
    assert (await keystone.login("demo", "own choice")).status == 201
