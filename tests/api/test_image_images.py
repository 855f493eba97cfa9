"""Images as a user of the image API sees them: create, list, show, change, share, delete."""

import uuid

import pytest

from maldon.image.routes import SERVICE
from maldon.image.service import FileStore, ImageSettings
from tests.harness import ADMIN_PROJECT, DEMO, OTHER, cloud

V20 = "application/openstack-images-v2.0-json-patch"
V21 = "application/openstack-images-v2.1-json-patch"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def glance(database_url, tmp_path):
    settings = ImageSettings(images_per_project=40)
    async with cloud(database_url, [SERVICE], kit=[settings, FileStore(tmp_path / "images")]) as made:
        made.headers["Accept"] = "application/json"
        yield made


async def make(glance, **attributes):
    got = await glance("POST", "/image/v2/images", attributes)
    assert got.status == 201, got.body
    return got.json


async def patch(glance, image_id, *operations, media=V21):
    return await glance("PATCH", f"/image/v2/images/{image_id}", list(operations), Content_Type=media)


async def upload(glance, image_id, body=b"x" * 100):
    got = await glance("PUT", f"/image/v2/images/{image_id}/file", body=body, Content_Type="application/octet-stream")
    assert got.status == 204, got.body


async def names(glance, query="", **headers):
    got = await glance("GET", f"/image/v2/images?sort=name:asc&{query}", **headers)
    assert got.status == 200, got.body
    return [image["name"] for image in got.json["images"]]


async def test_an_image_is_shown_as_it_was_made(glance):
    asked = {"name": "a", "disk_format": "raw", "container_format": "bare", "tags": ["t", "t"], "hw_disk_bus": "scsi"}
    made = await make(glance, **asked, min_ram=64, kernel_id=None)
    image_id = made["id"]
    at = "2023-11-14T22:13:20Z"
    assert made == {
        **asked,
        "tags": ["t"],
        "kernel_id": None,
        "min_ram": 64,
        "min_disk": 0,
        "id": image_id,
        "status": "queued",
        "visibility": "shared",
        "owner": DEMO,
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "os_hidden": False,
        "protected": False,
        "created_at": at,
        "updated_at": at,
        "self": f"/v2/images/{image_id}",
        "file": f"/v2/images/{image_id}/file",
        "schema": "/v2/schemas/image",
    }
    assert (await glance("GET", f"/image/v2/images/{image_id}")).json == made


async def test_an_id_may_be_chosen_once(glance):
    chosen = str(uuid.uuid4())
    got = await glance("POST", "/image/v2/images", {"id": chosen.upper()})
    assert (got.status, got.json["id"]) == (201, chosen)
    assert got.headers["location"] == f"http://cloud.test/image/v2/images/{chosen}"
    assert (await glance.as_("other")("POST", "/image/v2/images", {"id": chosen})).status == 409
    assert (await glance("GET", f"/image/v2/images/{chosen.upper()}")).status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": 1}, 400),
        ({"name": "a" * 256}, 400),
        ({"id": "../../etc/passwd"}, 400),
        ({"id": None}, 400),
        ({"disk_format": "wrong"}, 400),
        ({"container_format": "wrong"}, 400),
        ({"visibility": "secret"}, 400),
        ({"min_ram": -1}, 400),
        ({"min_disk": 2**40}, 400),
        ({"protected": "yes"}, 400),
        ({"tags": [""]}, 400),
        ({"tags": ["a" * 256]}, 400),
        ({"tags": [str(n) for n in range(129)]}, 413),
        ({"colour": 1}, 400),
        ({"colour": None}, 400),
        ({"": "x"}, 400),
        ({"c" * 256: "x"}, 400),
        ({"colour": "x" * 70_000}, 400),
        ({f"p{n}": "x" for n in range(129)}, 413),
        ({"kernel_id": "vmlinuz"}, 400),
        ({"name": "a\x00"}, 400),
        ([1], 400),
        ({"padding": "x" * 2_000_000}, 413),
        ({"status": "active"}, 403),
        ({"size": 1}, 403),
        ({"locations": []}, 403),
        ({"os_glance_foo": "x"}, 403),
        ({"deleted": "x"}, 403),
        ({"owner": OTHER}, 403),
        ({"visibility": "public"}, 403),
    ],
)
async def test_what_cannot_be_made_is_refused(glance, body, status):
    got = await glance("POST", "/image/v2/images", body)
    assert (got.status, set(got.json)) == (status, {"message", "code", "title"})
    assert await names(glance) == []


