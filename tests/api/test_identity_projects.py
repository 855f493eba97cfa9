"""Domains, projects and their tags."""

import pytest
from sqlalchemy import insert

from maldon.identity.api.project import new_project
from maldon.identity.models.project import project, project_tag
from tests.identity_cloud import ADMIN, DEMO_USER, identity_cloud

NOBODY = "0" * 32


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


async def names(keystone, query):
    return sorted(p["name"] for p in (await keystone("GET", f"/projects?{query}")).json["projects"])


async def test_a_project_is_shown_as_it_was_made(keystone):
    made = await keystone.make("project", name="a", description="d", tags=["y", "x"], colour="red", links="mine")
    assert made == {
        "id": made["id"],
        "name": "a",
        "description": "d",
        "domain_id": "default",
        "parent_id": "default",
        "is_domain": False,
        "enabled": True,
        "options": {},
        "tags": ["x", "y"],
        "colour": "red",
        "links": {"self": f"http://cloud.test/identity/v3/projects/{made['id']}"},
    }
    assert await keystone.show("project", made["id"]) == made
    assert made in (await keystone("GET", "/projects")).json["projects"]


async def test_a_project_changes_and_goes(keystone):
    made = await keystone.make("project", name="a", colour="red")
    body = {"project": {"name": "b", "description": None, "shape": "round", "tags": ["t"]}}
    changed = (await keystone("PATCH", f"/projects/{made['id']}", body)).json["project"]
    assert changed == {**made, "name": "b", "description": None, "shape": "round", "tags": ["t"]}
    assert (await keystone("DELETE", f"/projects/{made['id']}")).status == 204
    assert (await keystone("GET", f"/projects/{made['id']}")).status == 404
    assert (await keystone("DELETE", f"/projects/{made['id']}")).status == 404


async def test_projects_form_a_tree(keystone):
    top = await keystone.make("project", name="top")
    mid = await keystone.make("project", name="mid", parent_id=top["id"])
    low = await keystone.make("project", name="low", parent_id=mid["id"])
    path = f"/projects/{mid['id']}"
    shown = (await keystone("GET", f"{path}?parents_as_list&subtree_as_list")).json["project"]
    assert [p["project"]["id"] for p in shown["parents"]] == [top["id"], "default"]
    assert [p["project"]["id"] for p in shown["subtree"]] == [low["id"]]
    shown = (await keystone("GET", f"{path}?parents_as_ids&subtree_as_ids")).json["project"]
    assert (shown["parents"], shown["subtree"]) == ({top["id"]: {"default": None}}, {low["id"]: None})
    assert await names(keystone, f"parent_id={top['id']}") == ["mid"]

    assert (await keystone("DELETE", path)).status == 403
    assert (await keystone("PATCH", path, {"project": {"enabled": False}})).status == 403
    assert (await keystone("PATCH", path, {"project": {"parent_id": "default"}})).status == 403
    assert (await keystone("PATCH", path, {"project": {"domain_id": NOBODY}})).status == 400
    for id_ in (low["id"], mid["id"]):
        assert (await keystone("PATCH", f"/projects/{id_}", {"project": {"enabled": False}})).status == 200
    assert (await keystone("PATCH", f"/projects/{low['id']}", {"project": {"enabled": True}})).status == 403
    assert (await keystone("POST", "/projects", {"project": {"name": "x", "parent_id": mid["id"]}})).status == 400


