"""Server groups and what projects used, through the API."""

from datetime import UTC, datetime

import pytest

from maldon.compute.verbs import server_group as verbs
from maldon.kernel.errors import QuotaExceeded
from tests.api.compute import a_server, conforms, nova, ok, statuses
from tests.harness import DEMO, OTHER

__all__ = ["nova"]
URL, USAGE = "/os-server-groups", "/os-simple-tenant-usage"


def old(**more):
    return {"server_group": {"name": "g", "policies": ["affinity"]} | more}


def new(**more):
    return {"server_group": {"name": "g", "policy": "anti-affinity"} | more}


async def test_groups_as_each_version_shows_them(nova):
    demo = nova.as_("demo")
    for version, module, body in (
        ("2.1", "v2_1.server_groups", old()),
        ("2.13", "v2_13.server_groups", old()),
        ("2.64", "v2_64.server_groups", new(rules={"max_server_per_host": "2"})),
    ):
        nova.clock.advance(1)
        made = await ok(demo, "POST", URL, body, version)
        conforms(made, module, "create_show_server_group")
        shown = await ok(demo, "GET", f"{URL}/{made['server_group']['id']}", None, version)
        assert shown == made
        conforms(await ok(demo, "GET", URL, None, version), module, "list_server_groups")
    assert made["server_group"]["rules"] == {"max_server_per_host": 2}
    listed = await ok(demo, "GET", f"{URL}?limit=1&offset=2", None, "2.64")
    assert listed["server_groups"] == [made["server_group"]]
    assert (await ok(nova, "GET", URL))["server_groups"] == []
    assert len((await ok(nova, "GET", f"{URL}?all_projects=True"))["server_groups"]) == 3
    assert (await ok(nova.as_("other"), "GET", f"{URL}?all_projects=True"))["server_groups"] == []
    await ok(demo, "DELETE", f"{URL}/{made['server_group']['id']}", status=204)
    await ok(demo, "GET", f"{URL}/{made['server_group']['id']}", status=404)


async def join(nova, group_id, *servers):
    op = nova.op("demo")
    async with nova.db.begin() as session:
        group = await verbs.find_group(session, op, group_id, "os_compute_api:os-server-groups:show")
        await verbs.join_group(session, op, group, servers)


async def test_members_are_the_servers_that_live(nova):
    group_id = (await ok(nova.as_("demo"), "POST", URL, old()))["server_group"]["id"]
    host = await a_server(nova, "s1")
    await a_server(nova, "s2", deleted_at=nova.clock.now())
    await join(nova, group_id, "s1", "s2")
    async with nova.db.read() as session:
        assert await verbs.hosts_of_members(session, group_id) == {host.name: 1}
        assert await verbs.groups_of(session, ["s1", "s9"]) == {"s1": group_id}
    assert (await ok(nova, "GET", f"{URL}/{group_id}"))["server_group"]["members"] == ["s1"]


async def test_the_quotas_of_groups_and_their_members_hold(nova):
    await ok(nova, "PUT", f"/os-quota-sets/{DEMO}", {"quota_set": {"server_groups": 1, "server_group_members": 1}})
    group_id = (await ok(nova.as_("demo"), "POST", URL, old()))["server_group"]["id"]
    await ok(nova.as_("demo"), "POST", URL, old(), status=403)
    limits = (await ok(nova.as_("demo"), "GET", "/limits"))["limits"]["absolute"]
    assert (limits["maxServerGroups"], limits["totalServerGroupsUsed"]) == (1, 1)
    for server in ("s1", "s2"):
        await a_server(nova, server)
    with pytest.raises(QuotaExceeded):
        await join(nova, group_id, "s1", "s2")
    await join(nova, group_id, "s1")


