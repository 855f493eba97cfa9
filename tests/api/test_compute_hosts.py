"""What operators see of hosts through the compute API: zones, services, hypervisors, aggregates."""

import pytest

from maldon.placement import service as placement
from tests.api.compute import a_server, conforms, nova, ok, statuses

__all__ = ["nova"]
NOBODY = "00000000-0000-4000-8000-000000000000"


async def zones(nova):
    async with nova.db.read() as session:
        return {host.name: host.availability_zone for host in await placement.hosts(session, nova.op())}


async def service_of(nova, name, version="2.53"):
    return (await ok(nova, "GET", f"/os-services?host={name}", None, version))["services"][0]


async def test_zones_show_their_hosts_to_operators_only(nova):
    plain = await ok(nova.as_("demo"), "GET", "/os-availability-zone")
    assert plain == {"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}]}
    detail = await ok(nova, "GET", "/os-availability-zone/detail")
    conforms(detail, "v2_1.availability_zone", "list_availability_zone_list_detail")
    assert set(detail["availabilityZoneInfo"][0]["hosts"]) == {"host-a", "host-b"}
    for name in ("host-a", "host-b"):
        await ok(nova, "PUT", "/os-services/disable", {"host": name, "binary": "nova-compute"})
    plain = await ok(nova.as_("demo"), "GET", "/os-availability-zone")
    assert plain["availabilityZoneInfo"][0]["zoneState"] == {"available": False}


async def test_services_as_each_version_shows_them(nova):
    for version, module in (("2.1", "v2_1"), ("2.11", "v2_11"), ("2.53", "v2_53"), ("2.96", "v2_53")):
        shown = await ok(nova, "GET", "/os-services", None, version)
        assert [one["host"] for one in shown["services"]] == ["host-a", "host-b"]
        conforms(shown, f"{module}.services", "list_services")
    assert (await ok(nova, "GET", "/os-services?binary=nova-scheduler"))["services"] == []
    assert (await ok(nova, "GET", "/os-services?host=nowhere"))["services"] == []


async def test_a_service_is_disabled_and_forced_down_by_name(nova):
    named = {"host": "host-a", "binary": "nova-compute"}
    shown = await ok(nova, "PUT", "/os-services/disable-log-reason", named | {"disabled_reason": "dust"})
    assert shown == {"service": named | {"status": "disabled", "disabled_reason": "dust"}}
    conforms(shown, "v2_1.services", "disable_log_reason")
    assert (await service_of(nova, "host-a"))["disabled_reason"] == "dust"
    shown = await ok(nova, "PUT", "/os-services/enable", named)
    assert shown == {"service": named | {"status": "enabled"}}
    shown = await ok(nova, "PUT", "/os-services/force-down", named | {"forced_down": True}, "2.11")
    assert shown == {"service": named | {"forced_down": True}}
    seen = await service_of(nova, "host-a")
    assert (seen["status"], seen["disabled_reason"], seen["state"], seen["forced_down"]) == (
        "enabled",
        None,
        "down",
        True,
    )
    assert (await service_of(nova, "host-b"))["state"] == "up"


async def test_a_service_is_changed_by_id_since_253(nova):
    url = f"/os-services/{(await service_of(nova, 'host-a'))['id']}"
    wanted = {"status": "disabled", "disabled_reason": "dust"}
    shown = await ok(nova, "PUT", url, wanted, "2.53")
    conforms(shown, "v2_53.services", "update_service")
    assert shown["service"] == await service_of(nova, "host-a")
    assert (await ok(nova, "PUT", url, {"forced_down": "true"}, "2.53"))["service"]["forced_down"] is True
    shown = (await ok(nova, "PUT", url, {"status": "enabled", "forced_down": False}, "2.53"))["service"]
    assert (shown["status"], shown["state"], shown["disabled_reason"]) == ("enabled", "up", None)


async def test_a_host_that_reports_itself_is_not_forgotten(nova):
    one = await service_of(nova, "host-a")
    await ok(nova, "DELETE", f"/os-services/{one['id']}", None, "2.53", 409)
    number = (await service_of(nova, "host-a", "2.1"))["id"]
    await ok(nova, "DELETE", f"/os-services/{number}", status=409)


@pytest.mark.parametrize(
    ("version", "module"), [("2.1", "v2_1"), ("2.28", "v2_28"), ("2.33", "v2_33"), ("2.53", "v2_53")]
)
async def test_hypervisors_as_each_version_shows_them(nova, version, module):
    await a_server(nova, "s1")
    module, query = f"{module}.hypervisors", "?with_servers=true" if version == "2.53" else ""
    shown = await ok(nova, "GET", "/os-hypervisors" + query, None, version)
    conforms(shown, module, "list_search_hypervisors")
    detail = await ok(nova, "GET", "/os-hypervisors/detail" + query, None, version)
    conforms(detail, module, "list_hypervisors_detail")
    used = [(one["vcpus_used"], one["memory_mb_used"], one["running_vms"]) for one in detail["hypervisors"]]
    assert sorted(used) == [(0, 0, 0), (2, 512, 1)]
    one = await ok(nova, "GET", f"/os-hypervisors/{shown['hypervisors'][0]['id']}{query}", None, version)
    conforms(one, module, "get_hypervisor")
    assert one["hypervisor"] in detail["hypervisors"]
    totals = await ok(nova, "GET", "/os-hypervisors/statistics", None, version)
    conforms(totals, module, "get_hypervisor_statistics")
    assert (totals["hypervisor_statistics"]["count"], totals["hypervisor_statistics"]["vcpus_used"]) == (2, 2)


async def test_hypervisors_lost_their_numbers_with_288(nova):
    host = await a_server(nova, "s1")
    shown = (await ok(nova, "GET", f"/os-hypervisors/{host.id}?with_servers=1", None, "2.88"))["hypervisor"]
    assert shown == {
        "id": host.id,
        "hypervisor_hostname": host.name,
        "state": "up",
        "status": "enabled",
        "servers": [{"name": "s1", "uuid": "s1"}],
        "service": {"id": host.id, "host": host.name, "disabled_reason": None},
        "hypervisor_type": "fake",
        "hypervisor_version": 1,
        "host_ip": "192.0.2.1",
        "uptime": None,
    }


async def test_servers_are_told_when_asked_for(nova):
    host = await a_server(nova, "s1")
    for version, idle in (("2.53", None), ("2.75", [])):
        listed = (await ok(nova, "GET", "/os-hypervisors?with_servers=true", None, version))["hypervisors"]
        expected = dict.fromkeys(("host-a", "host-b"), idle) | {host.name: [{"name": "s1", "uuid": "s1"}]}
        assert {one["hypervisor_hostname"]: one.get("servers") for one in listed} == expected
    listed = (await ok(nova, "GET", "/os-hypervisors", None, "2.96"))["hypervisors"]
    assert all("servers" not in one for one in listed)
    found = await ok(nova, "GET", "/os-hypervisors/host/servers")
    conforms(found, "v2_1.hypervisors", "get_hypervisors_servers")


async def test_hypervisors_are_found_by_name(nova):
    found = await ok(nova, "GET", "/os-hypervisors/st-a/search")
    conforms(found, "v2_1.hypervisors", "list_search_hypervisors")
    assert [one["hypervisor_hostname"] for one in found["hypervisors"]] == ["host-a"]
    found = await ok(nova, "GET", "/os-hypervisors?hypervisor_hostname_pattern=st-b", None, "2.53")
    assert [one["hypervisor_hostname"] for one in found["hypervisors"]] == ["host-b"]


async def test_hypervisors_are_paged_since_233(nova):
    assert len((await ok(nova, "GET", "/os-hypervisors?limit=1"))["hypervisors"]) == 2
    for version in ("2.33", "2.53"):
        page = await ok(nova, "GET", "/os-hypervisors?limit=1", None, version)
        assert [one["hypervisor_hostname"] for one in page["hypervisors"]] == ["host-a"]
        follow = page["hypervisors_links"][0]["href"].removeprefix("http://cloud.test/compute/v2.1")
        page = await ok(nova, "GET", follow, None, version)
        assert [one["hypervisor_hostname"] for one in page["hypervisors"]] == ["host-b"]


async def test_hosts_in_the_words_of_long_ago(nova):
    shown = await ok(nova, "GET", "/os-hosts?zone=nova")
    conforms(shown, "v2_1.hosts", "list_hosts")
    assert [one["host_name"] for one in shown["hosts"]] == ["host-a", "host-b"]
    assert (await ok(nova, "GET", "/os-hosts?zone=moon"))["hosts"] == []
    one = await ok(nova, "GET", "/os-hosts/host-a")
    conforms(one, "v2_1.hosts", "get_host_detail")
    await ok(nova, "GET", "/os-hosts", None, "2.43", 404)
    shown = await ok(nova, "PUT", "/os-hosts/host-a", {"status": " DISABLE "})
    assert shown == {"host": "host-a", "status": "disabled"}
    assert (await service_of(nova, "host-a"))["status"] == "disabled"


async def made(nova, **wanted):
    return (await ok(nova, "POST", "/os-aggregates", {"aggregate": {"name": "one"} | wanted}, "2.41"))["aggregate"]


async def act(nova, aggregate, verb, body, status=200):
    return await ok(nova, "POST", f"/os-aggregates/{aggregate['id']}/action", {verb: body}, "2.41", status)


async def test_an_aggregate_puts_its_hosts_into_a_zone(nova):
    one = await made(nova, availability_zone="london")
    assert (one["availability_zone"], "hosts" in one) == ("london", False)
    shown = (await act(nova, one, "add_host", {"host": "host-a"}))["aggregate"]
    assert (shown["hosts"], shown["metadata"]) == (["host-a"], {"availability_zone": "london"})
    assert await zones(nova) == {"host-a": "london", "host-b": "nova"}
    changed = {"aggregate": {"availability_zone": "paris", "name": "two"}}
    shown = (await ok(nova, "PUT", f"/os-aggregates/{one['id']}", changed))["aggregate"]
    assert (shown["name"], shown["availability_zone"]) == ("two", "paris")
    assert (await zones(nova))["host-a"] == "paris"
    await act(nova, one, "set_metadata", {"metadata": {"availability_zone": None, "ssd": "true"}})
    assert (await zones(nova))["host-a"] == "nova"
    shown = (await ok(nova, "GET", f"/os-aggregates/{one['id']}"))["aggregate"]
    assert shown["metadata"] == {"ssd": "true"}
    await ok(nova, "DELETE", f"/os-aggregates/{one['id']}", status=400)
    await act(nova, one, "remove_host", {"host": "host-a"})
    await ok(nova, "DELETE", f"/os-aggregates/{one['id']}")
    assert await ok(nova, "GET", "/os-aggregates") == {"aggregates": []}
    for number, status in (("1", 404), ("-1", 404), ("", 404), ("x", 400)):
        await ok(nova, "GET", f"/os-aggregates/{number}", status=status)


async def test_a_host_is_in_one_zone_and_stays_there_with_its_servers(nova):
    london, paris = await made(nova, availability_zone="london"), await made(nova, name="b", availability_zone="paris")
    plain = await made(nova, name="c")
    await act(nova, london, "add_host", {"host": "host-a"})
    await act(nova, london, "add_host", {"host": "host-a"}, 409)
    await act(nova, paris, "add_host", {"host": "host-a"}, 409)
    await act(nova, plain, "add_host", {"host": "host-a"})
    await act(nova, plain, "set_metadata", {"metadata": {"availability_zone": "paris"}}, 400)
    for server in ("s1", "s2"):
        await a_server(nova, server)
    await act(nova, london, "remove_host", {"host": "host-a"}, 409)
    await act(nova, paris, "add_host", {"host": "host-b"}, 409)
    await ok(nova, "PUT", f"/os-aggregates/{london['id']}", {"aggregate": {"availability_zone": "rome"}}, status=400)
    await act(nova, plain, "remove_host", {"host": "host-a"})
    assert await zones(nova) == {"host-a": "london", "host-b": "nova"}


async def test_aggregates_as_each_version_shows_them(nova):
    for version, module in (("2.1", "v2_1.aggregates"), ("2.41", "v2_41.aggregates")):
        body = {"aggregate": {"name": f"of-{version}"}}
        one = await ok(nova, "POST", "/os-aggregates", body, version)
        conforms(one, module, "create_aggregate")
        conforms(await ok(nova, "GET", "/os-aggregates", None, version), module, "list_aggregates")
        url = f"/os-aggregates/{one['aggregate']['id']}"
        conforms(await ok(nova, "GET", url, None, version), module, "get_aggregate")
        conforms(
            await ok(nova, "PUT", url, {"aggregate": {"name": f"x{version}"}}, version), module, "update_aggregate"
        )


async def test_there_are_no_migrations(nova):
    for version in ("2.1", "2.23", "2.59", "2.96"):
        assert await ok(nova, "GET", "/os-migrations?limit=5", None, version) == {"migrations": []}


async def test_extensions_tell_what_is_there(nova):
    listed = await ok(nova.as_("demo"), "GET", "/extensions")
    conforms(listed, "v2_1.extensions", "list_extensions")
    assert (await ok(nova.as_("demo"), "GET", "/extensions/os-keypairs"))["extension"]["name"] == "Keypairs"
    await ok(nova.as_("demo"), "GET", "/extensions/os-cloudpipe", status=404)


def named(**more):
    return {"host": "host-a", "binary": "nova-compute"} | more


def agg(**values):
    return {"aggregate": values}


OPERATORS = [
    "/os-availability-zone/detail",
    "/os-services",
    "/os-hypervisors",
    "/os-hypervisors/detail",
    "/os-hypervisors/statistics",
    "/os-hypervisors/1",
    "/os-hypervisors/1/uptime",
    "/os-hypervisors/h/search",
    "/os-hypervisors/h/servers",
    "/os-hosts",
    "/os-hosts/host-a",
    "/os-aggregates",
    "/os-aggregates/1",
    "/os-migrations",
]
REFUSED = [(who, "2.1", "GET", path, None, status) for path in OPERATORS for who, status in (("", 401), ("demo", 403))]
BAD = [
    *REFUSED,
    ("demo", "2.1", "PUT", "/os-services/disable", named(), 403),
    ("admin", "2.1", "PUT", "/os-services/disable", {}, 400),
    ("admin", "2.1", "PUT", "/os-services/disable", named(colour="red"), 400),
    ("admin", "2.1", "PUT", "/os-services/disable", named(host="nowhere"), 404),
    ("admin", "2.1", "PUT", "/os-services/disable", named(binary="nova-api"), 404),
    ("admin", "2.1", "PUT", "/os-services/disable-log-reason", named(), 400),
    ("admin", "2.1", "PUT", "/os-services/disable-log-reason", named(disabled_reason="x" * 256), 400),
    ("admin", "2.10", "PUT", "/os-services/force-down", named(forced_down=True), 404),
    ("admin", "2.11", "PUT", "/os-services/force-down", named(forced_down="perhaps"), 400),
    ("admin", "2.1", "PUT", "/os-services/dance", named(), 404),
    ("admin", "2.53", "PUT", "/os-services/disable", named(), 400),
    ("admin", "2.53", "PUT", f"/os-services/{NOBODY}", {"status": "enabled"}, 404),
    ("admin", "2.53", "PUT", f"/os-services/{NOBODY}", {}, 400),
    ("admin", "2.53", "PUT", f"/os-services/{NOBODY}", {"status": "tired"}, 400),
    ("admin", "2.53", "PUT", f"/os-services/{NOBODY}", {"status": "enabled", "disabled_reason": "x"}, 400),
    ("admin", "2.53", "PUT", f"/os-services/{NOBODY}", {"disabled_reason": "x"}, 400),
    ("demo", "2.53", "DELETE", f"/os-services/{NOBODY}", None, 403),
    ("admin", "2.53", "DELETE", f"/os-services/{NOBODY}", None, 404),
    ("admin", "2.53", "DELETE", "/os-services/1", None, 400),
    ("admin", "2.1", "DELETE", "/os-services/x", None, 404),
    ("admin", "2.75", "GET", "/os-services?colour=red", None, 400),
    ("admin", "2.74", "GET", "/os-services?colour=red", None, 200),
    ("admin", "2.1", "GET", "/os-hypervisors/x", None, 404),
    ("admin", "2.1", "GET", f"/os-hypervisors/{NOBODY}", None, 404),
    ("admin", "2.1", "GET", f"/os-hypervisors/{NOBODY}/uptime", None, 404),
    ("admin", "2.53", "GET", "/os-hypervisors/1", None, 400),
    ("admin", "2.53", "GET", f"/os-hypervisors/{NOBODY}", None, 404),
    ("admin", "2.53", "GET", "/os-hypervisors?with_servers=perhaps", None, 400),
    ("admin", "2.53", "GET", "/os-hypervisors?hypervisor_hostname_pattern=nowhere", None, 404),
    ("admin", "2.53", "GET", "/os-hypervisors?hypervisor_hostname_pattern=a&limit=1", None, 400),
    ("admin", "2.53", "GET", "/os-hypervisors/h/search", None, 404),
    ("admin", "2.53", "GET", "/os-hypervisors/h/servers", None, 404),
    ("admin", "2.1", "GET", "/os-hypervisors/nowhere/search", None, 404),
    ("admin", "2.1", "GET", "/os-hypervisors/nowhere/servers", None, 404),
    ("admin", "2.33", "GET", "/os-hypervisors?limit=x", None, 400),
    ("admin", "2.33", "GET", "/os-hypervisors?marker=x", None, 400),
    ("admin", "2.75", "GET", "/os-hypervisors?colour=red", None, 400),
    ("admin", "2.88", "GET", "/os-hypervisors/statistics", None, 404),
    ("admin", "2.88", "GET", f"/os-hypervisors/{NOBODY}/uptime", None, 404),
    ("admin", "2.1", "GET", "/os-hosts/nowhere", None, 404),
    ("demo", "2.1", "PUT", "/os-hosts/host-a", {"status": "enable"}, 403),
    ("admin", "2.1", "PUT", "/os-hosts/host-a", {}, 400),
    ("admin", "2.1", "PUT", "/os-hosts/host-a", {"status": "tired"}, 400),
    ("admin", "2.1", "PUT", "/os-hosts/host-a", {"status": "enable", "maintenance_mode": "perhaps"}, 400),
    ("admin", "2.1", "PUT", "/os-hosts/host-a", {"maintenance_mode": "enable"}, 501),
    ("admin", "2.1", "PUT", "/os-hosts/nowhere", {"status": "enable"}, 404),
    ("admin", "2.43", "PUT", "/os-hosts/host-a", {"status": "enable"}, 404),
    ("demo", "2.1", "GET", "/os-hosts/host-a/reboot", None, 403),
    ("admin", "2.1", "GET", "/os-hosts/nowhere/shutdown", None, 404),
    ("admin", "2.1", "GET", "/os-hosts/host-a/startup", None, 501),
    ("demo", "2.1", "POST", "/os-aggregates", agg(name="a"), 403),
    ("admin", "2.1", "POST", "/os-aggregates", {}, 400),
    ("admin", "2.1", "POST", "/os-aggregates", agg(), 400),
    ("admin", "2.1", "POST", "/os-aggregates", agg(name=""), 400),
    ("admin", "2.1", "POST", "/os-aggregates", agg(name="x" * 256), 400),
    ("admin", "2.1", "POST", "/os-aggregates", agg(name=1), 400),
    ("admin", "2.1", "POST", "/os-aggregates", agg(name="a", colour="red"), 400),
    ("admin", "2.1", "POST", "/os-aggregates", agg(name="a", availability_zone=""), 400),
    ("admin", "2.1", "POST", "/os-aggregates", agg(name="a", availability_zone="b:c"), 400),
    ("admin", "2.1", "POST", "/os-aggregates", agg(name="a"), 200),
    ("admin", "2.1", "POST", "/os-aggregates", agg(name="a"), 409),
    ("admin", "2.1", "POST", "/os-aggregates", agg(name="b"), 200),
    ("admin", "2.1", "PUT", "/os-aggregates/1", agg(name="b"), 409),
    ("admin", "2.1", "PUT", "/os-aggregates/1", agg(), 400),
    ("demo", "2.1", "PUT", "/os-aggregates/1", agg(name="c"), 403),
    ("admin", "2.1", "PUT", "/os-aggregates/99", agg(name="c"), 404),
    ("admin", "2.1", "GET", "/os-aggregates/x", None, 400),
    ("admin", "2.1", "GET", "/os-aggregates/99999999999999999999999", None, 400),
    ("admin", "2.1", "GET", "/os-aggregates/99", None, 404),
    ("demo", "2.1", "DELETE", "/os-aggregates/1", None, 403),
    ("admin", "2.1", "DELETE", "/os-aggregates/99", None, 404),
    ("demo", "2.1", "POST", "/os-aggregates/1/action", {"add_host": {"host": "host-a"}}, 403),
    ("admin", "2.1", "POST", "/os-aggregates/1/action", {}, 400),
    ("admin", "2.1", "POST", "/os-aggregates/1/action", {"dance": {}}, 400),
    ("admin", "2.1", "POST", "/os-aggregates/1/action", {"add_host": {"host": "nowhere"}}, 404),
    ("admin", "2.1", "POST", "/os-aggregates/1/action", {"add_host": {"host": 1}}, 400),
    ("admin", "2.1", "POST", "/os-aggregates/1/action", {"remove_host": {"host": "host-a"}}, 404),
    ("admin", "2.1", "POST", "/os-aggregates/1/action", {"set_metadata": {"metadata": {"a/b": "c"}}}, 400),
    ("admin", "2.1", "POST", "/os-aggregates/1/action", {"set_metadata": {"metadata": {"a": "x" * 256}}}, 400),
    ("admin", "2.1", "POST", "/os-aggregates/1/action", {"set_metadata": {"metadata": {"availability_zone": ""}}}, 400),
    ("admin", "2.80", "POST", "/os-aggregates/1/images", {"cache": [{"id": NOBODY}]}, 404),
    ("admin", "2.81", "POST", "/os-aggregates/1/images", {"cache": []}, 400),
    ("admin", "2.81", "POST", "/os-aggregates/1/images", {"cache": [{"id": NOBODY}]}, 501),
    ("admin", "2.59", "GET", "/os-migrations?marker=x", None, 400),
    ("admin", "2.59", "GET", "/os-migrations?limit=x", None, 400),
    ("admin", "2.59", "GET", "/os-migrations?colour=red", None, 400),
    ("", "2.1", "GET", "/os-availability-zone", None, 401),
    ("", "2.1", "GET", "/extensions", None, 401),
]


async def test_bad_input_is_refused(nova):
    assert await statuses(nova, BAD) == BAD