async def test_a_whole_tree_is_disabled_enabled_and_deleted(keystone):
    top = await keystone.make("project", name="top")
    mid = await keystone.make("project", name="mid", parent_id=top["id"])
    low = await keystone.make("project", name="low", parent_id=mid["id"], options={"immutable": True})
    role_id, user_id = await keystone.id_of("role", "member"), await keystone.id_of("user", "admin")
    assert (await keystone("PUT", f"/projects/{low['id']}/users/{user_id}/roles/{role_id}")).status == 204
    own = await keystone.logged_in("admin", ADMIN, {"project": {"id": low["id"]}})
    path = f"/projects/{top['id']}/cascade"
    off, on = ({"project": {"enabled": enabled}} for enabled in (False, True))

    async def enabled():
        return [(await keystone.show("project", one["id"]))["enabled"] for one in (top, mid, low)]

    assert (await keystone("PATCH", path, off)).status == 403
    await keystone("PATCH", f"/projects/{low['id']}", {"project": {"options": {"immutable": None}}})
    keystone.cloud.clock.advance(1)
    assert (await keystone("DELETE", path)).status == 403
    assert (await keystone("PATCH", path, off)).json["project"] == {**top, "enabled": False}
    assert await enabled() == [False, False, False]
    assert (await own("GET", "/auth/catalog")).status == 401
    assert (await keystone("PATCH", f"/projects/{mid['id']}/cascade", on)).status == 403
    assert (await keystone("PATCH", path, on)).status == 200
    assert await enabled() == [True, True, True]
    assert (await own("GET", "/auth/catalog")).status == 401
    for body in ({"project": {"enabled": False, "name": "x"}}, {"project": {}}):
        assert (await keystone("PATCH", path, body)).status == 400
    assert (await keystone("PATCH", "/projects/default/cascade", off)).status == 403
    assert (await keystone("PATCH", path, off)).status == 200
    assert (await keystone("DELETE", path)).status == 204
    assert await names(keystone, "") == ["admin", "demo", "service"]
    assert (await keystone("GET", f"/role_assignments?scope.project.id={low['id']}")).json["role_assignments"] == []


async def test_the_tree_is_five_deep(keystone):
    parent = "default"
    for depth in range(5):
        parent = (await keystone.make("project", name=f"p{depth}", parent_id=parent))["id"]
    assert (await keystone("POST", "/projects", {"project": {"name": "x", "parent_id": parent}})).status == 403


async def test_projects_are_found_by_filters_and_tags(keystone):
    await keystone.make("project", name="Alpha%", tags=["red", "round"])
    await keystone.make("project", name="alpine", tags=["red"], enabled=False)
    await keystone.make("project", name="beta", tags=["blue"])
    ours = ["Alpha%", "alpine", "beta"]
    for query, wanted in {
        "name=alpine": ["alpine"],
        "name__contains=lp": ["Alpha%", "alpine"],
        "name__startswith=al": ["alpine"],
        "name__istartswith=AL": ["Alpha%", "alpine"],
        "name__endswith=%25": ["Alpha%"],
        "name__iendswith=INE": ["alpine"],
        "name__icontains=ET": ["beta"],
        "enabled=False": ["alpine"],
        "enabled=0": ["alpine"],
        "tags=red": ["Alpha%", "alpine"],
        "tags=red,round": ["Alpha%"],
        "tags-any=round,blue": ["Alpha%", "beta"],
        "not-tags=red,round&name__contains=a&name__contains=i": ["alpine"],
        "not-tags-any=red&name=beta": ["beta"],
        "domain_id=nowhere": [],
        "unknown=1&name=beta": ["beta"],
    }.items():
        found = [name for name in await names(keystone, query) if name in ours]
        assert found == wanted, query
    assert (await keystone("GET", "/projects?name__sounds=beta")).status == 400


async def test_a_list_pages_by_marker(keystone):
    for n in range(4):
        await keystone.make("project", name=f"p{n}")
    whole = (await keystone("GET", "/projects")).json
    assert whole["links"]["next"] is None
    seen, path = [], "/projects?limit=3"
    while path:
        got = (await keystone("GET", path)).json
        seen += got["projects"]
        path = (got["links"]["next"] or "").removeprefix("http://cloud.test/identity/v3")
    assert sorted(p["id"] for p in seen) == sorted(p["id"] for p in whole["projects"])
    assert (await keystone("GET", "/projects?limit=0")).json["projects"] == whole["projects"]
    assert (await keystone("GET", "/projects?marker=nowhere")).status == 400
    assert (await keystone("GET", "/projects?limit=-1")).status == 400


