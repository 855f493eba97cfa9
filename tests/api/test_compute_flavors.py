"""Flavors through the API: made, listed, described, shared, with extra specs."""

import pytest

from maldon.compute.service import ensure_flavors
from tests.api.compute import conforms, nova, ok, statuses
from tests.harness import DEMO

__all__ = ["nova"]
SMALL = {"name": "s", "id": "s", "ram": 64, "vcpus": 1, "disk": 0}
NANO = {
    "id": "42",
    "name": "m1.nano",
    "links": [
        {"rel": "self", "href": "http://cloud.test/compute/v2.1/flavors/42"},
        {"rel": "bookmark", "href": "http://cloud.test/compute/flavors/42"},
    ],
    "ram": 128,
    "vcpus": 1,
    "disk": 1,
    "swap": "",
    "OS-FLV-EXT-DATA:ephemeral": 0,
    "OS-FLV-DISABLED:disabled": False,
    "os-flavor-access:is_public": True,
    "rxtx_factor": 1.0,
}


async def make(nova, **more):
    return (await ok(nova, "POST", "/flavors", {"flavor": SMALL | more}))["flavor"]


async def names(nova, url="/flavors", version="2.1"):
    return [flavor["name"] for flavor in (await ok(nova, "GET", url, None, version))["flavors"]]


async def test_a_new_cloud_has_the_usual_flavors_and_an_operator_may_replace_them(nova):
    for _ in range(2):
        await ensure_flavors(nova.op())
    usual = {"m1.nano", "m1.micro", "m1.tiny", "m1.small", "m1.medium", "m1.large"}
    assert set(await names(nova.as_("demo"))) == usual
    await ok(nova, "DELETE", "/flavors/1", status=202)
    await ensure_flavors(nova.op())
    assert set(await names(nova.as_("demo"))) == usual - {"m1.tiny"}


async def test_a_flavor_as_each_version_shows_it(nova):
    await ensure_flavors(nova.op())
    demo = nova.as_("demo")
    assert await ok(demo, "GET", "/flavors/42") == {"flavor": NANO}
    assert (await ok(demo, "GET", "/flavors/42", None, "2.55"))["flavor"] == NANO | {"description": None}
    latest = NANO | {"description": None, "swap": 0, "extra_specs": {}}
    assert (await ok(demo, "GET", "/flavors/42", None, "2.75"))["flavor"] == latest
    for version, module in (("2.1", "v2_1"), ("2.55", "v2_55"), ("2.61", "v2_61"), ("2.96", "v2_61")):
        conforms(await ok(demo, "GET", "/flavors", None, version), f"{module}.flavors", "list_flavors")
        conforms(await ok(demo, "GET", "/flavors/detail", None, version), f"{module}.flavors", "list_flavors_details")
        one = await ok(demo, "GET", "/flavors/42", None, version)
        conforms(one, f"{module}.flavors", "create_update_get_flavor_details")


async def test_lists_are_filtered_sorted_and_paged(nova):
    await ensure_flavors(nova.op())
    assert await names(nova, "/flavors?minRam=2048&sort_key=memory_mb&sort_dir=desc") == [
        "m1.large",
        "m1.medium",
        "m1.small",
    ]
    assert await names(nova, "/flavors?minDisk=20&limit=1&marker=2") == ["m1.medium"]
    page = await ok(nova, "GET", "/flavors?limit=4")
    assert [flavor["id"] for flavor in page["flavors"]] == ["1", "2", "3", "4"]
    follow = page["flavors_links"][0]["href"].removeprefix("http://cloud.test/compute/v2.1")
    last = await ok(nova, "GET", follow)
    assert ([flavor["id"] for flavor in last["flavors"]], "flavors_links" in last) == (["42", "84"], False)


async def test_what_servers_and_clients_ask_most_is_one_statement(nova):
    await ensure_flavors(nova.op())
    for url in ("/flavors", "/flavors/detail?minRam=1", "/flavors/42", "/os-keypairs", f"/os-quota-sets/{DEMO}"):
        before = nova.db.statements
        await ok(nova.as_("demo"), "GET", url)
        assert (url, nova.db.statements - before) == (url, 1)


async def test_ids_are_given_or_made(nova):
    assert (await make(nova))["id"] == "s"
    made = await make(nova, id="auto", name="t", ram="128", swap=64, rxtx_factor=2.5)
    assert (len(made["id"]), made["ram"], made["swap"], made["rxtx_factor"]) == (36, 128, 64, 2.5)
    assert (await make(nova, id=7, name="u"))["id"] == "7"


