"""The bytes of images: up, staged, down, refused, cut, and what is left when a process dies in between."""

import asyncio
import hashlib
import os
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maldon.image import catalogue, service, uploads
from maldon.image.routes import SERVICE
from maldon.image.service import FileStore, ImageSettings
from maldon.kernel.errors import Gone, NotFound
from maldon.kernel.ids import new_id
from tests.harness import DEMO, cloud

BYTES = "application/octet-stream"
LIMIT = 8 << 20
QCOW2 = struct.pack(">4sIQIIQI", b"QFI\xfb", 2, 0, 0, 16, 10 << 20, 0) + bytes(1000)
BACKED = struct.pack(">4sIQIIQI", b"QFI\xfb", 2, 512, 11, 16, 1 << 20, 0) + bytes(472) + b"/etc/shadow"


@pytest.fixture
async def glance(database_url, tmp_path):
    limits = ImageSettings(max_image_bytes=LIMIT, bytes_per_project=LIMIT + 1000, stall_s=1)
    async with cloud(database_url, [SERVICE], kit=[limits, FileStore(tmp_path / "images")]) as made:
        made.headers["Accept"] = "application/json"
        yield made


async def make(glance, disk_format="raw", **more):
    body = {"name": "i", "disk_format": disk_format, "container_format": "bare", **more}
    return (await glance("POST", "/image/v2/images", body)).json["id"]


async def put(glance, image_id, body, what="file", **headers):
    return await glance("PUT", f"/image/v2/images/{image_id}/{what}", body=body, Content_Type=BYTES, **headers)


async def state(glance, image_id):
    """What an image is, and how many files there are in the store."""
    image = (await glance("GET", f"/image/v2/images/{image_id}")).json
    return image["status"], image["size"], len(await glance.kit[FileStore].names())


async def reap(glance):
    await service.reap_uploads(glance.op()).once()


async def stream(glance, image_id, events, path="file"):
    """An upload whose body comes as these events, the last of which may wait; its status."""
    headers = [(b"x-auth-token", b"demo"), (b"host", b"cloud.test"), (b"content-type", BYTES.encode())]
    url = f"/image/v2/images/{image_id}/{path}"
    scope = {"type": "http", "method": "PUT", "path": url, "headers": headers, "query_string": b""}
    scope |= {"scheme": "http", "http_version": "1.1", "server": None, "asgi": {"version": "3.0"}}
    sent = []

    async def receive():
        event = events.pop(0)
        return await event if asyncio.iscoroutine(event) else event

    async def send(message):
        sent.append(message)

    await glance.front(scope, receive, send)
    return sent[0]["status"]


def piece(data=b"x" * 100_000):
    return {"type": "http.request", "body": data, "more_body": True}


LAST = {"type": "http.request", "body": b""}
GONE = {"type": "http.disconnect"}


async def test_bytes_up_and_down(glance):
    image_id, data = await make(glance), os.urandom(5 << 20)
    url = f"/image/v2/images/{image_id}"
    assert (await glance("GET", f"{url}/file")).status == 204
    assert (await put(glance, image_id, data)).status == 204
    image = (await glance("GET", url)).json
    md5, sha512 = hashlib.md5(data).hexdigest(), hashlib.sha512(data).hexdigest()
    told = {name: image[name] for name in ("status", "size", "virtual_size", "checksum", "os_hash_algo")}
    size = len(data)
    assert told == {
        "status": "active",
        "size": size,
        "virtual_size": size,
        "checksum": md5,
        "os_hash_algo": "sha512",
    }
    assert image["os_hash_value"] == sha512
    got = await glance("GET", f"{url}/file")
    assert (got.status, got.body == data) == (200, True)
    told = {name: got.headers[name] for name in ("content-length", "content-md5", "content-type")}
    assert told == {"content-length": str(size), "content-md5": md5, "content-type": BYTES}
    assert (await glance.as_("agent")("GET", f"{url}/file")).body == data
    assert (await glance.as_("reader")("GET", f"{url}/file")).status == 403
    assert (await put(glance, image_id, b"again")).status == 409
    assert (await glance("DELETE", url)).status == 204
    assert await glance.kit[FileStore].names() == set()


RANGES = [
    ("bytes=0-0", 206, "a", "bytes 0-0/26"),
    ("bytes=3-5", 206, "def", "bytes 3-5/26"),
    ("bytes=24-", 206, "yz", "bytes 24-25/26"),
    ("bytes=24-99", 206, "yz", "bytes 24-25/26"),
    ("bytes=-2", 206, "yz", "bytes 24-25/26"),
    ("bytes=-99", 206, "abcdefghijklmnopqrstuvwxyz", "bytes 0-25/26"),
    ("bytes=26-", 416, None, "bytes */26"),
    ("bytes=-0", 416, None, "bytes */26"),
    ("bytes=5-3", 200, "abcdefghijklmnopqrstuvwxyz", None),
    ("bytes=0-1,3-4", 200, "abcdefghijklmnopqrstuvwxyz", None),
    ("bytes=-", 200, "abcdefghijklmnopqrstuvwxyz", None),
    ("lines=1-2", 200, "abcdefghijklmnopqrstuvwxyz", None),
]


