"""Bodies that mean harm: archives, forms, manifests and signatures made so that the store would stumble, spend its
memory or its time, count wrong, or say what somebody else put into its mouth.
"""

import gzip
import hashlib
import hmac
import json
import tarfile
import time

import pytest

from tests.object_cloud import object_store

END = "4102444800"


@pytest.fixture
async def store(tmp_path):
    async with object_store(tmp_path) as made:
        await made("PUT", "c")
        await made("PUT", "c/o", b"0123456789")
        yield made


def member(name, content=b"", *, size=None, form=tarfile.GNU_FORMAT, **about):
    """The bytes of one member, whatever it claims of itself."""
    info = tarfile.TarInfo(name)
    info.size = len(content) if size is None else size
    for key, value in about.items():
        setattr(info, key, value)
    return info.tobuf(form) + content + bytes(-len(content) % 512)


def attributes(**said):
    """A member with these pax attributes."""
    info = tarfile.TarInfo("attributed")
    info.size, info.pax_headers = 1, said
    return info.tobuf(tarfile.PAX_FORMAT) + b"1".ljust(512, b"\0")


def link(name, kind):
    return member(name, type=kind, linkname="../../etc/passwd")


OUTSIDE = b"".join(member(name, b"1") for name in ("../../x", "/etc/x", "a/../b", "..", "./"))
SPECIAL = b"".join(link("x", k) for k in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE))
LONG_NAME = member("././@LongLink", size=1 << 30, type=tarfile.GNUTYPE_LONGNAME)
ARCHIVES = {
    "a promise that is not kept": ("tar", member("x", b"x" * 512, size=2**70)),
    "more than an object may have": ("tar", member("x", b"x" * 512, size=6 << 30)),
    "less than nothing": ("tar", member("x", b"x" * 512, size=-512)),
    "cut": ("tar", member("x", b"x" * 99, size=4000)),
    "a long name in memory": ("tar.gz", gzip.compress(LONG_NAME + bytes(64 << 20))),
    "long attributes in memory": ("tar", member("x", size=1 << 30, type=tarfile.XHDTYPE)),
    "a time that is none": ("tar", attributes(mtime="nan", path="\0")),
    "holes that are none": ("tar", attributes(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})),
    "holes for ever": (
        "tar",
        attributes(**{"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50), "GNU.sparse.name": "x"}),
    ),
    "a name that is no text": ("tar", member("\udcff", b"1")),
    "a name that is too long": ("tar", member("n" * 2000, b"1")),
    "nothing but special files": ("tar", SPECIAL),
    "empty": ("tar", b""),
    "no archive": ("tar", b"\xff" * 10_240),
    "not compressed": ("tar.gz", b"x" * 999),
    "half compressed": ("tar.gz", gzip.compress(member("x", bytes(range(256)) * 99))[:-99]),
    "badly compressed": ("tar.bz2", b"BZh9" + b"x" * 99),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("which", ARCHIVES)
async def test_an_archive_that_means_harm(store, which):
    kind, body = ARCHIVES[which]
    body += b"" if kind != "tar" or which in {"cut", "empty"} else bytes(1024)
    done = await store("PUT", "t", body, f"extract-archive={kind}", Accept="application/json")
    assert (done.status, done.json["Response Status"][:3], done.json["Number Files Created"]) == (200, "400", 0)
    assert done.json["Response Body"] or done.json["Errors"]
    assert (await store("GET", "t")).status in {204, 404}


async def test_an_archive_reaches_nothing_outside(store):
    """What means a way out elsewhere is a name like others, below the path that was asked for."""
    done = await store("PUT", "c/in", OUTSIDE + bytes(1024), "extract-archive=tar", Accept="application/json")
    assert done.json["Response Status"] == "201 Created"
    assert (await store("GET", "c")).body.split() == [b"in", b"in/..", b"in/../../x", b"in/a/../b", b"in/etc/x", b"o"]
    assert (await store("GET", "")).body == b"c\n"


SEGMENT = {"path": "/c/o"}
MANIFESTS = {
    "no JSON": b"{", "no list": b"{}", "nothing": b"[]", "deep": b"[" * 100_000,
    "deeper": b'[{"path":' + b'{"a":' * 50_000,
    "a number for ever": b"[1e999999]", "a size for ever": b'[{"path":"/c/o","size_bytes":' + b"9" * 5000 + b"}]",
    "a size in words": [{**SEGMENT, "size_bytes": "9" * 5000}], "a strange digit": [{**SEGMENT, "size_bytes": "²"}],
    "a broken size": [{**SEGMENT, "size_bytes": 1.5}], "less than nothing": [{**SEGMENT, "size_bytes": -5}],
    "true bytes": [{**SEGMENT, "size_bytes": True}],
    "no text": b'[{"path":"/c/\xff"}]', "half a character": b'[{"path":"/c/\\ud800"}]',
    "a NUL": [{"path": "/c/a\0"}], "no object": [{"path": "/c"}], "a number as path": [{"path": 1}],
    "a range for ever": [{**SEGMENT, "range": "9" * 19 + "-"}], "a range of words": [{**SEGMENT, "range": "a-b"}],
    "a range backwards": [{**SEGMENT, "range": "5-2"}], "too many": [SEGMENT] * 1001, "data alone": [{"data": "AAAA"}],
    "no base64": [{"data": "?"}, SEGMENT], "more than it knows": [{**SEGMENT, "x": 1}], "itself": [{"path": "/c/new"}],
    "a long name": [{"path": "/c/" + "n" * 3000}], "another's": [{"path": "/../AUTH_x/o"}],
    "wrong": [{**SEGMENT, "etag": "\u2028"}],
}  # fmt: skip


@pytest.mark.parametrize("which", MANIFESTS)
async def test_a_manifest_that_means_harm(store, which):
    content = MANIFESTS[which]
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    refused = await store("PUT", "c/new", body, "multipart-manifest=put")
    assert (refused.status, len(refused.body) > 10, b"int_max" in refused.body) == (400, True, False)
    assert (await store("GET", "c")).body == b"o\n"


async def put_manifest(store, name, *paths):
    body = json.dumps([{"path": path} for path in paths]).encode()
    return (await store("PUT", f"c/{name}", body, "multipart-manifest=put")).status


async def test_manifests_that_go_in_a_circle(store):
    await store("PUT", "c/a", b"x")
    assert [await put_manifest(store, "b", "/c/a"), await put_manifest(store, "a", "/c/b")] == [201, 201]
    assert [(await store("GET", f"c/{name}")).status for name in "ab"] == [409, 409]
    gone = await store("DELETE", "c/b", query="multipart-manifest=delete", Accept="application/json")
    assert (gone.json["Number Deleted"], gone.json["Errors"]) == (2, [])
    assert (await store("GET", "c")).body == b"o\n"


async def test_manifests_that_grow_beyond_all_bounds(store):
    """A thousand of a thousand of …: what can be counted is kept, the rest refused, and the container stays exact."""
    statuses, inner = [], "/c/o"
    for n in range(7):
        statuses.append(await put_manifest(store, f"d{n}", *[inner] * 1000))
        inner = f"/c/d{n}"
    assert statuses == [201] * 4 + [400] * 3
    most = 10 + sum(10 * 1000**n for n in range(1, 5))
    assert int((await store("HEAD", "c")).headers["x-container-bytes-used"]) >= most


async def test_a_manifest_of_names_that_names_itself(store):
    await store("PUT", "c/seg", b"", X_Object_Manifest="c/seg")
    await store("PUT", "c/seg2", b"12")
    got = await store("GET", "c/seg")
    assert (got.status, got.body) == (200, b"12")


async def signed_form(store, fields, parts, *, key=b"key", kind="multipart/form-data; boundary=BB"):
    """POST a form without a token; `parts` are heads and bodies of its files."""
    await store("POST", "c", X_Container_Meta_Temp_Url_Key="key")
    said = {"redirect": "", "max_file_size": "100", "max_file_count": "2", "expires": END} | fields
    path = f"/v1/{store.account}/c/f-"
    text = "\n".join((path, *(said[n] for n in ("redirect", "max_file_size", "max_file_count", "expires"))))
    said.setdefault("signature", hmac.new(key, text.encode(), hashlib.sha256).hexdigest())
    lines = [f'--BB\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in said.items()]
    body = b"".join(lines) + b"".join(b"--BB\r\n" + part + b"\r\n" for part in parts) + b"--BB--\r\n"
    return await store.as_("")("POST", "c/f-", body, Content_Type=kind)


def part(name=b"a", head=b"", body=b"data"):
    return b'Content-Disposition: form-data; name="file"; filename="' + name + b'"' + head + b"\r\n\r\n" + body


FORMS = {
    "a wrong key": (401, {"signature": "0" * 64}), "no signature": (401, {"signature": ""}),
    "a letter": (401, {"signature": "ü" * 32}),
    "no base64": (401, {"signature": "sha256:?"}), "past": (401, {"expires": "1"}), "soon": (401, {"expires": "soon"}),
    "never": (401, {"expires": "9" * 300}), "a size in words": (400, {"max_file_size": "x"}),
    "too large": (400, {"max_file_size": "1"}),
    "too many": (400, {"max_file_count": "0"}), "a long field": (400, {"other": "x" * 5000}),
    "long ago": (400, {"x_delete_at": "1"}),
    "a way out of the line": (400, {"redirect": "http://x/\r\nSet-Cookie: y"}), "another": (400, {"redirect": "http://x/\x7f"}),
}  # fmt: skip


@pytest.mark.parametrize("which", FORMS)
async def test_a_form_that_may_not(store, which):
    status, fields = FORMS[which]
    answer = await signed_form(store, fields, [part()])
    assert (answer.status, len(answer.body) > 10, "set-cookie" in answer.headers) == (status, True, False)
    assert (await store("GET", "c", query="prefix=f-")).status in (
        {200} if "way out" in which or which == "another" else {204}
    )


PARTS = {
    "a NUL": part(b"a\0b"), "no text": part(b"\xff"), "a long name": part(b"n" * 2000),
    "a line more": part(head=b"\r\nContent-Type: a\rb"),
    "a bell": part(head=b"\r\nContent-Encoding: \x07"), "no name of its own": b"X: y\r\n\r\nx",
    "many heads": part(head=b"\r\nA: b" * 99),
    "a long head": part(head=b"\r\nA: " + b"b" * 99_999), "no head": b"nonsense",
    "another end": part(body=b"x\r\n--BB--\r\n--BB"),
}  # fmt: skip


@pytest.mark.parametrize("which", PARTS)
async def test_a_form_with_broken_parts(store, which):
    answer = await signed_form(store, {}, [PARTS[which]])
    assert answer.status in ({201} if which == "another end" else {400, 412})
    assert len(answer.body) > 10
    assert (await store("GET", "c")).body.count(b"\n") == (2 if which == "another end" else 1)


@pytest.mark.parametrize(
    "kind", ["", "; boundary=", "; boundary=" + "x" * 999, "; boundary=\udcff\udcfe", "; boundary=ü"]
)
async def test_a_form_without_a_boundary(store, kind):
    assert (await signed_form(store, {}, [part()], kind=f"multipart/form-data{kind}")).status == 400


async def test_a_form_sends_nobody_where_no_key_signed_for(store):
    """Nor does its page have what a stranger put into it."""
    for fields in ({"max_file_size": "x" * 5000}, {"signature": "0"}):
        answer = await signed_form(store, {**fields, "redirect": "http://evil.test/"}, [part()])
        assert (answer.status in {400, 401}, "location" in answer.headers) == (True, False)
    answer = await signed_form(store, {"redirect": "http://evil.test/"}, [])
    assert (answer.status, "location" in answer.headers) == (400, False)
    answer = await signed_form(store, {}, [part(b"<script>\xff")])
    assert (answer.status, b"<script>" in answer.body) == (400, False)


async def test_signatures_that_are_wrong(store):
    await store("POST", X_Account_Meta_Temp_Url_Key="key")
    path = f"/v1/{store.account}/c/o"

    def signed(method="GET", end=END, where=path, key=b"key", digest="sha256"):
        return hmac.new(key, f"{method}\n{end}\n{where}".encode(), digest).hexdigest()

    async def ask(sig, end=END, more="", method="GET", where=path):
        query = f"temp_url_sig={sig}&temp_url_expires={end}{more}"
        return (await store.as_("").raw(method, where, b"", query)).status

    good = signed()
    assert (await ask(good), await ask(good, method="HEAD"), await ask(good.upper())) == (200, 200, 200)
    wrong = [
        "",
        good[:-1],
        good + "0",
        "0" * 64,
        "%C3%BC",
        "%00",
        "sha256:",
        "sha256:?",
        f"sha512:{good}",
        "md5:" + "A" * 24,
    ]
    wrong += ["a" * 40, "a" * 9999, signed(key=b"other"), signed("PUT"), signed(where=path + "x"), signed(digest="md5")]
    assert [await ask(sig) for sig in wrong] == [401] * len(wrong)
    ends = ["", "1", "-1", "x", "nan", f"{END}.0", "9" * 300, "%D9%A3" * 10, "2026-99-01T00:00:00Z", str(int(END) + 1)]
    assert [await ask(good, end) for end in ends] == [401] * len(ends)
    past = str(int(time.time()) - 1)
    assert await ask(signed(end=past), past) == 401
    others = ["&temp_url_ip_range=1.2.3.4", "&temp_url_ip_range=x", "&temp_url_prefix=", "&temp_url_prefix=zz"]
    assert [await ask(good, more=more) for more in others] == [401] * len(others)
    assert [await ask(good, method=method) for method in ("PUT", "POST", "DELETE", "COPY")] == [401] * 4
    assert [await ask(good, where=path.removesuffix(end)) for end in ("/o", "/c/o")] == [401, 401]
    assert await ask("%ff") == 400
    named = await store.as_("").raw(
        "GET", path, b"", f"temp_url_sig={good}&temp_url_expires={END}&filename=%0d%0aA:b%22"
    )
    assert named.headers["content-disposition"].startswith('attachment; filename="%0D%0AA:b%22"')


LIMITS = {"10001": 412, "9" * 30: 412, "0": 204, "-1": 200, "x": 200, "1.5": 200, "": 200, "%D9%A3": 200, "%ff": 400}


@pytest.mark.parametrize("form", ["plain", "json", "xml"])
async def test_listings_that_ask_too_much(store, form):
    for path in ("", "c"):
        got = {limit: (await store("GET", path, query=f"format={form}&limit={limit}")).status for limit in LIMITS}
        assert got == (LIMITS if form == "plain" else {**LIMITS, "0": 200})
        for name in ("marker", "end_marker", "prefix", "delimiter", "path"):
            said = [(await store("GET", path, query=f"format={form}&{name}={v}")).status for v in ("%ff", "%ed%a0%80")]
            assert said == [400, 400]
            assert (await store("GET", path, query=f"format={form}&{name}={'m' * 5000}")).status in {200, 204, 400, 412}
