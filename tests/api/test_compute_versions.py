"""Discovery of the compute API: no token, every link can be followed."""

import pytest

from tests.api.compute import conforms, nova

__all__ = ["nova"]


async def test_versions_are_listed_and_each_is_where_it_says(nova):
    nobody = nova.as_("")
    listed = (await nobody("GET", "/compute/")).json
    conforms(listed, "v2_1.versions", "list_versions")
    assert [(one["id"], one["min_version"], one["version"]) for one in listed["versions"]] == [
        ("v2.0", "", ""),
        ("v2.1", "2.1", "2.96"),
    ]
    for version in listed["versions"]:
        address = version["links"][0]["href"].removeprefix("http://cloud.test")
        alone = (await nobody("GET", address)).json
        conforms(alone, "v2_1.versions", "get_one_version")
        assert alone["version"]["links"][0] == version["links"][0]


@pytest.mark.parametrize(
    ("wanted", "status", "told"),
    [
        ("compute 2.50", 200, "compute 2.50"),
        ("compute latest", 200, "compute 2.96"),
        ("volume 3.59", 200, "compute 2.1"),
        ("compute 2.97", 406, None),
        ("compute 1.1", 406, None),
        ("compute two", 400, None),
    ],
)
async def test_a_version_is_asked_for_and_told(nova, wanted, status, told):
    got = await nova("GET", "/compute/v2.1/flavors", OpenStack_API_Version=wanted)
    assert (got.status, got.headers.get("openstack-api-version")) == (status, told)
