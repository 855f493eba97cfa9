"""Roles, what they imply, and who has them where."""

import pytest

from tests.identity_cloud import identity_cloud


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


async def assignments(keystone, query):
    got = await keystone("GET", f"/role_assignments?{query}")
    assert got.status == 200, got.body
    return got.json["role_assignments"]


async def test_a_role_lives(keystone):
    made = await keystone.make("role", name="r", description="d", rank=1)
    assert made == {
        "id": made["id"],
        "name": "r",
        "domain_id": None,
        "description": "d",
        "options": {},
        "rank": 1,
        "links": {"self": f"http://cloud.test/identity/v3/roles/{made['id']}"},
    }
    path = f"/roles/{made['id']}"
    assert (await keystone("PATCH", path, {"role": {"name": "s"}})).json["role"] == {**made, "name": "s"}
    assert (await keystone("GET", "/roles?name=s")).json["roles"] == [{**made, "name": "s"}]
    assert (await keystone("POST", "/roles", {"role": {"name": "s"}})).status == 409
    assert (await keystone("DELETE", path)).status == 204
    assert (await keystone("GET", path)).status == 404


async def test_the_roles_every_cloud_has_cannot_be_deleted(keystone):
    listed = (await keystone("GET", "/roles")).json["roles"]
    wanted = ["ResellerAdmin", "admin", "agent", "manager", "member", "reader", "service"]
    assert sorted(r["name"] for r in listed) == wanted
    assert (await keystone("DELETE", f"/roles/{await keystone.id_of('role', 'member')}")).status == 403


async def test_roles_imply_one_another(keystone):
    a, b, c = [await keystone.make("role", name=name) for name in "abc"]
    for prior, then in ((a, b), (b, c)):
        path = f"/roles/{prior['id']}/implies/{then['id']}"
        assert (await keystone("GET", path)).status == 404
        assert (await keystone("HEAD", path)).status == 404
        made = await keystone("PUT", path)
        assert made.status == 201
        assert made.json["role_inference"]["implies"]["name"] == then["name"]
        assert (await keystone("PUT", path)).status == 201
        assert (await keystone("HEAD", path)).status == 204
        assert (await keystone("GET", path)).json == made.json
    listed = (await keystone("GET", f"/roles/{a['id']}/implies")).json["role_inference"]
    assert (listed["prior_role"]["id"], [r["id"] for r in listed["implies"]]) == (a["id"], [b["id"]])
    rules = (await keystone("GET", "/role_inferences")).json["role_inferences"]
    assert {(r["prior_role"]["name"], *(i["name"] for i in r["implies"])) for r in rules} == {
        ("a", "b"),
        ("b", "c"),
        ("admin", "manager"),
        ("manager", "member"),
        ("member", "reader"),
    }
    assert (await keystone("PUT", f"/roles/{c['id']}/implies/{a['id']}")).status == 201
    await keystone.user("u", role="a")
    user = await keystone.logged_in("u", "pw", {"project": {"name": "demo", "domain": {"id": "default"}}})
    shown = (await keystone.look(user.token)).json["token"]["roles"]
    assert [role["name"] for role in shown] == ["a", "b", "c"]
    assert (await keystone("DELETE", f"/roles/{a['id']}/implies/{b['id']}")).status == 204
    assert (await keystone("DELETE", f"/roles/{a['id']}/implies/{b['id']}")).status == 404
    shown = (await keystone.look(user.token)).json["token"]["roles"]
    assert [role["name"] for role in shown] == ["a"]


async def test_some_implications_are_forbidden(keystone):
    domain = await keystone.make("domain", name="acme")
    own = await keystone.make("role", name="own", domain_id=domain["id"])
    member, admin = await keystone.id_of("role", "member"), await keystone.id_of("role", "admin")
    for prior, then, status in [
        (own["id"], member, 201),
        (member, own["id"], 403),
        (member, member, 403),
        (member, admin, 403),
        (member, "none", 404),
        ("none", member, 404),
    ]:
        assert (await keystone("PUT", f"/roles/{prior}/implies/{then}")).status == status, (prior, then)


async def test_a_role_of_a_domain_stays_there_and_counts_by_what_it_implies(keystone):
    domain = await keystone.make("domain", name="acme")
    own = await keystone.make("role", name="member", domain_id=domain["id"])
    assert (await keystone("GET", f"/roles?domain_id={domain['id']}")).json["roles"] == [own]
    assert own not in (await keystone("GET", "/roles")).json["roles"]
    inside = await keystone.make("project", name="inside", domain_id=domain["id"])
    user = await keystone.make("user", name="u", password="pw")
    path = f"/users/{user['id']}/roles/{own['id']}"
    assert (await keystone("PUT", f"/projects/{await keystone.id_of('project', 'demo')}{path}")).status == 403
    assert (await keystone("PUT", f"/projects/{inside['id']}{path}")).status == 204
    query = f"effective&user.id={user['id']}&scope.project.id={inside['id']}"
    assert await assignments(keystone, query) == []
    assert (await keystone.login("u", "pw", {"project": {"id": inside["id"]}})).status == 401
    reader = await keystone.id_of("role", "reader")
    await keystone("PUT", f"/roles/{own['id']}/implies/{reader}")
    assert [a["role"]["id"] for a in await assignments(keystone, query)] == [reader]
    got = await keystone.login("u", "pw", {"project": {"id": inside["id"]}})
    assert [r["name"] for r in got.json["token"]["roles"]] == ["reader"]