async def test_tags_come_and_go_one_by_one(keystone):
    path = f"/projects/{(await keystone.make('project', name='a'))['id']}/tags"
    assert (await keystone("PUT", f"{path}/x y")).status == 201
    assert (await keystone("PUT", f"{path}/x y")).status == 201
    assert (await keystone("GET", f"{path}/x y")).status == 204
    assert (await keystone("GET", path)).json["tags"] == ["x y"]
    assert (await keystone("PUT", f"{path}/a,b")).status == 400
    assert (await keystone("PUT", path, {"tags": ["b", "a"]})).json["tags"] == ["a", "b"]
    for tags in (["a", "a"], ["a/b"], [""], ["t" * 256], [str(n) for n in range(81)], "a", None):
        assert (await keystone("PUT", path, {"tags": tags})).status == 400
    assert (await keystone("DELETE", f"{path}/a")).status == 204
    assert (await keystone("DELETE", f"{path}/a")).status == 404
    assert (await keystone("GET", f"{path}/a")).status == 404
    assert (await keystone("DELETE", path)).status == 204
    assert (await keystone("GET", path)).json["tags"] == []
    assert (await keystone("PUT", path, {"tags": [str(n) for n in range(80)]})).status == 200
    assert (await keystone("PUT", f"{path}/more")).status == 400


async def test_a_domain_lives_and_takes_all_it_holds_with_it(keystone):
    made = await keystone.make("domain", name="acme", further=[1])
    id_ = made["id"]
    assert made == {
        "id": id_,
        "name": "acme",
        "description": "",
        "enabled": True,
        "options": {},
        "tags": [],
        "further": [1],
        "links": {"self": f"http://cloud.test/identity/v3/domains/{id_}"},
    }
    inside = [
        (noun, await keystone.make(noun, name="inside", domain_id=id_)) for noun in ("project", "user", "group", "role")
    ]
    low = await keystone.make("project", name="low", parent_id=inside[0][1]["id"], tags=["t"])
    outside = await keystone.make("user", name="outside", default_project_id=low["id"])
    role_id = await keystone.id_of("role", "member")
    for user_id in (inside[1][1]["id"], outside["id"]):
        for path in (f"/domains/{id_}", f"/projects/{low['id']}", "/system"):
            assert (await keystone("PUT", f"{path}/users/{user_id}/roles/{role_id}")).status == 204
    assert (await keystone("DELETE", f"/domains/{id_}")).status == 403
    assert (await keystone("PATCH", f"/domains/{id_}", {"domain": {"enabled": False}})).json["domain"][
        "enabled"
    ] is False
    assert (await keystone("DELETE", f"/domains/{id_}")).status == 204
    for noun, thing in [("domain", made), *inside, ("project", low)]:
        assert (await keystone("GET", f"/{noun}s/{thing['id']}")).status == 404, noun
    assert "default_project_id" not in await keystone.show("user", outside["id"])
    left = (await keystone("GET", f"/role_assignments?role.id={role_id}")).json["role_assignments"]
    assert [a["scope"] for a in left if a["user"]["id"] == outside["id"]] == [{"system": {"all": True}}]
    assert not [a for a in left if a["user"]["id"] == inside[1][1]["id"]]


async def test_a_project_may_act_as_a_domain(keystone):
    made = await keystone.make("project", name="acts", is_domain=True, domain_id=None)
    assert (made["domain_id"], made["parent_id"], made["is_domain"]) == (None, None, True)
    assert await names(keystone, "is_domain=true") == ["Default", "acts"]
    assert "acts" not in await names(keystone, "")
    assert (await keystone.show("domain", made["id"]))["name"] == "acts"
    assert (await keystone("DELETE", f"/projects/{made['id']}")).status == 403
    assert (await keystone("PATCH", f"/projects/{made['id']}", {"project": {"enabled": False}})).status == 200
    assert (await keystone("DELETE", f"/projects/{made['id']}")).status == 204


async def test_the_default_domain_stays(keystone):
    got = await keystone("DELETE", "/domains/default")
    assert (got.status, got.json["error"]["message"]) == (403, "The default domain cannot be deleted.")


async def test_names_are_unique_within_their_domain(keystone):
    other = await keystone.make("domain", name="other")
    for noun in ("project", "user", "group"):
        await keystone.make(noun, name="same")
        await keystone.make(noun, name="same", domain_id=other["id"])
        got = await keystone("POST", f"/{noun}s", {noun: {"name": "same"}})
        assert got.status == 409
        assert "same" in got.json["error"]["message"]
        second = await keystone.make(noun, name="second")
        assert (await keystone("PATCH", f"/{noun}s/{second['id']}", {noun: {"name": "same"}})).status == 409
    assert (await keystone("POST", "/domains", {"domain": {"name": "other"}})).status == 409


