"""Sharing an image with another project."""

import pytest

from maldon.image.routes import SERVICE
from maldon.image.service import FileStore, ImageSettings
from tests.harness import DEMO, OTHER, cloud


@pytest.fixture
async def glance(database_url, tmp_path):
    async with cloud(database_url, [SERVICE], kit=[ImageSettings(), FileStore(tmp_path / "images")]) as made:
        made.headers["Accept"] = "application/json"
        yield made


@pytest.fixture
async def image(glance):
    """The address of a shared image."""
    got = await glance("POST", "/image/v2/images", {"name": "shared"})
    return f"/image/v2/images/{got.json['id']}"


async def listed(who, query=""):
    return [one["name"] for one in (await who("GET", f"/image/v2/images?{query}")).json["images"]]


async def test_a_share_is_offered_then_taken(glance, image):
    other = glance.as_("other")
    assert (await other("GET", image)).status == 404
    got = await glance("POST", f"{image}/members", {"member": OTHER})
    at = "2023-11-14T22:13:20Z"
    offered = {
        "image_id": image.rsplit("/", 1)[1],
        "member_id": OTHER,
        "status": "pending",
        "created_at": at,
        "updated_at": at,
        "schema": "/v2/schemas/member",
    }
    assert (got.status, got.json) == (200, offered)
    assert (await other("GET", image)).status == 200
    assert await listed(other) == []
    assert await listed(other, "visibility=shared&member_status=pending") == ["shared"]
    assert await listed(other, "member_status=all") == ["shared"]
    assert (await other("PUT", f"{image}/members/{OTHER}", {"status": "accepted"})).json["status"] == "accepted"
    assert await listed(other) == ["shared"]
    for who in (glance, other):
        assert (await who("GET", f"{image}/members/{OTHER}")).json["status"] == "accepted"
        assert [one["status"] for one in (await who("GET", f"{image}/members")).json["members"]] == ["accepted"]
    await other("PUT", f"{image}/members/{OTHER}", {"status": "rejected"})
    assert await listed(other) == []
    assert (await glance("DELETE", f"{image}/members/{OTHER}")).status == 204
    assert (await other("GET", image)).status == 404


async def test_who_may_do_what_with_a_share(glance, image):
    await glance("POST", f"{image}/members", {"member": OTHER})
    await glance("POST", f"{image}/members", {"member": "f" * 32})
    other = glance.as_("other")
    calls = [
        (glance, "PUT", f"/members/{OTHER}", {"status": "accepted"}, 403),
        (glance, "POST", "/members", {"member": OTHER}, 409),
        (glance, "GET", "/members/nobody", None, 404),
        (glance, "DELETE", "/members/nobody", None, 404),
        (glance.as_("reader"), "POST", "/members", {"member": "x"}, 403),
        (other, "PUT", f"/members/{OTHER}", {"status": "maybe"}, 400),
        (other, "PUT", f"/members/{'f' * 32}", {"status": "accepted"}, 403),
        (other, "GET", f"/members/{'f' * 32}", None, 404),
        (other, "POST", "/members", {"member": "x"}, 403),
        (other, "DELETE", f"/members/{OTHER}", None, 403),
        (glance, "POST", "/members", {"member": ""}, 400),
        (glance, "POST", "/members", {"member": "m" * 256}, 400),
        (glance, "POST", "/members", {"member": 1}, 400),
        (glance, "POST", "/members", [], 400),
    ]
    for who, method, path, body, status in calls:
        assert (method, path, (await who(method, image + path, body)).status) == (method, path, status)
    assert len((await other("GET", f"{image}/members")).json["members"]) == 1
    assert len((await glance("GET", f"{image}/members")).json["members"]) == 2


async def test_only_shared_images_have_members(glance):
    for visibility in ("private", "community"):
        got = await glance("POST", "/image/v2/images", {"visibility": visibility})
        url = f"/image/v2/images/{got.json['id']}/members"
        assert (await glance("POST", url, {"member": OTHER})).status == 403
        assert (await glance("GET", url)).status == 403


async def test_an_image_is_shared_with_so_many_projects_at_most(glance, image):
    for number in range(128):
        assert (await glance("POST", f"{image}/members", {"member": f"p{number}"})).status == 200
    assert (await glance("POST", f"{image}/members", {"member": "one-more"})).status == 413


async def test_a_deleted_image_takes_its_shares_along(glance, image):
    await glance("POST", f"{image}/members", {"member": OTHER})
    assert (await glance("DELETE", image)).status == 204
    assert await listed(glance.as_("other"), "visibility=shared&member_status=all") == []
    assert (await glance("POST", "/image/v2/images", {"id": image.rsplit("/", 1)[1], "owner": DEMO})).status == 201
    assert await listed(glance.as_("other"), "visibility=shared&member_status=all") == []
