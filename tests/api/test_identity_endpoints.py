"""Endpoint groups, what of the catalog a project sees, policies and the endpoints they are for."""

import pytest

from tests.identity_cloud import DEMO_USER, identity_cloud, project_scope

FILTER = "/OS-EP-FILTER"


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


async def group(keystone, **filters):
    return await keystone.make("endpoint_group", "OS-EP-FILTER/endpoint_groups", name="g", filters=filters)


async def endpoints_of(keystone, path):
    """The endpoints of a list, by service and interface."""
    names = {row["id"]: row["type"] for row in (await keystone("GET", "/services")).json["services"]}
    listed = (await keystone("GET", path)).json["endpoints"]
    return sorted((names[row["service_id"]], row["interface"]) for row in listed)


async def catalog(who):
    """What a token shows, by service and interface."""
    token = (await who.look(who.token)).json["token"]
    return sorted((service["type"], e["interface"]) for service in token["catalog"] for e in service["endpoints"])


async def test_an_endpoint_group_is_kept_shown_changed_and_deleted(keystone):
    service_id = await keystone.id_of("service", "nova")
    filters = {"service_id": service_id}
    made = await keystone.make("endpoint_group", "OS-EP-FILTER/endpoint_groups", name="g", filters=filters)
    path = f"{FILTER}/endpoint_groups/{made['id']}"
    assert made == {
        "id": made["id"],
        "name": "g",
        "description": "",
        "filters": filters,
        "links": {"self": f"http://cloud.test/identity/v3{path}"},
    }
    other = await group(keystone, interface="admin")
    listed = [(await keystone("GET", f"{FILTER}/endpoint_groups{q}")).json["endpoint_groups"] for q in ("", "?name=x")]
    assert (sorted(one["id"] for one in listed[0]), listed[1]) == (sorted((made["id"], other["id"])), [])
    assert (await keystone("GET", path)).json == {"endpoint_group": made}
    assert (await keystone("HEAD", path)).status == 200
    change = {"name": "h", "description": "d", "filters": {"interface": "public"}}
    changed = {**made, **change, "filters": {"service_id": service_id, "interface": "public"}}
    assert (await keystone("PATCH", path, {"endpoint_group": change})).json == {"endpoint_group": changed}
    assert await endpoints_of(keystone, f"{path}/endpoints") == [("compute", "public")]
    for bad in ({"name": ""}, {"filters": {"url": "x"}}, {"filters": {"interface": "private"}}, {"filters": []}):
        assert (await keystone("PATCH", path, {"endpoint_group": bad})).status == 400, bad
    assert (await keystone("POST", f"{FILTER}/endpoint_groups", {"endpoint_group": {"name": "g"}})).status == 400
    assert [(await keystone("DELETE", path)).status for _ in range(2)] == [204, 404]


async def test_a_project_sees_what_it_was_given_and_else_everything(keystone):
    demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
    project_id, service_id = await keystone.id_of("project", "demo"), await keystone.id_of("service", "nova")
    everything = await catalog(demo)
    assert len(everything) == 9
    at = f"{FILTER}/projects/{project_id}"
    made = await group(keystone, service_id=service_id, interface="public")
    given = f"{FILTER}/endpoint_groups/{made['id']}/projects/{project_id}"
    assert [(await keystone(method, given)).status for method in ("GET", "DELETE")] == [404, 404]
    assert [(await keystone("PUT", given)).status for _ in range(2)] == [204, 204]
    assert await catalog(demo) == [("compute", "public")]
    assert (await demo("GET", "/auth/catalog")).json["catalog"] == (await demo.look(demo.token)).json["token"][
        "catalog"
    ]
    chosen = (await keystone("GET", "/endpoints?interface=admin")).json["endpoints"][0]
    names = {row["id"]: row["type"] for row in (await keystone("GET", "/services")).json["services"]}
    both = sorted([("compute", "public"), (names[chosen["service_id"]], "admin")])
    assert (await keystone("PUT", f"{at}/endpoints/{chosen['id']}")).status == 204
    assert await catalog(demo) == await endpoints_of(keystone, f"{at}/endpoints") == both
    shown = (await keystone("GET", given)).json["project"]
    assert (shown["id"], shown["name"]) == (project_id, "demo")
    for path in (f"{FILTER}/endpoint_groups/{made['id']}/projects", f"{FILTER}/endpoints/{chosen['id']}/projects"):
        assert [one["id"] for one in (await keystone("GET", path)).json["projects"]] == [project_id]
    assert (await keystone("GET", f"{at}/endpoint_groups")).json["endpoint_groups"] == [made]
    assert (await keystone("HEAD", f"{at}/endpoints/{chosen['id']}")).status == 204
    assert len(await catalog(keystone)) == 9
    assert (await keystone("DELETE", given)).status == 204
    assert await catalog(demo) == [(names[chosen["service_id"]], "admin")]
    assert [(await keystone("DELETE", f"{at}/endpoints/{chosen['id']}")).status for _ in range(2)] == [204, 404]
    assert await catalog(demo) == everything