async def test_a_part_of_an_image(glance):
    image_id = await make(glance)
    await put(glance, image_id, b"abcdefghijklmnopqrstuvwxyz")
    for asked, status, body, told in RANGES:
        got = await glance("GET", f"/image/v2/images/{image_id}/file", Range=asked)
        assert (asked, got.status, got.headers.get("content-range")) == (asked, status, told)
        assert body is None or got.body.decode() == body


async def test_an_image_without_bytes_has_no_part(glance):
    image_id = await make(glance)
    assert (await put(glance, image_id, b"")).status == 204
    assert (await glance("GET", f"/image/v2/images/{image_id}/file")).status == 200
    assert (await glance("GET", f"/image/v2/images/{image_id}/file", Range="bytes=0-")).status == 416


REFUSED = [
    ("qcow2", BACKED, {}, 400),
    ("raw", QCOW2, {}, 400),
    ("qcow2", b"no qcow2", {}, 400),
    ("qcow2", b"", {}, 400),
    ("raw", b"x" * (LIMIT + 1), {}, 413),
    ("raw", b"xyz", {"X_OpenStack_Image_Size": "4"}, 400),
    ("raw", b"xyz", {"X_OpenStack_Image_Size": "many"}, 400),
    ("raw", b"xyz", {"X_OpenStack_Image_Size": str(LIMIT + 1)}, 413),
    ("raw", b"xyz", {"Content_Type": "text/plain"}, 415),
]


@pytest.mark.parametrize("what", ["file", "stage"])
async def test_refused_bytes_leave_the_image_as_it_was(glance, what):
    for disk_format, body, headers, status in REFUSED:
        image_id = await make(glance, disk_format)
        url = f"/image/v2/images/{image_id}/{what}"
        got = await glance("PUT", url, body=body, **{"Content_Type": BYTES, **headers})
        assert (disk_format, body[:9], got.status) == (disk_format, body[:9], status)
        assert await state(glance, image_id) == ("queued", None, 0)
    nameless = (await glance("POST", "/image/v2/images", {})).json["id"]
    assert (await put(glance, nameless, b"x", what)).status == 400
    good = await make(glance, "qcow2")
    assert (await put(glance, good, QCOW2)).status == 204
    assert (await glance("GET", f"/image/v2/images/{good}")).json["virtual_size"] == 10 << 20


@pytest.mark.parametrize("what", ["file", "stage"])
async def test_a_cut_or_stuck_upload_leaves_the_image_as_it_was(glance, what):
    image_id = await make(glance)
    assert await stream(glance, image_id, [piece(), piece(), GONE], what) == 400
    assert await state(glance, image_id) == ("queued", None, 0)
    assert await stream(glance, image_id, [piece(), asyncio.Event().wait()], what) == 400
    assert await state(glance, image_id) == ("queued", None, 0)
    assert await stream(glance, image_id, [piece(), piece(), LAST]) == 204
    assert await state(glance, image_id) == ("active", 200_000, 1)


async def test_of_two_uploads_at_once_one_wins(glance):
    image_id, turn = await make(glance), asyncio.Event()

    async def later():
        await turn.wait()
        return LAST

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(stream(glance, image_id, [piece(), later()]))
        while (await state(glance, image_id))[0] != "saving":
            await asyncio.sleep(0)
        assert (await put(glance, image_id, b"second")).status == 409
        turn.set()
    assert first.result() == 204
    assert await state(glance, image_id) == ("active", 100_000, 1)


async def test_an_image_deleted_while_its_bytes_come_in_is_gone(glance):
    image_id = await make(glance)

    async def deleted():
        await glance("DELETE", f"/image/v2/images/{image_id}")
        return LAST

    assert await stream(glance, image_id, [piece(), deleted()]) == 410
    assert await glance.kit[FileStore].names() == set()


async def test_a_project_has_no_more_bytes_than_its_quota(glance):
    first, second = await make(glance), await make(glance)
    assert (await put(glance, first, bytes(LIMIT))).status == 204
    assert (await put(glance, second, bytes(1001))).status == 413
    assert (await put(glance, second, bytes(1000))).status == 204
    usage = (await glance("GET", "/image/v2/info/usage")).json["usage"]
    assert usage["image_size_total"] == {"limit": 8, "usage": 8}


