"""A catalog is the same wherever it is kept: in our tables, as the API has it made, or in a file of templates."""

from dataclasses import replace

import pytest

from maldon.drivers.catalog.templated import TemplatedCatalog
from maldon.identity.service import bootstrap
from maldon.ports.catalog import BadCatalog, CatalogService
from tests.identity_cloud import ADMIN, QUICK, START, identity_cloud, project_scope

SERVICES = [
    CatalogService("RegionOne", "identity", "keystone", {"public": "http://a.test/v3", "admin": "http://b.test/v3"}),
    CatalogService("RegionOne", "volume", "cinder", {"public": "http://c.test/v3/$(project_id)s"}),
    CatalogService("two.regions", "identity", "keystone", {"internal": "http://d.test/v3"}),
]
LINES = """
# what there is
catalog.RegionOne.identity.publicURL = http://a.test/v3
catalog.RegionOne.identity.adminURL=http://b.test/v3
catalog.RegionOne.identity.name = 'keystone'
  catalog.RegionOne.volume.publicURL = http://c.test/v3/$(project_id)s
catalog.RegionOne.volume.name = cinder
catalog.two.regions.identity.name = keystone
catalog.two.regions.identity.internalURL = http://d.test/v3
"""


async def in_tables(keystone, tmp_path):
    """Made by the API, in place of what every cloud begins with."""
    for one in (await keystone("GET", "/services")).json["services"]:
        assert (await keystone("DELETE", f"/services/{one['id']}")).status == 204
    ids = {}
    for one in SERVICES:
        key = one.type, one.name
        ids[key] = ids.get(key) or (await keystone.make("service", type=one.type, name=one.name))["id"]
        for interface, url in one.urls.items():
            await keystone.make("endpoint", service_id=ids[key], region=one.region, interface=interface, url=url)


async def in_a_file(keystone, tmp_path):
    """Read at a start."""
    (tmp_path / "catalog").write_text(LINES)
    services = TemplatedCatalog(str(tmp_path / "catalog")).services()
    assert await bootstrap(keystone.cloud.op(), replace(START, catalog=services))
    assert not await bootstrap(keystone.cloud.op(), replace(START, catalog=services))


@pytest.mark.parametrize("kept", [in_tables, in_a_file])
async def test_a_token_shows_the_catalog(database_url, tmp_path, kept):
    async with identity_cloud(database_url, tmp_path) as keystone:
        await kept(keystone, tmp_path)
        keystone.cloud.clock.advance(1)
        got = await keystone.login("admin", ADMIN, project_scope("admin"))
        project = got.json["token"]["project"]["id"]
        shown = sorted(
            (one["type"], one["name"], end["region_id"], end["interface"], end["url"])
            for one in got.json["token"]["catalog"]
            for end in one["endpoints"]
        )
        assert shown == [
            ("identity", "keystone", "RegionOne", "admin", "http://b.test/v3"),
            ("identity", "keystone", "RegionOne", "public", "http://a.test/v3"),
            ("identity", "keystone", "two.regions", "internal", "http://d.test/v3"),
            ("volume", "cinder", "RegionOne", "public", f"http://c.test/v3/{project}"),
        ]
        listed = (await keystone("GET", "/services")).json["services"]
        assert sorted((one["type"], one["name"]) for one in listed) == [("identity", "keystone"), ("volume", "cinder")]
        assert len((await keystone("GET", "/endpoints")).json["endpoints"]) == 4


async def test_a_file_is_followed_at_every_start(tmp_path):
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path) as keystone:
        await in_a_file(keystone, tmp_path)
        before = {one["id"]: one["url"] for one in (await keystone("GET", "/endpoints")).json["endpoints"]}
        changed = [SERVICES[0], replace_url(SERVICES[1], "http://e.test")]
        assert await bootstrap(keystone.cloud.op(), replace(START, catalog=changed))
        after = {one["id"]: one["url"] for one in (await keystone("GET", "/endpoints")).json["endpoints"]}
        assert sorted(after.values()) == ["http://a.test/v3", "http://b.test/v3", "http://e.test"]
        assert after.keys() < before.keys()


def replace_url(one, url):
    return CatalogService(one.region, one.type, one.name, dict.fromkeys(one.urls, url))


async def test_a_catalog_that_is_kept_elsewhere_is_not_changed_by_the_api(tmp_path):
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path, replace(QUICK, catalog="templated")) as keystone:
        await in_a_file(keystone, tmp_path)
        service = (await keystone("GET", "/services")).json["services"][0]["id"]
        endpoint = (await keystone("GET", "/endpoints")).json["endpoints"][0]["id"]
        address = {"service_id": service, "interface": "public", "url": "http://x.test"}
        for method, path, body in (
            ("POST", "/services", {"service": {"type": "x"}}),
            ("PATCH", f"/services/{service}", {"service": {"type": "x"}}),
            ("DELETE", f"/services/{service}", None),
            ("POST", "/endpoints", {"endpoint": address}),
            ("PATCH", f"/endpoints/{endpoint}", {"endpoint": {"url": "http://x.test"}}),
            ("DELETE", f"/endpoints/{endpoint}", None),
            ("POST", "/regions", {"region": {"id": "x"}}),
            ("PATCH", "/regions/RegionOne", {"region": {"description": "x"}}),
            ("DELETE", "/regions/RegionOne", None),
        ):
            got = await keystone(method, path, body)
            assert (got.status, "kept elsewhere" in got.json["error"]["message"]) == (403, True), (method, path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", r"line 2: expected catalog\."),
        ("catalog.RegionOne.publicURL = http://a", "line 2: expected"),
        ("catalog.RegionOne..publicURL = http://a", "line 2: expected"),
        ("directory.RegionOne.identity.publicURL = http://a", "line 2: expected"),
        ("catalog.RegionOne.identity.privateURL = http://a", "line 2: there is no 'privateURL'"),
        ("catalog.RegionOne.identity.publicURL =", "line 2: that is no address"),
        ("catalog.RegionOne.identity.publicURL = here", "line 2: that is no address"),
        ("catalog.RegionOne.identity.name = " + "n" * 300, "line 2: that is no name"),
    ],
)
def test_a_line_that_makes_no_sense_is_told_by_its_number(tmp_path, line, said):
    (tmp_path / "catalog").write_text(f"# one\n{line}\n")
    with pytest.raises(BadCatalog, match=said):
        TemplatedCatalog(str(tmp_path / "catalog")).services()


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(BadCatalog, match="cannot be read"):
        TemplatedCatalog(str(tmp_path / "none")).services()