async def test_a_change_is_an_array_of_operations(glance):
    image_id = (await make(glance, name="a", os_distro="x"))["id"]
    changes = [
        {"op": "replace", "path": "/name", "value": "b"},
        {"op": "add", "path": "/a~1b~0c", "value": "odd"},
        {"op": "replace", "path": "/tags", "value": ["q", "p"]},
        {"op": "remove", "path": "/os_distro"},
        {"op": "add", "path": "/min_ram", "value": 5},
    ]
    got = await patch(glance, image_id, *changes)
    assert got.status == 200
    assert [got.json[key] for key in ("name", "a/b~c", "tags", "min_ram")] == ["b", "odd", ["p", "q"], 5]
    assert "os_distro" not in got.json
    got = await patch(glance, image_id, {"replace": "/name", "value": "c"}, {"remove": "/a~1b~0c"}, media=V20)
    assert (got.status, got.json["name"]) == (200, "c")
    assert (await glance("GET", f"/image/v2/images/{image_id}")).json == got.json


BAD_CHANGES = [
    ({"op": "replace", "path": "/status", "value": "active"}, 403),
    ({"op": "replace", "path": "/id", "value": NOBODY}, 403),
    ({"op": "add", "path": "/locations", "value": []}, 403),
    ({"op": "add", "path": "/os_glance_x", "value": "y"}, 403),
    ({"op": "remove", "path": "/name"}, 403),
    ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
    ({"op": "replace", "path": "/owner", "value": OTHER}, 403),
    ({"op": "replace", "path": "/visibility", "value": None}, 400),
    ({"op": "replace", "path": "/colour", "value": "red"}, 409),
    ({"op": "remove", "path": "/colour"}, 409),
    ({"op": "add", "path": "/colour", "value": {"deep": []}}, 400),
    ({"op": "add", "path": "/tags/-", "value": "x"}, 400),
    ({"op": "add", "path": "tags", "value": []}, 400),
    ({"op": "add", "path": "/a~2", "value": "x"}, 400),
    ({"op": "add", "path": "/", "value": "x"}, 400),
    ({"op": "add", "path": "/a"}, 400),
    ({"op": ["add"], "path": "/a", "value": "x"}, 400),
    ({"op": "move", "path": "/a", "value": "x"}, 400),
    ({"path": "/a"}, 400),
    ({"add": "/a", "value": "x"}, 400),
    ("remove", 400),
]


async def test_a_bad_change_is_refused_and_nothing_of_the_patch_remains(glance):
    image = await make(glance, name="a")
    for change, status in BAD_CHANGES:
        got = await patch(glance, image["id"], {"op": "replace", "path": "/name", "value": "b"}, change)
        assert (change, got.status) == (change, status)
    assert (await glance("GET", f"/image/v2/images/{image['id']}")).json == image


async def test_a_patch_of_another_media_type_is_told_which_are_right(glance):
    image_id = (await make(glance))["id"]
    got = await patch(glance, image_id, media="application/json")
    assert (got.status, got.headers["accept-patch"]) == (415, f"{V21}, {V20}")


async def test_the_format_of_bytes_that_are_there_is_not_changed(glance):
    image_id = (await make(glance, disk_format="raw", container_format="bare"))["id"]
    await upload(glance, image_id)
    for name, value in (("disk_format", "qcow2"), ("container_format", "ovf")):
        got = await patch(glance, image_id, {"op": "replace", "path": f"/{name}", "value": value})
        assert got.status == 403
    assert (await patch(glance, image_id, {"op": "replace", "path": "/disk_format", "value": "raw"})).status == 200


async def test_a_protected_image_is_not_deleted(glance):
    image_id = (await make(glance, protected=True))["id"]
    assert (await glance("DELETE", f"/image/v2/images/{image_id}")).status == 403
    await patch(glance, image_id, {"op": "replace", "path": "/protected", "value": False})
    assert (await glance("DELETE", f"/image/v2/images/{image_id}")).status == 204
    for method in ("GET", "DELETE"):
        assert (await glance(method, f"/image/v2/images/{image_id}")).status == 404


async def test_each_visibility_is_seen_by_whom_it_should(glance):
    admin, other = glance.as_("admin"), glance.as_("other")
    ids = {}
    for visibility in ("private", "shared", "community"):
        ids[visibility] = (await make(glance, name=visibility, visibility=visibility))["id"]
    ids["public"] = (await make(admin, name="public", visibility="public"))["id"]
    assert await names(glance) == ["community", "private", "public", "shared"]
    assert await names(other) == ["public"]
    assert await names(other, "visibility=all") == ["community", "public"]
    assert await names(other, "visibility=community") == ["community"]
    assert await names(other, "visibility=private") == []
    assert await names(glance, "visibility=private") == ["private"]
    assert await names(admin) == await names(glance.as_("agent")) == ["community", "private", "public", "shared"]
    seen = {name: (await other("GET", f"/image/v2/images/{image_id}")).status for name, image_id in ids.items()}
    assert seen == {"private": 404, "shared": 404, "community": 200, "public": 200}


