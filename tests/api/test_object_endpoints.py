"""Programs that work next to the data are told where it is; nobody else is."""

import pytest

from maldon.objectstore.path import Path
from tests.object_cloud import ACCOUNT, object_store

ON = {"without": ("name_check", "tempauth")}


@pytest.fixture
async def store(tmp_path):
    async with object_store(tmp_path, **ON) as made:
        await made("PUT", "c")
        await made("PUT", "c/a b/ü", b"x")
        yield made.as_("")


async def test_where_accounts_containers_and_objects_are(store):
    placing = store.proxy.store.placing
    for names, quoted in (((ACCOUNT,), ""), ((ACCOUNT, "c"), "/c"), ((ACCOUNT, "c", "a b/ü"), "/c/a%20b/%C3%BC")):
        path = Path(*names)
        place = placing.object(path, 0) if path.object else placing.book(path)
        (device,) = place.primaries
        where = f"http://{device.address}/{device.device}/{place.partition}/{ACCOUNT}{quoted}"
        for version in ("", "/v1", "/v1.0"):
            assert (await store.raw("GET", f"/endpoints{version}/{ACCOUNT}{quoted}")).json == [where]
        headers = {"X-Backend-Storage-Policy-Index": "0"} if path.object else {}
        told = (await store.raw("GET", f"/endpoints/v2/{ACCOUNT}{quoted}")).json
        assert told == {"endpoints": [where], "headers": headers}


@pytest.mark.parametrize(
    ("method", "where", "status"),
    [
        ("GET", "/endpoints/", 400), ("GET", "/endpoints/v2/", 400), ("GET", f"/endpoints/{ACCOUNT}//o", 400),
        ("PUT", f"/endpoints/{ACCOUNT}/c", 405), ("GET", f"/endpoints/{ACCOUNT}/none/o", 404),
        ("GET", f"/endpoints/{ACCOUNT}/c/%ff", 412), ("HEAD", f"/endpoints/{ACCOUNT}/c", 200),
    ],
)  # fmt: skip
async def test_questions_that_have_no_answer(store, method, where, status):
    assert (await store.raw(method, where)).status == status


async def test_nobody_is_told_unless_the_settings_say_so(tmp_path):
    async with object_store(tmp_path) as store:
        await store("PUT", "c")
        assert (await store.raw("GET", f"/endpoints/{ACCOUNT}/c")).status == 404
