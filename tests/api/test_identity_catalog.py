"""Discovery, services, endpoints, regions, and what every cloud begins with."""

import asyncio
from dataclasses import replace

import pytest

from maldon.identity.routes import SERVICE
from maldon.identity.service import bootstrap
from tests.identity_cloud import START, identity_cloud


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


async def test_versions_are_told_to_everybody(keystone):
    cloud = keystone.cloud.as_("")
    got = await cloud("GET", "/identity/")
    (version,) = got.json["versions"]["values"]
    assert (got.status, got.headers["location"], version["id"]) == (300, "http://cloud.test/identity/v3/", "v3.14")
    for path in ("/identity/v3", "/identity/v3/"):
        assert (await cloud("GET", path)).json == {"version": version}
    assert version["links"] == [{"rel": "self", "href": "http://cloud.test/identity/v3/"}]


async def home(keystone, path, accept="application/json-home"):
    got = await keystone.cloud.as_("")("GET", path, Accept=accept)
    assert (got.status, got.headers["content-type"]) == (200, "application/json-home")
    return got.json["resources"]


async def test_the_api_tells_what_is_where(keystone):
    root = "https://docs.openstack.org/api/openstack-identity/3"
    shown, from_above = await home(keystone, "/identity/v3"), await home(keystone, "/identity/")
    assert shown[f"{root}/rel/auth_tokens"] == {"href": "/auth/tokens"}
    assert from_above[f"{root}/rel/auth_tokens"] == {"href": "/v3/auth/tokens"}
    assert shown[f"{root}/rel/project_user_role"] == {
        "href-template": "/projects/{project_id}/users/{user_id}/roles/{role_id}",
        "href-vars": {name: f"{root}/param/{name}" for name in ("project_id", "user_id", "role_id")},
    }
    assert shown[f"{root}/ext/OS-EP-FILTER/1.0/rel/endpoint_group"] == {
        "href-template": "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}",
        "href-vars": {"endpoint_group_id": f"{root}/ext/OS-EP-FILTER/1.0/param/endpoint_group_id"},
    }
    known = (
        *("rel/users", "rel/user", "rel/user_change_password", "rel/policies", "rel/policy", "rel/implied_role"),
        *("rel/system_group_role", "rel/credential", "rel/region", "rel/role_inferences", "rel/group_user"),
        "ext/OS-EC2/1.0/rel/user_credentials",
        "ext/OS-EC2/1.0/rel/user_credential",
        "ext/OS-INHERIT/1.0/rel/domain_user_role_inherited_to_projects",
        "ext/OS-ENDPOINT-POLICY/1.0/rel/region_and_service_policy_association",
    )
    assert {f"{root}/{name}" for name in known} - shown.keys() == set()
    places = {"/v3" + place.get("href", place.get("href-template")) for place in shown.values()}
    assert places == {path for path in SERVICE.routes if path.startswith("/v3/")}
    for accept in ("application/json;q=0.5, application/json-home", "application/json-home, application/json, */*"):
        assert await home(keystone, "/identity/v3", accept) == shown
    for accept in ("application/json, application/json-home", "*/*, application/json-home;q=x", "", "text/html"):
        assert "version" in (await keystone.cloud.as_("")("GET", "/identity/v3", Accept=accept)).json


async def catalog(keystone):
    token = (await keystone.look(keystone.token)).json["token"]
    return {s["type"]: sorted((e["interface"], e["url"]) for e in s["endpoints"]) for s in token["catalog"]}


async def test_what_is_in_the_catalog_shows_at_once(keystone):
    before = await catalog(keystone)
    service = await keystone.make("service", name="swift", type="object-store")
    assert service == {
        "id": service["id"],
        "name": "swift",
        "type": "object-store",
        "description": "",
        "enabled": True,
        "links": {"self": f"http://cloud.test/identity/v3/services/{service['id']}"},
    }
    url = "http://s.test/AUTH_%(tenant_id)s"
    endpoint = await keystone.make(
        "endpoint", service_id=service["id"], interface="public", url=url, region="new region"
    )
    assert endpoint == {
        "id": endpoint["id"],
        "service_id": service["id"],
        "interface": "public",
        "url": url,
        "region": "new region",
        "region_id": "new region",
        "enabled": True,
        "links": {"self": f"http://cloud.test/identity/v3/endpoints/{endpoint['id']}"},
    }
    assert (await keystone.show("region", "new region"))["description"] == ""
    project_id = await keystone.id_of("project", "admin")
    shown = [("public", f"http://s.test/AUTH_{project_id}")]
    assert await catalog(keystone) == {**before, "object-store": shown}
    path = f"/endpoints/{endpoint['id']}"
    changed = {**endpoint, "interface": "internal", "region": "RegionOne", "region_id": "RegionOne", "enabled": False}
    body = {"endpoint": {"interface": "internal", "region_id": "RegionOne", "enabled": False}}
    assert (await keystone("PATCH", path, body)).json["endpoint"] == changed
    assert await catalog(keystone) == {**before, "object-store": []}
    await keystone("PATCH", f"/services/{service['id']}", {"service": {"enabled": False}})
    assert await catalog(keystone) == before
    assert (await keystone("DELETE", f"/services/{service['id']}")).status == 204
    assert (await keystone("GET", path)).status == 404