async def test_of_two_uploads_that_fit_one_by_one_only_one_fits(glance):
    first, second = await make(glance), await make(glance)

    async def meanwhile():
        assert (await put(glance, second, bytes(LIMIT))).status == 204
        return LAST

    assert await stream(glance, first, [piece(), meanwhile()]) == 413
    assert await state(glance, first) == ("queued", None, 1)


async def test_staged_bytes_become_the_images_own_by_an_import(glance):
    image_id = await make(glance)
    url, wanted = f"/image/v2/images/{image_id}", {"method": {"name": "glance-direct"}, "all_stores": True}
    assert (await glance("POST", f"{url}/import", wanted)).status == 409
    assert (await put(glance, image_id, b"staged", "stage")).status == 204
    assert await state(glance, image_id) == ("uploading", None, 1)
    glance.clock.advance(10_000)
    await reap(glance)
    assert await state(glance, image_id) == ("uploading", None, 1)
    assert (await glance("GET", f"{url}/file")).status == 204
    assert (await put(glance, image_id, b"other")).status == 409
    for body, status in [
        ({"method": {"name": "web-download"}}, 400),
        ({"method": {"name": "glance-direct"}, "stores": ["elsewhere"]}, 400),
        ({"method": "glance-direct"}, 400),
        ({}, 400),
        ([], 400),
    ]:
        assert (body, (await glance("POST", f"{url}/import", body)).status) == (body, status)
    got = await glance("POST", f"{url}/import", wanted)
    assert got.status == 202
    assert await state(glance, image_id) == ("active", 6, 1)
    assert (await glance("GET", f"{url}/file")).body == b"staged"
    (task,) = (await glance("GET", f"{url}/tasks")).json["tasks"]
    assert (task["status"], task["input"]["import_req"]) == ("success", wanted)
    assert task["request_id"] == got.headers["x-openstack-request-id"]


async def test_a_deactivated_image_is_not_downloaded(glance):
    image_id = await make(glance)
    url = f"/image/v2/images/{image_id}"
    assert (await glance("POST", f"{url}/actions/deactivate")).status == 403
    await put(glance, image_id, b"x")
    for _ in range(2):
        assert (await glance("POST", f"{url}/actions/deactivate")).status == 204
    assert (await glance("GET", f"{url}/file")).status == 403
    assert (await glance.as_("admin")("GET", f"{url}/file")).body == b"x"
    assert (await glance("POST", f"{url}/actions/reactivate")).status == 204
    assert (await glance("GET", f"{url}/file")).body == b"x"


async def arriving(data=b"bytes"):
    yield data


@pytest.mark.parametrize("way", ["saving", "uploading"])
@pytest.mark.parametrize("died_after", ["begin", "receive", "publish"])
async def test_an_upload_whose_process_died_is_undone(glance, died_after, way):
    image_id, op, store = await make(glance), glance.op("demo"), glance.kit[FileStore]
    async with op.db.begin() as session:
        row, _ = await catalogue.find(session, op, image_id)
        upload = await uploads.begin(session, op, row, way, None)
    if died_after != "begin":
        received = await store.receive(upload.file, arriving(), upload.disk_format, upload.most)
    if died_after == "publish":
        await store.publish(upload.file)
    await reap(glance)
    assert (await state(glance, image_id))[0] == way
    glance.clock.advance(200)
    await reap(glance)
    assert await state(glance, image_id) == ("queued", None, 0)
    if died_after == "publish":  # and it was not dead after all
        with pytest.raises(Gone):
            await uploads.finish(op, upload, received)
    assert (await put(glance, image_id, b"again")).status == 204
    assert await state(glance, image_id) == ("active", 5, 1)


async def test_an_upload_that_finished_is_not_undone_by_whoever_asks(glance):
    """A client that goes away after the commit, or a loop that comes late."""
    for way, status in (("saving", "active"), ("uploading", "uploading")):
        image_id, op, store = await make(glance), glance.op("demo"), glance.kit[FileStore]
        async with op.db.begin() as session:
            row, _ = await catalogue.find(session, op, image_id)
            upload = await uploads.begin(session, op, row, way, None)
        await uploads.bring(op, upload, arriving(), None)
        glance.clock.advance(10_000)
        await uploads.abandon(op, upload)
        await reap(glance)
        assert (await state(glance, image_id))[0] == status
        assert upload.file in await store.names()


async def test_a_slow_upload_keeps_its_lease(glance):
    image_id = await make(glance)

    async def slowly():
        glance.clock.advance(100)
        return piece()

    async def reaped():
        await reap(glance)
        return LAST

    assert await stream(glance, image_id, [piece(), slowly(), slowly(), slowly(), reaped()]) == 204
    assert await state(glance, image_id) == ("active", 400_000, 1)


async def test_files_that_no_image_names_are_removed(glance):
    image_id, store = await make(glance), glance.kit[FileStore]
    await put(glance, image_id, b"kept")
    for published in (True, False):
        name = new_id()
        await store.receive(name, arriving(), "raw", 100)
        if published:
            await store.publish(name)
    assert len(await store.names()) == 3
    await reap(glance)
    assert await state(glance, image_id) == ("active", 4, 1)