def text(nova, seconds=0):
    return datetime.fromtimestamp(nova.clock.now() / 1_000_000 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


async def test_usage_is_hours_times_sizes(nova):
    begin = text(nova, -3600)
    await a_server(nova, "s1")
    nova.clock.advance(1800)
    await a_server(nova, "s2", terminated_at=nova.clock.now(), deleted_at=nova.clock.now())
    nova.clock.advance(5400)
    end = text(nova)
    mine = await ok(nova.as_("demo"), "GET", f"{USAGE}/{DEMO}?start={begin}&end={end}")
    conforms(mine, "v2_1.tenant_usages", "get_tenant_usage")
    usage = mine["tenant_usage"]
    totals = {name: usage[name] for name in usage if name.startswith("total_")}
    assert totals == {
        "total_hours": 2.0,
        "total_vcpus_usage": 4.0,
        "total_memory_mb_usage": 1024.0,
        "total_local_gb_usage": 4.0,
    }
    assert [(one["name"], one["hours"], one["state"]) for one in usage["server_usages"]] == [
        ("s1", 2.0, "active"),
        ("s2", 0.0, "terminated"),
    ]
    for query, detailed in (("", False), ("&detailed=1", True)):
        listed = await ok(nova, "GET", f"{USAGE}?start={begin}&end={end}{query}")
        conforms(listed, "v2_1.tenant_usages", "list_tenant_usage")
        assert [("server_usages" in one, one["total_hours"]) for one in listed["tenant_usages"]] == [(detailed, 2.0)]
    half = await ok(nova, "GET", f"{USAGE}/{DEMO}?start={text(nova, -1800)}&end={end}")
    assert half["tenant_usage"]["total_hours"] == 0.5
    nothing = await ok(nova, "GET", f"{USAGE}/{OTHER}")
    conforms(nothing, "v2_1.tenant_usages", "get_tenant_usage")
    assert (nothing["tenant_usage"]["total_hours"], nothing["tenant_usage"]["server_usages"]) == (0, [])


async def test_usage_is_paged_by_servers_since_240(nova):
    for server in ("s1", "s2"):
        await a_server(nova, server)
    page = await ok(nova, "GET", f"{USAGE}/{DEMO}?limit=1", None, "2.40")
    assert [one["name"] for one in page["tenant_usage"]["server_usages"]] == ["s1"]
    follow = page["tenant_usage_links"][0]["href"].removeprefix("http://cloud.test/compute/v2.1")
    page = await ok(nova, "GET", follow, None, "2.40")
    assert [one["name"] for one in page["tenant_usage"]["server_usages"]] == ["s2"]


BAD = [
    ("", "2.1", "GET", URL, None, 401),
    ("reader", "2.1", "POST", URL, old(), 403),
    ("demo", "2.1", "POST", URL, {}, 400),
    ("demo", "2.1", "POST", URL, old(name=""), 400),
    ("demo", "2.1", "POST", URL, old(name=" x"), 400),
    ("demo", "2.1", "POST", URL, old(name="x" * 256), 400),
    ("demo", "2.1", "POST", URL, old(policies=[]), 400),
    ("demo", "2.1", "POST", URL, old(policies=["storage-affinity"]), 400),
    ("demo", "2.1", "POST", URL, old(policies=["affinity", "anti-affinity"]), 400),
    ("demo", "2.1", "POST", URL, old(policies="affinity"), 400),
    ("demo", "2.1", "POST", URL, old(colour="red"), 400),
    ("demo", "2.1", "POST", URL, old(rules={}), 400),
    ("demo", "2.14", "POST", URL, old(policies=["soft-affinity"]), 400),
    ("demo", "2.15", "POST", URL, old(policies=["soft-affinity"]), 200),
    ("demo", "2.63", "POST", URL, new(), 400),
    ("demo", "2.64", "POST", URL, old(), 400),
    ("demo", "2.64", "POST", URL, new(policy="affinity", rules={"max_server_per_host": 2}), 400),
    ("demo", "2.64", "POST", URL, new(rules={"max_server_per_host": 0}), 400),
    ("demo", "2.64", "POST", URL, new(rules={"colour": "red"}), 400),
    ("demo", "2.1", "GET", f"{URL}/nothing", None, 404),
    ("demo", "2.1", "DELETE", f"{URL}/nothing", None, 404),
    ("demo", "2.1", "GET", f"{URL}?limit=x", None, 400),
    ("demo", "2.1", "GET", f"{URL}?offset=-1", None, 400),
    ("demo", "2.75", "GET", f"{URL}?colour=red", None, 400),
    ("", "2.1", "GET", USAGE, None, 401),
    ("demo", "2.1", "GET", USAGE, None, 403),
    ("other", "2.1", "GET", f"{USAGE}/{DEMO}", None, 403),
    ("admin", "2.1", "GET", f"{USAGE}?start=yesterday", None, 400),
    ("admin", "2.1", "GET", f"{USAGE}?end=0001-01-01T00:00:00%2B23:00", None, 400),
    ("admin", "2.1", "GET", f"{USAGE}/{DEMO}?start=2030-01-01T00:00:00&end=2020-01-01T00:00:00", None, 400),
    ("admin", "2.40", "GET", f"{USAGE}?marker=nothing", None, 400),
    ("admin", "2.40", "GET", f"{USAGE}?limit=x", None, 400),
    ("admin", "2.75", "GET", f"{USAGE}?colour=red", None, 400),
]


async def test_bad_input_is_refused(nova):
    assert await statuses(nova, BAD) == BAD


async def test_another_projects_group_is_nobodys_business(nova):
    group_id = (await ok(nova.as_("demo"), "POST", URL, old()))["server_group"]["id"]
    for method in ("GET", "DELETE"):
        await ok(nova.as_("other"), method, f"{URL}/{group_id}", status=404)
    await ok(nova.as_("reader"), "DELETE", f"{URL}/{group_id}", status=403)
