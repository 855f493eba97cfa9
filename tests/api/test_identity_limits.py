"""Limits: registered for everybody, set for projects and domains, flat or strict in two levels."""

import dataclasses

import pytest

from tests.identity_cloud import DEMO_USER, QUICK, identity_cloud, project_scope

BASE = "http://cloud.test/identity/v3"


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


@pytest.fixture
async def strict(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path, dataclasses.replace(QUICK, limits="strict_two_level")) as made:
        yield made


async def register(keystone, **values):
    """The registered limit made of the values, and those that are needed."""
    body = {"service_id": await keystone.id_of("service", "nova"), "resource_name": "servers", "default_limit": 10}
    got = await keystone("POST", "/registered_limits", {"registered_limits": [body | values]})
    assert got.status == 201, got.body
    return got.json["registered_limits"][0]


async def post(keystone, registered, value, **owner):
    """What it is answered to set a limit for somebody."""
    named = {name: registered[name] for name in ("service_id", "region_id", "resource_name")}
    return await keystone("POST", "/limits", {"limits": [{**named, "resource_limit": value, **owner}]})


async def test_a_registered_limit_lives(keystone):
    made = await register(keystone, region_id="RegionOne", description="d")
    assert made == {
        "id": made["id"],
        "service_id": await keystone.id_of("service", "nova"),
        "region_id": "RegionOne",
        "resource_name": "servers",
        "default_limit": 10,
        "description": "d",
        "links": {"self": f"{BASE}/registered_limits/{made['id']}"},
    }
    path = f"/registered_limits/{made['id']}"
    changed = {**made, "region_id": None, "default_limit": -1, "resource_name": "cores"}
    body = {name: changed[name] for name in ("region_id", "default_limit", "resource_name")}
    assert (await keystone("PATCH", path, {"registered_limit": body})).json["registered_limit"] == changed
    assert await keystone.show("registered_limit", made["id"]) == changed
    for query, found in {"resource_name=cores": [changed], "region_id=RegionOne": [], "limit=1": [changed]}.items():
        assert (await keystone("GET", f"/registered_limits?{query}")).json["registered_limits"] == found
    assert [(await keystone("DELETE", path)).status for _ in range(2)] == [204, 404]


async def test_a_resource_is_registered_once_in_a_region_and_once_in_all(keystone):
    made = await register(keystone)
    await register(keystone, region_id="RegionOne")
    body = {name: made[name] for name in ("service_id", "region_id", "resource_name", "default_limit")}
    for region in (None, "RegionOne"):
        got = await keystone("POST", "/registered_limits", {"registered_limits": [body | {"region_id": region}]})
        assert got.status == 409
    for wrong in ({"service_id": "none"}, {"region_id": "none"}, {"default_limit": -2}, {"default_limit": 2**31}):
        got = await keystone(
            "POST", "/registered_limits", {"registered_limits": [body | {"resource_name": "x"} | wrong]}
        )
        assert got.status == 400, wrong
    assert (await keystone("POST", "/registered_limits", {"registered_limits": []})).status == 400
    several = [body | {"resource_name": name} for name in ("a", "b", "servers")]
    assert (await keystone("POST", "/registered_limits", {"registered_limits": several})).status == 409
    assert len((await keystone("GET", "/registered_limits")).json["registered_limits"]) == 2


async def test_a_limit_lives(keystone):
    registered, project_id = await register(keystone), await keystone.id_of("project", "demo")
    made = (await post(keystone, registered, 5, project_id=project_id, description="d")).json["limits"][0]
    assert made == {
        "id": made["id"],
        "project_id": project_id,
        "domain_id": None,
        "service_id": registered["service_id"],
        "region_id": None,
        "resource_name": "servers",
        "resource_limit": 5,
        "description": "d",
        "links": {"self": f"{BASE}/limits/{made['id']}"},
    }
    of_domain = (await post(keystone, registered, 20, domain_id="default")).json["limits"][0]
    assert (of_domain["project_id"], of_domain["domain_id"]) == (None, "default")
    path = f"/limits/{made['id']}"
    changed = {**made, "resource_limit": 50, "description": None}
    body = {"limit": {"resource_limit": 50, "description": None}}
    assert (await keystone("PATCH", path, body)).json["limit"] == changed
    assert await keystone.show("limit", made["id"]) == changed
    for query, found in {
        f"project_id={project_id}": [changed],
        "domain_id=default": [of_domain],
        "resource_name=cores": [],
        f"service_id={registered['service_id']}&project_id={project_id}": [changed],
    }.items():
        assert (await keystone("GET", f"/limits?{query}")).json["limits"] == found, query
    for method, body in (("DELETE", None), ("PATCH", {"registered_limit": {"resource_name": "x"}})):
        assert (await keystone(method, f"/registered_limits/{registered['id']}", body)).status == 403
    again = {"registered_limit": {"resource_name": "servers", "default_limit": 11}}
    assert (await keystone("PATCH", f"/registered_limits/{registered['id']}", again)).status == 200
    assert [(await keystone("DELETE", path)).status for _ in range(2)] == [204, 404]


