"""Containers as web sites, many things at once, ETags in quotes, and hosts as paths."""

import io
import os
import tarfile

import pytest

from maldon.objectstore.middleware.domain_remap import DomainRemapSettings
from tests.object_cloud import object_store


@pytest.fixture
async def store(tmp_path):
    async with object_store(tmp_path) as made:
        await made("PUT", "c")
        yield made


async def a_site(store, **more):
    for name, body in (
        ("index.html", b"home"),
        ("dir/index.html", b"inner"),
        ("dir/page", b"page"),
        ("404error.html", b"lost"),
    ):
        await store("PUT", f"c/{name}", body)
    site = {"X_Container_Read": ".r:*,.rlistings", "X_Container_Meta_Web_Index": "index.html", **more}
    await store("POST", "c", **site)
    return store.as_("")


async def test_a_folder_is_its_index(store):
    web = await a_site(store, X_Container_Meta_Web_Error="error.html")
    assert [(await web("GET", path)).body for path in ("c/", "c/dir/", "c/dir/page")] == [b"home", b"inner", b"page"]
    moved = await web("GET", "c/dir")
    assert (moved.status, moved.headers["location"]) == (301, f"http://store.test/v1/{store.account}/c/dir/")
    assert (await web("GET", "c")).status == 301
    lost = await web("GET", "c/none")
    assert (lost.status, lost.body) == (404, b"lost")
    assert (await store("GET", "c/")).body.startswith(b"404error.html\n")  # with a token it is a container


async def test_a_folder_without_an_index_is_listed(store):
    web = await a_site(store, X_Container_Meta_Web_Index="", X_Container_Meta_Web_Listings="true")
    await store("PUT", "c/dir/<b>&", b"x")
    page = await web("GET", "c/dir/")
    assert page.status == 200
    assert b'<a href="./page">page</a>' in page.body
    assert b'<a href="./%3Cb%3E%26">&lt;b&gt;&amp;</a>' in page.body
    assert b"<b>" not in page.body
    assert (await web("GET", "c/nothing/")).status == 404
    await store("POST", "c", X_Container_Read=".r:*")
    assert (await web("GET", "c/dir/")).status == 401


async def test_many_things_are_deleted_at_once(store):
    for name in ("a", "b", "ü"):
        await store("PUT", f"c/{name}", b"x")
    body = b"c/a\nc/%C3%BC\nc/none\nc\nnowhere\n"
    done = await store("POST", body=body, query="bulk-delete", Accept="application/json", Content_Type="text/plain")
    assert done.status == 200
    assert (done.json["Number Deleted"], done.json["Number Not Found"]) == (2, 2)
    assert done.json["Errors"] == [["/c", "409 Conflict"]]
    assert (await store("GET", "c")).body == b"b\n"
    text = await store("DELETE", body=b"c/b\nc", query="bulk-delete")
    assert text.body.splitlines()[0] == b"Number Deleted: 2"
    xml = await store("POST", body=b"", query="bulk-delete", Accept="application/xml")
    assert b"<response_status>400 Bad Request</response_status>" in xml.body


def archive(mode: str, files: dict[str, bytes], **about: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.pax_headers = {"SCHILY.xattr.user.meta.colour": "red"} | {
                f"SCHILY.xattr.user.{name}": value for name, value in about.items()
            }
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(("kind", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tar.bz2", "w:bz2")])
async def test_an_archive_is_unpacked(store, kind, mode):
    content = os.urandom(200_000)
    packed = archive(mode, {"new/a": b"1", "./new/dir/b": content, "top": b"in no container"})
    done = await store("PUT", body=packed, query=f"extract-archive={kind}", Accept="application/json")
    assert (done.status, done.json["Number Files Created"], done.json["Response Status"]) == (200, 2, "201 Created")
    got = await store("GET", "new/dir/b")
    assert (got.body == content, got.headers["x-object-meta-colour"]) == (True, "red")
    inner = await store("PUT", "c/pre", packed, f"extract-archive={kind}", Accept="application/json")
    assert inner.json["Number Files Created"] == 3
    assert (await store("GET", "c/pre/top")).body == b"in no container"


@pytest.mark.parametrize(
    ("name", "value"),
    [("meta.a", "x\r\nSet-Cookie: y"), ("meta.a: b\r\nc", "x"), ("mime_type", "a/b\r\nx: y"), ("meta.a", "x\0")],
)
async def test_an_archive_adds_no_line_to_an_answer(store, name, value):
    packed = archive("w", {"a": b"1", "b": b"2"}, **{name: value})
    done = await store("PUT", "c", packed, "extract-archive=tar", Accept="application/json")
    assert (done.json["Number Files Created"], [why for _, why in done.json["Errors"]]) == (0, ["400 Bad Request"] * 2)


async def test_an_archive_that_is_none(store):
    done = await store("PUT", body=b"nonsense" * 200, query="extract-archive=tar", Accept="application/json")
    assert (done.status, done.json["Response Status"]) == (200, "400 Bad Request")
    assert (await store("PUT", body=b"x", query="extract-archive=zip")).status == 400


async def test_etags_are_quoted_where_that_is_wished(store):
    await store("PUT", "c/o", b"x")
    plain = (await store("HEAD", "c/o")).headers["etag"]
    await store("POST", X_Account_Rfc_Compliant_Etags="true")
    assert (await store("HEAD", "c/o")).headers["etag"] == f'"{plain}"'
    await store("POST", "c", X_Container_Rfc_Compliant_Etags="false")
    assert (await store("HEAD", "c/o")).headers["etag"] == plain
    assert (await store("HEAD")).headers["x-account-rfc-compliant-etags"] == "True"


async def test_a_host_may_say_account_and_container(tmp_path):
    async with object_store(tmp_path, DomainRemapSettings(storage_domains=("store.test",))) as store:
        await store("PUT", "c")
        await store("PUT", "c/dir/o", b"x")
        label = store.account.replace("_", "-").lower()
        assert (await store.raw("GET", "/dir/o", Host=f"c.{label}.store.test")).body == b"x"
        assert (await store.raw("GET", "/c/dir/o", Host=f"{label}.store.test:8080")).body == b"x"
        await store("PUT", "ΩMega")
        await store("PUT", "ΩMega/o", b"case")
        assert (await store.raw("GET", "/o", Host=f"ΩMega.{label}.STORE.test")).body == b"case"
        assert (await store.raw("GET", "/o", Host=f"a.b.c.{label}.store.test")).status == 400
