"""Placement through its API and its door: hosts report, servers claim, the books agree."""

import pytest

from maldon.kernel.errors import Forbidden, Unavailable
from maldon.placement import service
from maldon.placement.routes import SERVICE
from maldon.placement.service import Listening, NoValidHost, PlacementSettings, Wanted
from maldon.ports.agent import HostReport
from maldon.ports.hypervisor import Capacity
from tests.harness import cloud

SMALL = Wanted(1, 512, 1)
ROUTES = [(method, path) for path, methods in SERVICE.routes.items() for method in methods if path != "/"]


def report(memory_mb=2560, **more):
    return HostReport(Capacity("fake", 1, 2, memory_mb, 10), ("console-log",), **more)


@pytest.fixture
async def place(database_url):
    async with cloud(database_url, [SERVICE], kit=[PlacementSettings()]) as made:
        made.token = "admin"
        made.headers["OpenStack-API-Version"] = "placement 1.39"
        async with made.db.begin() as session:
            for name in ("a", "b"):
                await service.report_host(session, made.op("agent"), name, report())
        yield made


async def claim(place, consumer, wanted=SMALL):
    async with place.db.begin() as session:
        return await service.claim(session, place.op(), consumer, wanted)


async def hosts(place):
    async with place.db.read() as session:
        return await service.hosts(session, place.op())


async def test_a_host_belongs_to_the_user_who_reported_it_first(place):
    with pytest.raises(Forbidden):
        async with place.db.begin() as session:
            await service.report_host(session, place.op("other"), "a", report())


async def test_a_claim_repeats_itself_and_is_given_back_once(place):
    first = await claim(place, "s1")
    assert (await claim(place, "s1")).id == first.id
    assert sum(host.claims for host in await hosts(place)) == 1
    for _ in range(2):
        async with place.db.begin() as session:
            await service.release(session, place.op(), "s1")
    assert [(h.claims, h.used_vcpus, h.used_memory_mb, h.used_disk_gb) for h in await hosts(place)] == [
        (0, 0, 0, 0)
    ] * 2


async def test_a_cloud_that_has_just_started_waits_for_its_hosts(place):
    place.clock.advance(100)
    place.kit[Listening] = Listening(place.clock.now())
    with pytest.raises(Unavailable):
        await claim(place, "s1")
    with pytest.raises(NoValidHost):  # however long it waits
        await claim(place, "s1", Wanted(1, 1 << 20, 1))
    place.clock.advance(100)
    with pytest.raises(NoValidHost, match=r"2 hosts: 2 do not answer\."):
        await claim(place, "s1")


async def test_hosts_are_filled_evenly_and_never_beyond_what_they_have(place):
    for n in range(8):
        await claim(place, f"s{n}")
    assert [host.claims for host in await hosts(place)] == [4, 4]
    with pytest.raises(NoValidHost, match=r"2 hosts: 2 have too little memory \(512 MB wanted\)\."):
        await claim(place, "s9")
    async with place.db.read() as session:
        assert await service.audit(session) == []


async def test_a_host_that_is_full_by_now_is_not_taken(place):
    """Two workers that saw the same room: the second finds the WHERE of its UPDATE false."""
    async with place.db.read() as session:
        stale, _ = await service.rooms(session, place.op(), "late")
    for n in range(8):
        await claim(place, f"s{n}")
    async with place.db.begin() as session:
        assert not await service._take(session, place.op(), stale[0], "late", SMALL)


async def test_a_silent_or_disabled_host_gets_nothing(place):
    [a, b] = await hosts(place)
    async with place.db.begin() as session:
        await service.set_host(session, place.op(), a.id, enabled=False, disabled_reason="new disk")
    assert (await claim(place, "s1")).id == b.id
    place.clock.advance(60)
    with pytest.raises(NoValidHost, match=r"^No valid host was found\. 2 hosts: 1 does not answer, 1 is disabled\.$"):
        await claim(place, "s2")


async def test_bench_finds_candidates(place):
    await claim(place, "s1")
    got = await place(
        "GET",
        "/placement/allocation_candidates?resources=VCPU:1,MEMORY_MB:64,DISK_GB:1&limit=1000",
        OpenStack_API_Version="placement 1.36",
    )
    assert got.status == 200
    assert got.headers["cache-control"] == "no-cache"
    ids = {host.id for host in await hosts(place)}
    assert {key for one in got.json["allocation_requests"] for key in one["allocations"]} == ids
    assert set(got.json["provider_summaries"]) == ids
    assert got.json["allocation_requests"][0]["mappings"][""][0] in ids


async def test_a_provider_and_what_hangs_on_it(place):
    host = await claim(place, "s1")
    base = f"/placement/resource_providers/{host.id}"
    assert (await place("GET", base)).json["root_provider_uuid"] == host.id
    [generation] = [known.generation for known in await hosts(place) if known.id == host.id]
    assert (await place("GET", base + "/usages")).json == {
        "usages": {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1},
        "resource_provider_generation": generation,
    }
    assert (await place("GET", base + "/allocations")).json["allocations"]["s1"]["resources"]["VCPU"] == 1
    assert (await place("GET", "/placement/allocations/s1")).json["allocations"][host.id]["generation"] == generation
    inventories = (await place("GET", base + "/inventories")).json["inventories"]
    assert inventories["MEMORY_MB"]["total"] == 2560
    assert (await place("GET", base + "/inventories/VCPU")).json["allocation_ratio"] == 16.0
    found = (await place("GET", "/placement/resource_providers?resources=MEMORY_MB:2000")).json["resource_providers"]
    assert [one["name"] for one in found] == [h.name for h in await hosts(place) if h.id != host.id]


async def test_discovery_needs_no_token(place):
    got = await place.as_("")("GET", "/placement/")
    assert got.json["versions"][0]["max_version"] == "1.39"


BAD = [
    ("/allocation_candidates", 400),
    ("/allocation_candidates?resources=VCPU", 400),
    ("/allocation_candidates?resources=VCPU:0", 400),
    ("/allocation_candidates?resources=VCPU:-1", 400),
    ("/allocation_candidates?resources=GPU:1", 400),
    ("/allocation_candidates?resources=VCPU:1&limit=x", 400),
    ("/allocation_candidates?resources=VCPU:1&required=HW_X", 400),
    ("/allocation_candidates?resources1=VCPU:1&resources2=VCPU:1", 400),
    ("/allocation_candidates?resources=VCPU:" + "9" * 400, 400),
    ("/resource_providers?colour=red", 400),
    ("/resource_providers?uuid=x", 400),
    ("/resource_providers?member_of=x", 400),
    ("/resource_providers/nothing", 404),
    ("/resource_providers/nothing/usages", 404),
    ("/traits/HW_X", 404),
    ("/resource_classes/GPU", 404),
    ("/usages", 400),
]


async def test_bad_input_is_refused_in_placements_words(place):
    for path, status in BAD:
        got = await place("GET", "/placement" + path)
        assert (path, got.status, got.json["errors"][0]["status"]) == (path, status, status)


async def test_writes_are_refused_with_the_reason(place):
    got = await place("PUT", "/placement/allocations/x", {})
    assert (got.status, got.json["errors"][0]["detail"][:11]) == (501, "Allocations")


async def test_a_project_reads_its_own_usage_only(place):
    assert (await place.as_("demo")("GET", f"/placement/usages?project_id={'d' * 32}")).status == 200
    assert (await place.as_("demo")("GET", f"/placement/usages?project_id={'e' * 32}")).status == 403