async def test_a_private_flavor_is_for_the_projects_it_is_shared_with(nova):
    await make(nova, **{"os-flavor-access:is_public": False})
    demo, action = nova.as_("demo"), "/flavors/s/action"
    assert await names(demo) == await names(nova) == []
    assert await names(nova, "/flavors?is_public=None") == await names(nova, "/flavors?is_public=false") == ["s"]
    await ok(demo, "GET", "/flavors/s", status=404)
    shared = {"flavor_access": [{"flavor_id": "s", "tenant_id": DEMO}]}
    assert await ok(nova, "POST", action, {"addTenantAccess": {"tenant": DEMO}}) == shared
    await ok(nova, "POST", action, {"addTenantAccess": {"tenant": DEMO}}, status=409)
    assert await ok(nova, "GET", "/flavors/s/os-flavor-access") == shared
    assert await names(demo) == ["s"]
    assert await names(nova.as_("other")) == []
    assert await ok(nova, "POST", action, {"removeTenantAccess": {"tenant": DEMO}}) == {"flavor_access": []}
    await ok(nova, "POST", action, {"removeTenantAccess": {"tenant": DEMO}}, status=404)
    assert await names(demo) == []
    await ok(nova, "DELETE", "/flavors/s", status=202)


async def test_sharing_a_public_flavor_is_refused_since_27(nova):
    await make(nova)
    add = {"addTenantAccess": {"tenant": DEMO}}
    await ok(nova, "POST", "/flavors/s/action", add, "2.6")
    await ok(nova, "POST", "/flavors/s/action", add, "2.7", 409)
    await ok(nova, "GET", "/flavors/s/os-flavor-access", status=404)
    await ok(nova, "DELETE", "/flavors/s", status=202)


async def test_a_description_comes_with_255(nova):
    await make(nova)
    body = {"flavor": {"description": "small"}}
    await ok(nova, "PUT", "/flavors/s", body, "2.54", 404)
    assert (await ok(nova, "PUT", "/flavors/s", body, "2.55"))["flavor"]["description"] == "small"
    made = {"flavor": SMALL | {"id": "t", "name": "t", "description": "text"}}
    assert (await ok(nova, "POST", "/flavors", made, "2.55"))["flavor"]["description"] == "text"


async def test_extra_specs_are_merged_changed_and_removed(nova):
    await make(nova)
    url = "/flavors/s/os-extra_specs"
    assert await ok(nova, "POST", url, {"extra_specs": {"a": "1", "b:c": 2}}) == {"extra_specs": {"a": "1", "b:c": "2"}}
    assert await ok(nova, "PUT", url + "/a", {"a": "3"}) == {"a": "3"}
    demo = nova.as_("demo")
    assert await ok(demo, "GET", url) == {"extra_specs": {"a": "3", "b:c": "2"}}
    assert await ok(demo, "GET", url + "/b:c") == {"b:c": "2"}
    assert await ok(nova, "DELETE", url + "/a") is None
    assert (await ok(demo, "GET", "/flavors/s", None, "2.61"))["flavor"]["extra_specs"] == {"b:c": "2"}
    await ok(demo, "GET", url + "/a", status=404)


@pytest.mark.parametrize(
    ("specs", "status"),
    [
        ({"hw:cpu_policy": "shared", "foo:bar": "baz"}, 200),
        ({"hw:numa_mem.0": "512", "resources:VGPU": "1", "trait:CUSTOM_X": "required"}, 200),
        ({"hw:cpu_policy": "sharrred"}, 400),
        ({"hw:foo": "bar"}, 400),
        ({"hw:numa_nodes": "0"}, 400),
    ],
)
async def test_known_extra_specs_are_checked_since_286(nova, specs, status):
    await make(nova)
    await ok(nova, "POST", "/flavors/s/os-extra_specs", {"extra_specs": specs}, "2.85")
    await ok(nova, "POST", "/flavors/s/os-extra_specs", {"extra_specs": specs}, "2.86", status)


def _create(**more):
    return {"flavor": SMALL | more}