@pytest.mark.parametrize("actor", ["user", "group"])
@pytest.mark.parametrize("target", ["project", "domain", "system"])
async def test_a_role_is_given_seen_and_taken(keystone, actor, target):
    made = await keystone.make(actor, name="a")
    place = {"project": f"/projects/{await keystone.id_of('project', 'demo')}", "domain": "/domains/default"}
    role_id = await keystone.id_of("role", "member")
    path = f"{place.get(target, '/system')}/{actor}s/{made['id']}/roles"
    assert (await keystone("GET", path)).json["roles"] == []
    assert (await keystone("HEAD", f"{path}/{role_id}")).status == 404
    assert [(await keystone("PUT", f"{path}/{role_id}")).status for _ in range(2)] == [204, 204]
    assert [(await keystone(method, f"{path}/{role_id}")).status for method in ("HEAD", "GET")] == [204, 204]
    assert [r["name"] for r in (await keystone("GET", path)).json["roles"]] == ["member"]
    (seen,) = await assignments(keystone, f"{actor}.id={made['id']}")
    assert seen["links"]["assignment"] == f"http://cloud.test/identity/v3{path}/{role_id}"
    assert [(await keystone("DELETE", f"{path}/{role_id}")).status for _ in range(2)] == [204, 404]
    assert (await keystone("PUT", f"{path}/none")).status == 404
    assert (await keystone("PUT", path.replace(made["id"], "none") + f"/{role_id}")).status == 404


async def test_an_inherited_role_counts_below_its_target_only(keystone):
    user = await keystone.make("user", name="u", password="pw")
    role_id = await keystone.id_of("role", "reader")
    domain = await keystone.make("domain", name="acme")
    top = await keystone.make("project", name="top", domain_id=domain["id"])
    low = await keystone.make("project", name="low", parent_id=top["id"])

    async def scopes():
        got = []
        for name, scope in {"domain": domain, "top": top, "low": low}.items():
            kind = "domain" if name == "domain" else "project"
            if (await keystone.login("u", "pw", {kind: {"id": scope["id"]}})).status == 201:
                got.append(name)
        return got

    for target, reached in ((f"domains/{domain['id']}", ["top", "low"]), (f"projects/{top['id']}", ["low"])):
        path = f"/OS-INHERIT/{target}/users/{user['id']}/roles/{role_id}/inherited_to_projects"
        assert (await keystone("HEAD", path)).status == 404
        assert (await keystone("PUT", path)).status == 204
        assert (await keystone("HEAD", path)).status == 204
        assert await scopes() == reached
        (plain,) = await assignments(keystone, f"user.id={user['id']}")
        assert plain["scope"]["OS-INHERIT:inherited_to"] == "projects"
        effective = await assignments(keystone, f"effective&user.id={user['id']}")
        assert len(effective) == len(reached)
        assert (await keystone("DELETE", path)).status == 204
        assert await scopes() == []


async def test_assignments_are_listed_by_filters(keystone):
    user, group = await keystone.make("user", name="u"), await keystone.make("group", name="g")
    await keystone("PUT", f"/groups/{group['id']}/users/{user['id']}")
    project_id = await keystone.id_of("project", "demo")
    ids = {name: await keystone.id_of("role", name) for name in ("manager", "member", "reader")}
    await keystone("PUT", f"/projects/{project_id}/groups/{group['id']}/roles/{ids['manager']}")
    await keystone("PUT", f"/domains/default/users/{user['id']}/roles/{ids['reader']}")
    await keystone("PUT", f"/system/users/{user['id']}/roles/{ids['reader']}")
    of = f"user.id={user['id']}"
    for query, count in {
        of: 2,
        f"group.id={group['id']}": 1,
        f"{of}&scope.system=all": 1,
        f"{of}&scope.domain.id=default": 1,
        f"{of}&scope.project.id={project_id}": 0,
        f"{of}&effective": 5,
        f"{of}&effective&scope.project.id={project_id}": 3,
        f"{of}&effective&role.id={ids['reader']}": 3,
        f"{of}&effective=false": 2,
        f"{of}&scope.OS-INHERIT:inherited_to=projects": 0,
        f"role.id={ids['manager']}": 1,
        f"scope.project.id={project_id}&include_subtree": 2,
    }.items():
        assert len(await assignments(keystone, query)) == count, query
    for query in (
        f"{of}&group.id=x",
        "scope.system=all&scope.domain.id=x",
        "effective&group.id=x",
        "include_subtree",
    ):
        assert (await keystone("GET", f"/role_assignments?{query}")).status == 400, query


async def test_assignments_tell_names_when_asked(keystone):
    user, group = await keystone.make("user", name="u"), await keystone.make("group", name="g")
    await keystone("PUT", f"/groups/{group['id']}/users/{user['id']}")
    project_id, role_id = await keystone.id_of("project", "demo"), await keystone.id_of("role", "reader")
    await keystone("PUT", f"/projects/{project_id}/groups/{group['id']}/roles/{role_id}")
    default = {"id": "default", "name": "Default"}
    base = "http://cloud.test/identity/v3"
    link = f"{base}/projects/{project_id}/groups/{group['id']}/roles/{role_id}"
    role = {"id": role_id, "name": "reader"}
    scope = {"project": {"id": project_id, "name": "demo", "domain": default}}
    assert await assignments(keystone, f"include_names&group.id={group['id']}") == [
        {
            "role": role,
            "group": {"id": group["id"], "name": "g", "domain": default},
            "scope": scope,
            "links": {"assignment": link},
        }
    ]
    assert await assignments(keystone, f"include_names=1&effective&user.id={user['id']}") == [
        {
            "role": role,
            "user": {"id": user["id"], "name": "u", "domain": default},
            "scope": scope,
            "links": {"assignment": link, "membership": f"{base}/groups/{group['id']}/users/{user['id']}"},
        }
    ]