async def test_services_and_endpoints_are_found_by_filters(keystone):
    for query, count in {"type=compute": 1, "name=nova": 1, "name=nobody": 0, "": 3}.items():
        assert len((await keystone("GET", f"/services?{query}")).json["services"]) == count
    service_id = await keystone.id_of("service", "nova")
    for query, count in {
        f"service_id={service_id}": 3,
        "interface=public": 3,
        "region_id=RegionOne": 9,
        "region=nowhere": 0,
    }.items():
        assert len((await keystone("GET", f"/endpoints?{query}")).json["endpoints"]) == count


async def test_an_endpoint_belongs_to_a_service_and_a_region_that_exist(keystone):
    service_id = await keystone.id_of("service", "nova")
    good = {"service_id": service_id, "interface": "public", "url": "http://x"}
    for bad in (
        {"service_id": "none"},
        {"region_id": "none"},
        {"interface": "private"},
        {"url": "nonsense"},
        {"enabled": "True"},
        {"url": "http://" + "x" * 3000},
    ):
        assert (await keystone("POST", "/endpoints", {"endpoint": good | bad})).status == 400, bad
    made = await keystone.make("endpoint", **good)
    for bad in ({"service_id": "none"}, {"region_id": "none"}, {"enabled": "False"}):
        assert (await keystone("PATCH", f"/endpoints/{made['id']}", {"endpoint": bad})).status == 400, bad


async def test_regions_lie_within_one_another(keystone):
    top = await keystone.make("region", id="top", description="d")
    assert top == {
        "id": "top",
        "description": "d",
        "parent_region_id": None,
        "links": {"self": "http://cloud.test/identity/v3/regions/top"},
    }
    low = await keystone.make("region", parent_region_id="top")
    assert (await keystone("GET", "/regions?parent_region_id=top")).json["regions"] == [low]
    assert (await keystone("PUT", "/regions/put", {"region": {"description": "p"}})).status == 201
    assert (await keystone("PUT", "/regions/put", {"region": {"id": "other"}})).status == 400
    assert (await keystone("POST", "/regions", {"region": {"id": "top"}})).status == 409
    for parent, status in ((low["id"], 400), ("top", 400), ("none", 404)):
        got = await keystone("PATCH", "/regions/top", {"region": {"parent_region_id": parent}})
        assert got.status == status, parent
    service_id = await keystone.id_of("service", "nova")
    endpoint = await keystone.make(
        "endpoint", service_id=service_id, interface="public", url="http://x", region_id=low["id"]
    )
    assert (await keystone("DELETE", "/regions/top")).status == 403
    await keystone("DELETE", f"/endpoints/{endpoint['id']}")
    assert (await keystone("DELETE", "/regions/top")).status == 204
    assert [(await keystone("GET", f"/regions/{id_}")).status for id_ in ("top", low["id"])] == [404, 404]


async def test_beginning_again_changes_what_is_missing_and_follows_the_addresses(keystone):
    op = keystone.cloud.op()
    assert await bootstrap(op, START) is False
    moved = dict(START.endpoints, identity=("keystone", "http://cloud.test:5001"), image=("glance", "http://i.test"))
    assert await bootstrap(op, replace(START, endpoints=moved, accounts={"glance": "secret"})) is True
    shown = await catalog(keystone)
    assert [url for _, url in shown["identity"]] == ["http://cloud.test:5001"] * 3
    assert len(shown["image"]) == 3
    glance = await keystone.logged_in("glance", "secret", {"project": {"name": "service", "domain": {"id": "default"}}})
    assert [r["name"] for r in (await glance.look(glance.token)).json["token"]["roles"]] == ["service"]


async def test_a_machine_follows_its_new_password(keystone):
    keystone.cloud.clock.advance(1)
    scope = {"project": {"name": "service", "domain": {"id": "default"}}}
    node = await keystone.logged_in("node", "node secret", scope)
    assert await bootstrap(keystone.cloud.op(), replace(START, node_password="another")) is True
    assert (await node("GET", "/auth/projects")).status == 401
    keystone.cloud.clock.advance(1)
    assert (await keystone.login("node", "node secret")).status == 401
    assert (await keystone.login("node", "another", scope)).status == 201


async def test_two_processes_may_begin_at_once(keystone):
    accounts = {f"s{n}": "secret" for n in range(3)}
    op = keystone.cloud.op()
    changed = await asyncio.gather(*(bootstrap(op, replace(START, accounts=accounts)) for _ in range(3)))
    assert sorted(changed) == [False, False, True]