async def test_what_belongs_to_others_is_absent_or_forbidden(glance):
    private = (await make(glance, name="private", visibility="private"))["id"]
    public = (await make(glance.as_("admin"), name="public", visibility="public"))["id"]
    calls = [
        ("PATCH", "", [], {"Content_Type": V21}),
        ("DELETE", "", None, {}),
        ("PUT", "/file", None, {"body": b"x", "Content_Type": "application/octet-stream"}),
        ("PUT", "/stage", None, {"body": b"x", "Content_Type": "application/octet-stream"}),
        ("POST", "/import", {"method": {"name": "glance-direct"}}, {}),
        ("POST", "/actions/deactivate", None, {}),
        ("POST", "/actions/reactivate", None, {}),
        ("PUT", "/tags/x", None, {}),
        ("DELETE", "/tags/x", None, {}),
        ("POST", "/members", {"member": OTHER}, {}),
    ]
    for method, path, body, more in calls:
        found = [
            (await glance.as_("other")(method, f"/image/v2/images/{image_id}{path}", body, **more)).status
            for image_id in (private, public, NOBODY, "..%2F..%2Fetc", "%00")
        ]
        assert (method, path, found) == (method, path, [404, 403, 404, 404, 404])
    assert (await glance.as_("reader")("GET", f"/image/v2/images/{private}")).status == 200
    assert (await glance.as_("reader")("DELETE", f"/image/v2/images/{private}")).status == 403


async def test_every_route_wants_a_token(glance):
    free = {"/", "/versions", "/versions/", "/v2", "/v2/"}
    for path, methods in SERVICE.routes.items():
        for method in methods:
            url = "/image" + path.replace("{name}", "image").replace("{tag}", "x").replace("{member_id}", "m")
            got = await glance.as_("")(method, url.replace("{id}", NOBODY))
            assert (path, got.status) == (path, got.status if path in free else 401)


async def test_a_path_that_ends_where_an_id_should_be_leads_nowhere(glance):
    for method in ("GET", "PATCH", "DELETE"):
        assert (await glance(method, "/image/v2/images/")).status == 404


async def test_tags_are_set_and_removed_one_by_one(glance):
    image_id = (await make(glance, tags=["b"]))["id"]
    url = f"/image/v2/images/{image_id}"
    assert (await glance("PUT", f"{url}/tags/a")).status == 204
    assert (await glance("PUT", f"{url}/tags/a")).status == 204
    assert (await glance("GET", url)).json["tags"] == ["a", "b"]
    assert (await glance("DELETE", f"{url}/tags/b")).status == 204
    assert (await glance("DELETE", f"{url}/tags/b")).status == 404
    assert (await glance("GET", url)).json["tags"] == ["a"]
    assert (await glance("PUT", f"{url}/tags/{'t' * 256}")).status in {400, 404}
    await patch(glance, image_id, {"op": "add", "path": "/tags", "value": [str(n) for n in range(128)]})
    assert (await glance("PUT", f"{url}/tags/more")).status == 413


async def test_a_project_has_no_more_images_than_its_quota(glance):
    for _ in range(40):
        await make(glance)
    assert (await glance("POST", "/image/v2/images", {})).status == 413
    usage = (await glance("GET", "/image/v2/info/usage")).json["usage"]
    assert usage["image_count_total"] == {"limit": 40, "usage": 40}
    await make(glance.as_("other"))


async def test_discovery_and_schemas(glance):
    for path, status in (("/", 300), ("/versions", 200), ("/v2/", 300)):
        got = await glance.as_("")("GET", f"/image{path}")
        assert (got.status, got.json["versions"][0]["status"]) == (status, "CURRENT")
        assert got.json["versions"][0]["links"] == [{"rel": "self", "href": "http://cloud.test/image/v2/"}]
    for name in ("image", "images", "member", "members"):
        assert (await glance("GET", f"/image/v2/schemas/{name}")).json["name"] == name
    assert (await glance("GET", "/image/v2/schemas/nothing")).status == 404
    assert (await glance("GET", "/image/v2/info/import")).json["import-methods"]["value"] == ["glance-direct"]
    assert (await glance("GET", "/image/v2/info/stores")).status == 404


async def test_an_admin_gives_an_image_to_another_project(glance):
    admin = glance.as_("admin")
    image = await make(admin, owner=OTHER)
    assert (image["owner"], ADMIN_PROJECT == OTHER) == (OTHER, False)
    got = await patch(admin, image["id"], {"replace": "/owner", "value": DEMO}, media=V20)
    assert got.json["owner"] == DEMO