async def test_what_is_immutable_is_neither_changed_nor_deleted(keystone):
    for noun in ("project", "domain", "role"):
        made = await keystone.make(noun, name="fixed", options={"immutable": True})
        path = f"/{noun}s/{made['id']}"
        assert made["options"] == {"immutable": True}
        assert (await keystone("PATCH", path, {noun: {"name": "x"}})).status == 403
        assert (await keystone("DELETE", path)).status == 403
        loose = await keystone("PATCH", path, {noun: {"options": {"immutable": None}, "name": "x"}})
        assert (loose.status, loose.json[noun]["options"], loose.json[noun]["name"]) == (200, {}, "x")


async def test_a_member_sees_the_own_project_and_domain_and_nothing_else(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER)
    own, other = await keystone.id_of("project", "demo"), await keystone.id_of("project", "admin")
    assert (await demo("GET", f"/projects/{own}")).status == 200
    assert (await demo("GET", f"/projects/{own}/tags")).status == 200
    assert (await demo("GET", "/domains/default")).status == 200
    for method, path, body in [
        ("GET", f"/projects/{other}", None),
        ("GET", f"/projects/{NOBODY}", None),
        ("GET", "/projects", None),
        ("GET", "/domains", None),
        ("GET", f"/domains/{NOBODY}", None),
        ("POST", "/projects", {"project": {"name": "x"}}),
        ("PATCH", f"/projects/{own}", {"project": {"name": "x"}}),
        ("DELETE", f"/projects/{own}", None),
        ("PUT", f"/projects/{own}/tags/x", None),
    ]:
        assert (await demo(method, path, body)).status == 403, (method, path)


async def test_a_domain_manager_keeps_to_the_own_domain(keystone):
    domain = await keystone.make("domain", name="acme")
    boss = await keystone.make("user", name="boss", domain_id=domain["id"], password="pw")
    role_id = await keystone.id_of("role", "manager")
    await keystone("PUT", f"/domains/{domain['id']}/users/{boss['id']}/roles/{role_id}")
    proof = {"methods": ["password"], "password": {"user": {"id": boss["id"], "password": "pw"}}}
    got = await keystone.auth(proof, {"domain": {"id": domain["id"]}})
    manager = keystone.as_(got.headers["x-subject-token"])
    made = {noun: await manager.make(noun, name=f"its {noun}") for noun in ("project", "user", "group")}
    assert {thing["domain_id"] for thing in made.values()} == {domain["id"]}
    for noun in made:
        listed = (await manager("GET", f"/{noun}s")).json[f"{noun}s"]
        assert {thing["domain_id"] for thing in listed} == {domain["id"]}
        assert (await manager("POST", f"/{noun}s", {noun: {"name": "x", "domain_id": "default"}})).status == 403
    assert [d["id"] for d in (await manager("GET", "/domains")).json["domains"]] == [domain["id"]]
    give = f"/projects/{made['project']['id']}/users/{made['user']['id']}/roles/"
    assert (await manager("PUT", give + await keystone.id_of("role", "member"))).status == 204
    assert (await manager("PUT", give + await keystone.id_of("role", "admin"))).status == 403
    demo = await keystone.id_of("user", "demo")
    member = await keystone.id_of("role", "member")
    assert (await manager("PUT", f"/projects/{made['project']['id']}/users/{demo}/roles/{member}")).status == 403
    seen = (await manager("GET", "/role_assignments")).json["role_assignments"]
    assert len(seen) == 2


async def test_more_projects_than_postgresql_takes_values_at_once_are_listed(kept_url, tmp_path):
    made = [new_project(f"{n:032x}", f"p{n}", "default") for n in range(33_000)]
    async with identity_cloud(kept_url("postgresql"), tmp_path) as keystone:
        async with keystone.cloud.db.begin() as session:
            await session.run(insert(project), made)
            await session.run(insert(project_tag), [{"project_id": made[-1]["id"], "name": "t"}])
        listed = {one["id"]: one["tags"] for one in (await keystone("GET", "/projects")).json["projects"]}
        assert (len(listed), listed[made[0]["id"]], listed[made[-1]["id"]]) == (33_003, [], ["t"])