async def test_a_limit_has_one_owner_and_something_registered(keystone):
    registered, project_id = await register(keystone), await keystone.id_of("project", "demo")
    assert (await post(keystone, registered, 1, project_id=project_id)).status == 201
    for status, owner, more in (
        (409, {"project_id": project_id}, {}),
        (403, {"project_id": project_id}, {"resource_name": "cores"}),
        (403, {"project_id": project_id}, {"region_id": "RegionOne"}),
        (400, {"project_id": "none"}, {}),
        (400, {"domain_id": project_id}, {}),
        (400, {"project_id": "default"}, {}),
        (400, {"project_id": project_id, "domain_id": "default"}, {}),
        (400, {}, {}),
    ):
        assert (await post(keystone, {**registered, **more}, 1, **owner)).status == status, (owner, more)


async def test_limits_are_listed_page_by_page(keystone):
    registered = await register(keystone)
    for name in ("demo", "admin", "service"):
        await post(keystone, registered, 1, project_id=await keystone.id_of("project", name))
    whole = (await keystone("GET", "/limits")).json["limits"]
    paged, query = [], "limit=1"
    while query:
        page = (await keystone("GET", f"/limits?{query}")).json
        paged += page["limits"]
        query = (page["links"]["next"] or "?").partition("?")[2]
    assert (paged, len(paged)) == (whole, 3)
    assert (await keystone("GET", "/limits?marker=none")).status == 400


async def test_limits_go_with_their_project(keystone):
    registered, project = await register(keystone), await keystone.make("project", name="p")
    await post(keystone, registered, 1, project_id=project["id"])
    assert (await keystone("DELETE", f"/projects/{project['id']}")).status == 204
    assert (await keystone("GET", "/limits")).json["limits"] == []


async def test_everybody_sees_the_own_limits_only(keystone):
    registered, ids = await register(keystone), {}
    ids["demo"], ids["admin"] = [await keystone.id_of("project", name) for name in ("demo", "admin")]
    made = {name: (await post(keystone, registered, 1, project_id=id_)).json["limits"][0] for name, id_ in ids.items()}
    domain = await keystone.make("domain", name="acme")
    inside = await keystone.make("project", name="inside", domain_id=domain["id"])
    made["inside"] = (await post(keystone, registered, 1, project_id=inside["id"])).json["limits"][0]
    made["acme"] = (await post(keystone, registered, 1, domain_id=domain["id"])).json["limits"][0]
    demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
    user, role_id = await keystone.make("user", name="u", password="pw"), await keystone.id_of("role", "reader")
    await keystone("PUT", f"/domains/{domain['id']}/users/{user['id']}/roles/{role_id}")
    reader = await keystone.logged_in("u", "pw", {"domain": {"id": domain["id"]}})
    for asker, seen in ((demo, {"demo"}), (reader, {"inside", "acme"}), (keystone, set(made))):
        listed = (await asker("GET", "/limits")).json["limits"]
        assert {one["id"] for one in listed} == {made[name]["id"] for name in seen}
        for name, one in made.items():
            assert (await asker("GET", f"/limits/{one['id']}")).status == (200 if name in seen else 403)
    body = {"limit": {"resource_limit": 1000}}
    assert (await demo("PATCH", f"/limits/{made['demo']['id']}", body)).status == 403
    assert (await demo("GET", "/registered_limits")).json["registered_limits"] == [registered]


async def test_flat_limits_do_not_depend_on_one_another(keystone):
    assert (await keystone("GET", "/limits/model")).json["model"]["name"] == "flat"
    registered, project_id = await register(keystone), await keystone.id_of("project", "demo")
    assert (await post(keystone, registered, 5, domain_id="default")).status == 201
    assert (await post(keystone, registered, 50, project_id=project_id)).status == 201


async def test_strict_limits_of_projects_stay_within_their_domains(strict):
    assert (await strict("GET", "/limits/model")).json["model"]["name"] == "strict_two_level"
    registered = await register(strict)
    demo, admin = [await strict.id_of("project", name) for name in ("demo", "admin")]
    for value, status in ((11, 403), (-1, 403), (10, 201)):
        assert (await post(strict, registered, value, project_id=demo)).status == status, value
    assert (await post(strict, registered, 9, domain_id="default")).status == 403
    of_domain = (await post(strict, registered, 12, domain_id="default")).json["limits"][0]
    assert (await post(strict, registered, 12, project_id=admin)).status == 201
    path = f"/limits/{of_domain['id']}"
    for value, status in ((11, 403), (-1, 200), (12, 200)):
        assert (await strict("PATCH", path, {"limit": {"resource_limit": value}})).status == status, value
    lower = {"registered_limit": {"default_limit": 1}}
    assert (await strict("PATCH", f"/registered_limits/{registered['id']}", lower)).status == 200


async def test_strict_limits_allow_no_project_below_a_project(strict):
    top = await strict.make("project", name="top")
    body = {"project": {"name": "low", "parent_id": top["id"]}}
    assert (await strict("POST", "/projects", body)).status == 403


async def test_the_depth_of_projects_is_a_setting(tmp_path):
    settings = dataclasses.replace(QUICK, project_depth=2)
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path, settings) as keystone:
        top = await keystone.make("project", name="top")
        low = await keystone.make("project", name="low", parent_id=top["id"])
        body = {"project": {"name": "x", "parent_id": low["id"]}}
        assert (await keystone("POST", "/projects", body)).status == 403