async def test_only_what_exists_is_given_to_projects(keystone):
    made, project_id = await group(keystone), await keystone.id_of("project", "demo")
    for path in (
        f"endpoint_groups/{made['id']}/projects/nowhere",
        f"endpoint_groups/nothing/projects/{project_id}",
        f"projects/{project_id}/endpoints/nothing",
    ):
        assert (await keystone("PUT", f"{FILTER}/{path}")).status == 404, path
    demo = await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))
    for method, path in (("GET", "endpoint_groups"), ("PUT", f"endpoint_groups/{made['id']}/projects/{project_id}")):
        assert (await demo(method, f"{FILTER}/{path}")).status == 403


async def test_a_policy_is_kept_shown_changed_and_deleted(keystone):
    made = await keystone.make("policy", "policies", type="application/json", blob={"a": ["role:b"]}, note="n")
    path = f"/policies/{made['id']}"
    assert made == {
        "id": made["id"],
        "type": "application/json",
        "blob": {"a": ["role:b"]},
        "note": "n",
        "links": {"self": f"http://cloud.test/identity/v3{path}"},
    }
    assert (await keystone("GET", path)).json == {"policy": made}
    assert (await keystone("GET", "/policies?type=other")).json["policies"] == []
    changed = {**made, "type": "text/plain", "blob": "any text"}
    body = {"policy": {"type": "text/plain", "blob": "any text"}}
    assert (await keystone("PATCH", path, body)).json == {"policy": changed}
    assert (await keystone("GET", "/policies?type=text/plain")).json["policies"] == [changed]
    for bad in ({"blob": 1}, {"blob": "x" * 70_000}, {"type": ""}):
        assert (await keystone("PATCH", path, {"policy": bad})).status == 400
    assert [(await keystone("DELETE", path)).status for _ in range(2)] == [204, 404]


async def test_the_nearest_policy_is_in_force_for_an_endpoint(keystone):
    """An endpoint's own, then its service's in its region, in the regions around that, anywhere."""
    service_id = await keystone.id_of("service", "nova")
    await keystone.make("region", id="inner", parent_region_id="RegionOne")
    made = await keystone.make("endpoint", service_id=service_id, interface="public", url="http://x", region_id="inner")
    of = f"/endpoints/{made['id']}/OS-ENDPOINT-POLICY/policy"
    assert (await keystone("GET", of)).status == 404
    places = (
        f"services/{service_id}",
        f"services/{service_id}/regions/RegionOne",
        f"services/{service_id}/regions/inner",
        f"endpoints/{made['id']}",
    )
    policies = []
    for place in places:
        policy = await keystone.make("policy", "policies", type="t", blob=place)
        policies.append(policy)
        at = f"/policies/{policy['id']}/OS-ENDPOINT-POLICY"
        assert (await keystone("GET", f"{at}/policy")).status == 404
        assert [(await keystone(m, f"{at}/{place}")).status for m in ("GET", "PUT", "PUT", "GET")] == [
            404,
            204,
            204,
            204,
        ]
        assert (await keystone("GET", of)).json == (await keystone("GET", f"{at}/policy")).json == {"policy": policy}
    first, second, *_, last = policies
    assert await endpoints_of(keystone, f"/policies/{first['id']}/OS-ENDPOINT-POLICY/endpoints") == []
    (inner,) = (await keystone("GET", f"/policies/{last['id']}/OS-ENDPOINT-POLICY/endpoints")).json["endpoints"]
    assert inner == made
    for_one = f"/policies/{second['id']}/OS-ENDPOINT-POLICY/{places[3]}"
    assert (await keystone("PUT", for_one)).status == 204  # instead of the last
    assert (await keystone("GET", f"/policies/{last['id']}/OS-ENDPOINT-POLICY/{places[3]}")).status == 404
    assert (await keystone("GET", of)).json == {"policy": second}
    assert [(await keystone("DELETE", for_one)).status for _ in range(2)] == [204, 404]
    assert (await keystone("GET", of)).json == {"policy": policies[2]}
    await keystone("DELETE", f"/policies/{policies[2]['id']}")
    assert (await keystone("GET", of)).json == {"policy": second}
    wide = f"/policies/{second['id']}/OS-ENDPOINT-POLICY/endpoints"
    assert await endpoints_of(keystone, wide) == [("compute", i) for i in ("admin", "internal", "public", "public")]


async def test_a_policy_is_associated_with_what_exists(keystone):
    policy, service_id = (
        await keystone.make("policy", "policies", type="t", blob="b"),
        await keystone.id_of("service", "nova"),
    )
    at = f"/policies/{policy['id']}/OS-ENDPOINT-POLICY"
    for path in ("endpoints/nothing", "services/nothing", f"services/{service_id}/regions/nowhere"):
        assert [(await keystone(method, f"{at}/{path}")).status for method in ("PUT", "GET", "DELETE")] == [404] * 3
    assert (await keystone("PUT", f"/policies/none/OS-ENDPOINT-POLICY/services/{service_id}")).status == 404