async def test_an_image_whose_file_is_lost_is_reported(glance):
    kept, lost, _empty = [await make(glance) for _ in range(3)]
    for image_id in (kept, lost):
        await put(glance, image_id, b"bytes")
    assert await service.audit(glance.op()) == []
    store = glance.kit[FileStore]
    async with glance.db.read() as session:
        file = (await catalogue.find(session, glance.op("admin"), lost))[0].file
    store.path(file).unlink()
    assert await service.audit(glance.op()) == [f"image {lost} has lost its file {file}"]


async def test_a_local_file_is_registered_once(glance, tmp_path):
    path, image_id, op = tmp_path / "guest.qcow2", new_id(), glance.op()
    path.write_bytes(QCOW2)
    known = {"image_id": image_id, "name": "guest", "disk_format": "qcow2", "properties": {"os_distro": "debian"}}
    for _ in range(2):
        image = await service.import_file(op, path, **known)
    assert (image.status, image.visibility, image.size, image.virtual_size) == (
        "active",
        "public",
        len(QCOW2),
        10 << 20,
    )
    assert (image.properties, image.os_hash_value) == ({"os_distro": "debian"}, hashlib.sha512(QCOW2).hexdigest())
    assert len(await glance.kit[FileStore].names()) == 1
    assert (await glance("GET", f"/image/v2/images/{image_id}/file")).body == QCOW2


async def test_a_registration_that_died_is_taken_over(glance, tmp_path):
    path, image_id, op = tmp_path / "guest.raw", new_id(), glance.op()
    path.write_bytes(b"guest")
    async with op.db.begin() as session:
        values = {"name": "guest", "disk_format": "raw", "container_format": "bare", "owner": DEMO, "min_ram": 0}
        flags = {"visibility": "public", "min_disk": 0, "protected": False, "os_hidden": False, "tags": []}
        await catalogue.add(session, op, image_id, values | flags, {})
        row, _ = await catalogue.find(session, op, image_id)
        dead = await uploads.begin(session, op, row, "saving", None)
    image = await service.import_file(op, path, image_id=image_id, name="guest", disk_format="raw")
    assert (image.status, image.size) == ("active", 5)
    with pytest.raises(Gone):
        await uploads.bring(op, dead, arriving(), None)
    assert await state(glance, image_id) == ("active", 5, 1)


async def test_the_door_shows_what_its_asker_may_see(glance):
    image_id = await make(glance, visibility="private", os_distro="debian")
    async with glance.db.read() as session:
        image = await service.get_image(session, glance.op("demo"), image_id)
        assert (image.name, image.status, image.properties) == ("i", "queued", {"os_distro": "debian"})
        assert await service.image_names(session, [image_id, new_id()]) == {image_id: "i"}
        assert await service.image_names(session, []) == {}
        for asked, who in ((image_id, "other"), (new_id(), "demo"), ("../x", "demo")):
            with pytest.raises(NotFound):
                await service.get_image(session, glance.op(who), asked)


WORDS = st.sampled_from(
    ["op", "path", "value", "add", "remove", "replace", "/name", "/tags", "/min_ram", "/x", "~", "/~2"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(), inner, max_size=4),
    max_leaves=12,
)
OPERATIONS = st.lists(
    st.fixed_dictionaries({"op": WORDS, "path": WORDS | st.text()}, optional={"value": ANYTHING}) | ANYTHING, max_size=4
)


async def test_no_document_breaks_a_change(tmp_path):
    """SQLite alone: what is tried is the reading of the document; each try needs a cloud of its own loop."""
    kit = [ImageSettings(images_per_project=-1), FileStore(tmp_path / "images")]
    async with cloud(str(tmp_path / "db"), [SERVICE], kit=kit) as glance:
        image_id, loop = await make(glance), asyncio.get_running_loop()
        url = f"/image/v2/images/{image_id}"

        def ask(method, path, body, media):
            asked = glance(method, path, body, Content_Type=media)
            return asyncio.run_coroutine_threadsafe(asked, loop).result(30).status

        @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
        @given(OPERATIONS | ANYTHING, st.sampled_from(["0", "1"]))
        def changes(document, dialect):
            media = f"application/openstack-images-v2.{dialect}-json-patch"
            assert ask("PATCH", url, document, media) in {200, 400, 403, 409}

        @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
        @given(st.dictionaries(st.sampled_from(["name", "id", "tags", "min_ram", "owner"]) | st.text(), ANYTHING))
        def creations(document):
            assert ask("POST", "/image/v2/images", document, "application/json") in {201, 400, 403, 409}

        await asyncio.to_thread(changes)
        await asyncio.to_thread(creations)