LONG = "x" * 256
BAD = [
    ("", "2.1", "GET", "/flavors", None, 401),
    ("admin", "2.1", "GET", "/flavors?limit=x", None, 400),
    ("admin", "2.1", "GET", "/flavors?limit=-1", None, 400),
    ("admin", "2.1", "GET", "/flavors?marker=nothing", None, 400),
    ("admin", "2.1", "GET", "/flavors?minRam=x", None, 400),
    ("admin", "2.1", "GET", "/flavors/detail?minDisk=-1", None, 400),
    ("admin", "2.1", "GET", "/flavors?is_public=perhaps", None, 400),
    ("admin", "2.1", "GET", "/flavors?sort_key=colour", None, 400),
    ("admin", "2.1", "GET", "/flavors?sort_dir=up&sort_key=name", None, 400),
    ("admin", "2.74", "GET", "/flavors?colour=red", None, 200),
    ("admin", "2.75", "GET", "/flavors?colour=red", None, 400),
    ("admin", "2.97", "GET", "/flavors", None, 406),
    ("admin", "2.1", "GET", "/flavors/nothing", None, 404),
    ("admin", "2.1", "GET", "/flavors/" + "x" * 300, None, 404),
    ("demo", "2.1", "POST", "/flavors", _create(), 403),
    ("admin", "2.1", "POST", "/flavors", {}, 400),
    ("admin", "2.1", "POST", "/flavors", {"flavor": []}, 400),
    ("admin", "2.1", "POST", "/flavors", {"flavor": {"name": "x", "ram": 1, "vcpus": 1}}, 400),
    ("admin", "2.1", "POST", "/flavors", _create(colour="red"), 400),
    ("admin", "2.1", "POST", "/flavors", _create(description="x"), 400),
    ("admin", "2.55", "POST", "/flavors", _create(description="x" * 65536), 400),
    ("admin", "2.1", "POST", "/flavors", _create(name=""), 400),
    ("admin", "2.1", "POST", "/flavors", _create(name=" x"), 400),
    ("admin", "2.1", "POST", "/flavors", _create(name=LONG), 400),
    ("admin", "2.1", "POST", "/flavors", _create(id=LONG), 400),
    ("admin", "2.1", "POST", "/flavors", _create(id=" x"), 400),
    ("admin", "2.1", "POST", "/flavors", _create(id="!@#"), 400),
    ("admin", "2.1", "POST", "/flavors", _create(ram=0), 400),
    ("admin", "2.1", "POST", "/flavors", _create(ram=2**31), 400),
    ("admin", "2.1", "POST", "/flavors", _create(ram=10**30), 400),
    ("admin", "2.1", "POST", "/flavors", _create(ram="many"), 400),
    ("admin", "2.1", "POST", "/flavors", _create(vcpus=-1), 400),
    ("admin", "2.1", "POST", "/flavors", _create(vcpus=1.5), 400),
    ("admin", "2.1", "POST", "/flavors", _create(vcpus=True), 400),
    ("admin", "2.1", "POST", "/flavors", _create(disk=-1), 400),
    ("admin", "2.1", "POST", "/flavors", _create(swap=-1), 400),
    ("admin", "2.1", "POST", "/flavors", _create(rxtx_factor=0), 400),
    ("admin", "2.1", "POST", "/flavors", _create(rxtx_factor=-1.5), 400),
    ("admin", "2.1", "POST", "/flavors", _create(**{"os-flavor-access:is_public": "perhaps"}), 400),
    ("admin", "2.1", "POST", "/flavors", _create(), 200),
    ("admin", "2.1", "POST", "/flavors", _create(), 409),
    ("admin", "2.1", "POST", "/flavors", _create(id="t"), 409),
    ("demo", "2.55", "PUT", "/flavors/s", {"flavor": {"description": "x"}}, 403),
    ("admin", "2.55", "PUT", "/flavors/s", {"flavor": {"name": "x"}}, 400),
    ("admin", "2.55", "PUT", "/flavors/s", {"flavor": {}}, 400),
    ("admin", "2.55", "PUT", "/flavors/nothing", {"flavor": {"description": "x"}}, 404),
    ("demo", "2.1", "DELETE", "/flavors/s", None, 403),
    ("admin", "2.1", "DELETE", "/flavors/nothing", None, 404),
    ("demo", "2.1", "GET", "/flavors/s/os-flavor-access", None, 403),
    ("demo", "2.1", "POST", "/flavors/s/action", {"addTenantAccess": {"tenant": DEMO}}, 403),
    ("admin", "2.1", "POST", "/flavors/s/action", {}, 400),
    ("admin", "2.1", "POST", "/flavors/s/action", {"dance": {}}, 400),
    ("admin", "2.1", "POST", "/flavors/s/action", {"addTenantAccess": {"tenant": "a b"}}, 400),
    ("admin", "2.1", "POST", "/flavors/s/action", {"addTenantAccess": {"tenant": 1}}, 400),
    ("admin", "2.1", "POST", "/flavors/nothing/action", {"addTenantAccess": {"tenant": DEMO}}, 404),
    ("demo", "2.1", "POST", "/flavors/s/os-extra_specs", {"extra_specs": {"a": "b"}}, 403),
    ("admin", "2.1", "POST", "/flavors/s/os-extra_specs", {"extra_specs": {"a": {}}}, 400),
    ("admin", "2.1", "POST", "/flavors/s/os-extra_specs", {"extra_specs": {"a/b": "c"}}, 400),
    ("admin", "2.1", "POST", "/flavors/s/os-extra_specs", {"extra_specs": {"a": LONG}}, 400),
    ("admin", "2.1", "POST", "/flavors/s/os-extra_specs", {"extra_specs": {" ": "c"}}, 400),
    ("admin", "2.1", "POST", "/flavors/s/os-extra_specs", {}, 400),
    ("admin", "2.1", "POST", "/flavors/nothing/os-extra_specs", {"extra_specs": {"a": "b"}}, 404),
    ("admin", "2.1", "PUT", "/flavors/s/os-extra_specs/a", {"b": "c"}, 400),
    ("admin", "2.1", "PUT", "/flavors/s/os-extra_specs/a", {"a": "b", "c": "d"}, 400),
    ("demo", "2.1", "PUT", "/flavors/s/os-extra_specs/a", {"a": "c"}, 403),
    ("demo", "2.1", "DELETE", "/flavors/s/os-extra_specs/a", None, 403),
    ("admin", "2.1", "DELETE", "/flavors/s/os-extra_specs/a", None, 404),
    ("admin", "2.1", "DELETE", "/flavors", None, 405),
]


async def test_bad_input_is_refused(nova):
    assert await statuses(nova, BAD) == BAD
